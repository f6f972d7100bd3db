import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { fixPipeline, parsePipeline } from './parse-pipeline.ts';

const root = join(import.meta.dirname, '../..');
const seed = readFileSync(join(root, 'examples/seed.c3.yaml'), 'utf8');

test('the repair of the example inserts ten spaces and nothing else', () => {
  const fix = fixPipeline(seed);
  expect(fix?.scripts).toEqual([{ key: 'kaniko', firstLine: 59, lastLine: 63 }]);
  const script = seed.indexOf('  /kaniko/executor');
  const indented = seed.slice(script).replaceAll(/^(?=.)/gm, '  ');
  expect(fix?.text).toBe(seed.slice(0, script) + indented);
});

test('comments, blank lines, carriage returns and the byte order mark are kept', () => {
  const text = `\uFEFF# first\r\n${seed.replaceAll('\n', ' # c\r\n').replace('|  # c', '| # c')}\r\n# last`;
  const clean = text.replaceAll(' # c\r\n', '\r\n');
  const fixed = fixPipeline(clean)?.text;
  expect(fixed?.replaceAll(/^ {4}(?=[-/])/gm, '  ')).toBe(clean.replaceAll(/^ {4}(?=[-/])/gm, '  '));
  expect(fixed).not.toBe(clean);
  expect(fixed?.startsWith('\uFEFF# first\r\n')).toBe(true);
});

test.each(['good', 'bad'].flatMap((folder) => list(folder)))('%s is repaired once, and is then correct', (path) => {
  const source = readFileSync(path, 'utf8');
  const fix = fixPipeline(source);
  if (fix === undefined) return;
  const before = parsePipeline(source);
  const after = parsePipeline(fix.text);
  expect(fixPipeline(fix.text)).toBeUndefined();
  expect(after.pipeline).toEqual(before.pipeline);
  expect(after.problems.filter(({ message }) => message.includes('read as if it were'))).toEqual([]);
  expect(fix.text.replaceAll(' ', '')).toBe(source.replaceAll(' ', ''));
});

test('a file that would still have an error is unchanged', () => {
  expect(fixPipeline(seed.replace('- git: git', '- gti: git'))).toBeUndefined();
});

test('a correct file is unchanged', () => {
  expect(fixPipeline(readFileSync(join(root, 'examples/hello.c3.yaml'), 'utf8'))).toBeUndefined();
});

function list(folder: string): string[] {
  const path = join(root, 'test/fixtures/c3-yaml', folder);
  return readdirSync(path)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(path, name));
}
