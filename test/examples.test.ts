import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import {
  parsePipeline,
  planPipeline,
  summarizeProblem,
  type Pipeline,
  type PipelineEvent,
  type PlannedStage,
} from '../src/pipeline/index.ts';

/** The pipelines of other projects, translated: each is clean, says whence it comes, and does for an event what theirs does. */
const ROOT = fileURLToPath(new URL('../examples/', import.meta.url));

const names = readdirSync(ROOT).map((file) => file.replace(/\.c3\.yaml$/, ''));
const translations = names.filter((name) => /^(?:github|woodpecker|gitlab|tekton)-/.test(name));

function read(name: string): string {
  return readFileSync(`${ROOT}${name}.c3.yaml`, 'utf8');
}

function parse(name: string): Pipeline {
  const { pipeline, problems } = parsePipeline(read(name).replaceAll(/<[\w .:-]+>/g, 'aa.bb.cc.dd'));
  // The seed stands as it was found, with the one mistake that c3 repairs.
  const told = name === 'seed' ? [] : problems.map((problem) => summarizeProblem(problem, { file: name }));
  expect(told).toStrictEqual([]);
  if (!pipeline) throw new Error(`${name} has no pipeline`);
  return pipeline;
}

/** Names of the steps that run while nothing fails, those of one stage joined; or why none does. */
function plan(name: string, event: PipelineEvent): readonly string[] | string {
  const planned = planPipeline(parse(name), event);
  if (planned.kind === 'skipped') return planned.reason;
  return [...planned.steps, ...planned.finally].map(describeStage).filter(Boolean);
}

function describeStage({ steps }: PlannedStage): string {
  const run = steps.filter(({ skipped, runsAfter }) => skipped === undefined && runsAfter.includes('success'));
  return run.map(({ step }) => step.name).join(' + ');
}

test('at least twelve are translations, from four systems', () => {
  expect(translations.length).toBeGreaterThanOrEqual(12);
  const systems = new Set(translations.map((name) => name.split('-')[0]));
  expect(systems).toStrictEqual(new Set(['github', 'gitlab', 'tekton', 'woodpecker']));
});

test.each(names)('%s lints without an error or a warning', (name) => {
  expect(parse(name).steps.length).toBeGreaterThan(0);
});

test.each(translations)('%s names its project, file and commit, and docs/from-other-ci.md names it', (name) => {
  expect(read(name)).toMatch(/^# From [^:]+: [\w-]+\/[\w.-]+, \.[\w./-]+ at [0-9a-f]{8}\./);
  expect(readFileSync(`${ROOT}../docs/from-other-ci.md`, 'utf8')).toContain(`examples/${name}.c3.yaml`);
});

describe('a translation runs for the events of its original', () => {
  const main: PipelineEvent = { event: 'push', ref: { kind: 'branch', name: 'main' } };
  const tag: PipelineEvent = { event: 'tag', ref: { kind: 'tag', name: 'v1.2.3' } };

  test.each<[string, PipelineEvent, readonly string[] | string]>([
    ['github-flask-tests', { ...main, paths: ['docs/index.rst', 'README.md'] }, 'nothing to do for these paths'],
    [
      'github-flask-tests',
      { event: 'push', ref: { kind: 'branch', name: '2.2.x' }, paths: ['src/flask/app.py'] },
      ['3.11-dev + 3.10, minimum versions, typing + 3.9 + 3.8 + 3.7, development versions + PyPy'],
    ],
    ['github-flask-publish', main, 'a push to a branch does not match when.tag'],
    ['github-sidekiq', main, ['Ruby 2.7 + Ruby 3.0 + Ruby 3.1 + Ruby 3.2']],
    [
      'woodpecker-lemmy',
      tag,
      [
        'prettier + toml + sql + rustfmt + unused dependencies + ignored files',
        'image',
        'crates.io',
        'tell of the release',
      ],
    ],
    ['woodpecker-docs', tag, ['cli docs', 'build', 'prepare', 'released version', 'deploy', 'forget the key']],
    [
      'woodpecker-docs',
      { ...main, paths: ['docs/x.md'] },
      ['cli docs', 'build', 'prepare', 'next version', 'copy', 'deploy', 'forget the key'],
    ],
    ['woodpecker-xyaml', main, ['editorconfig + vet', 'test with 1.15 + test with 1.20']],
    ['tekton-pac-go', { ...main, paths: ['docs/x.md'] }, 'nothing to do for these paths'],
    [
      'gitlab-veloren',
      { event: 'push', ref: { kind: 'branch', name: 'topic' } },
      ['clean code', 'build voxygen', 'build server', 'unit tests', 'coverage', 'clippy'],
    ],
    [
      'gitlab-veloren',
      tag,
      [
        'clean code',
        'build voxygen',
        'build server',
        'unit tests',
        'release for Linux',
        'release for Windows',
        'coverage',
        'clippy',
      ],
    ],
  ])('%s for %j', (name, event, expected) => {
    expect(plan(name, event)).toStrictEqual(expected);
  });
});
