import { readFileSync, writeFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { SETTINGS, type Setting } from './settings.ts';

const DOCUMENT = new URL('../../docs/settings.md', import.meta.url);

describe('SETTINGS', () => {
  it('name each setting in the same way: secretFile, C3_SECRET_FILE, --secret-file', () => {
    for (const [name, setting] of Object.entries(SETTINGS)) {
      const words = name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
      expect(setting.env).toBe(`C3_${words}`);
      expect(setting.flag?.split(' ')[0] ?? 'none').toBe(
        setting.flag ? `--${words.toLowerCase().replaceAll('_', '-')}` : 'none',
      );
    }
  });

  it('give no flag to a secret', () => {
    const withoutFlag = Object.values(SETTINGS).filter((setting) => setting.flag === undefined);
    expect(withoutFlag.map((setting) => setting.env)).toStrictEqual(['C3_SECRET', 'C3_TELEGRAM_TOKEN']);
  });

  it('accept their own defaults', () => {
    const defaults = Object.values(SETTINGS).filter((setting) => setting.default !== undefined);
    const answers = defaults.map((setting) => setting.parse(setting.default ?? ''));
    expect(answers.filter((answer) => 'mistake' in answer)).toStrictEqual([]);
  });

  it('are in the table of docs/settings.md, which C3_UPDATE_GOLDEN=1 writes', () => {
    const text = readFileSync(DOCUMENT, 'utf8');
    const [table = ''] = text.match(/^(?:\|.*\n)+/m) ?? [];
    const isUpdate = process.env['C3_UPDATE_GOLDEN'] === '1';
    if (isUpdate)
      writeFileSync(
        DOCUMENT,
        text.replace(table, () => renderMarkdown()),
      );
    expect(isUpdate ? renderMarkdown() : table).toBe(renderMarkdown());
  });
});

function renderMarkdown(): string {
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
