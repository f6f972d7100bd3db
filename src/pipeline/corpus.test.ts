import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { parsePipeline } from './parse-pipeline.ts';
import { formatProblem } from './format-problem.ts';

/**
 * `x.yaml` is beside `x.problems.txt` and `x.pipeline.json`. `UPDATE_GOLDEN=1` updates these two: review the diff.
 */
const corpus = join(import.meta.dirname, '../../test/fixtures/c3-yaml');
const isUpdate = process.env['UPDATE_GOLDEN'] === '1';

describe.each(['good', 'bad'])('the %s corpus', (folder) => {
  const names = readdirSync(join(corpus, folder)).filter((name) => name.endsWith('.yaml'));

  test.each(names)('%s is read as in its golden files', (name) => {
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

test('every golden file has its YAML file', () => {
  for (const folder of ['good', 'bad']) {
    const names = readdirSync(join(corpus, folder));
    const stems = new Set(names.filter((name) => name.endsWith('.yaml')).map((name) => name.replace(/\.yaml$/, '')));
    expect(names.filter((name) => !stems.has(name.replace(/\.(?:yaml|problems\.txt|pipeline\.json)$/, '')))).toEqual(
      [],
    );
  }
});

function writeGolden(path: string, content: string): void {
  if (content === '') rmSync(path, { force: true });
  else writeFileSync(path, content);
}

function readGolden(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
