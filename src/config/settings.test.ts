import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { SETTINGS } from './settings.ts';
import { renderSettingsTable } from './settings-table.ts';

describe('SETTINGS', () => {
  it('name each setting alike: secretFile, C3_SECRET_FILE, --secret-file', () => {
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

  it('have defaults that they accept', () => {
    const defaults = Object.values(SETTINGS).filter((setting) => setting.default !== undefined);
    const answers = defaults.map((setting) => setting.parse(setting.default ?? ''));
    expect(answers.filter((answer) => 'mistake' in answer)).toStrictEqual([]);
  });

  it('stand in docs/settings.md as they are', () => {
    const text = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8');
    const table = text.match(/^\|.*\n/gm)?.join('');
    expect(table).toBe(renderSettingsTable());
  });
});
