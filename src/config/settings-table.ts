import { SETTINGS, type Setting } from './settings.ts';

/** The settings as a Markdown table; docs/settings.md holds it. */
export function renderSettingsTable(): string {
  const rows = Object.values(SETTINGS).map((setting: Setting<unknown>) => [
    `\`${setting.env}\``,
    setting.flag ? `\`${setting.flag}\`` : '',
    setting.kind,
    setting.defaultText ?? (setting.default ? `\`${setting.default}\`` : ''),
    setting.text,
  ]);
  return [['Variable', 'Flag', 'Kind', 'Default', 'What it does'], Array.from({ length: 5 }, () => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`)
    .join('');
}
