import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { parsePipeline } from './parse-pipeline.ts';
import { formatProblem } from './problem.ts';

/** `x.yaml` beside `x.problems.txt` and `x.pipeline.json`; `UPDATE_GOLDEN=1` writes the two anew. Read the difference before you keep it. */
const corpus = join(import.meta.dirname, '../../test/fixtures/c3-yaml');
const isUpdate = process.env['UPDATE_GOLDEN'] === '1';

describe.each(['good', 'bad'])('the %s corpus', (folder) => {
  const names = readdirSync(join(corpus, folder)).filter((name) => name.endsWith('.yaml'));

  test.each(names)('%s reads as its golden files say', (name) => {
    const stem = join(corpus, folder, name.replace(/\.yaml$/, ''));
    const source = readFileSync(`${stem}.yaml`, 'utf8');
    const { pipeline, problems } = parsePipeline(source);
    const text = problems.map((problem) => `${formatProblem(problem, source)}\n`).join('');
    const json = pipeline === undefined ? '' : `${JSON.stringify(pipeline, null, 2)}\n`;
    if (isUpdate) {
      writeGolden(`${stem}.problems.txt`, text);
      writeGolden(`${stem}.pipeline.json`, json);
    }
    expect(text).toBe(readGolden(`${stem}.problems.txt`));
    expect(json).toBe(readGolden(`${stem}.pipeline.json`));
    expect(pipeline !== undefined).toBe(folder === 'good');
    expect(problems.every((problem) => problem.severity === 'warning')).toBe(folder === 'good');
  });
});

test('no golden file is left without its YAML', () => {
  for (const folder of ['good', 'bad']) {
    const names = readdirSync(join(corpus, folder));
    const stems = new Set(names.filter((name) => name.endsWith('.yaml')).map((name) => name.replace(/\.yaml$/, '')));
    expect(names.filter((name) => !stems.has(name.replace(/\.(?:yaml|problems\.txt|pipeline\.json)$/, '')))).toEqual(
      [],
    );
  }
});

test('no golden file shows a secret', () => {
  const texts = readdirSync(join(corpus, 'bad'))
    .filter((name) => name.endsWith('.problems.txt'))
    .map((name) => readFileSync(join(corpus, 'bad', name), 'utf8'));
  expect(texts.length).toBeGreaterThan(40);
  expect(texts.filter((text) => /hunter2|AAHdqTcv|1234/.test(text))).toEqual([]);
});

function writeGolden(path: string, content: string): void {
  if (content === '') rmSync(path, { force: true });
  else writeFileSync(path, content);
}

function readGolden(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
