import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { listAttacks, renderAttacks } from './list.ts';

const PAGE = new URL('../../docs/security.md', import.meta.url);
const MARK =
  '<!-- From here on written by test/attacks/list.test.ts: C3_UPDATE_GOLDEN=1 npx vitest run test/attacks/list -->\n';
const attacks = listAttacks();

test('docs/security.md lists exactly the attacks of this folder', () => {
  const [head = ''] = readFileSync(PAGE, 'utf8').split(MARK);
  const page = `${head}${MARK}\n${renderAttacks(attacks)}`;
  if (process.env['C3_UPDATE_GOLDEN'] === '1') writeFileSync(PAGE, page);
  expect(readFileSync(PAGE, 'utf8')).toBe(page);
});

test('there are at least sixty unique attacks, and every row of the threat model has some', () => {
  const names = attacks.map(({ row, file, title }) => `${row} ${file} ${title}`);
  expect(attacks.length).toBeGreaterThanOrEqual(60);
  expect(new Set(names).size).toBe(names.length);
  const rows = Array.from({ length: 14 }, (_, index) => `A${index + 1}`);
  expect(new Set(attacks.map(({ row }) => row))).toEqual(new Set(rows));
});
