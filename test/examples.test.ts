import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import {
  findForkFaults,
  parsePipeline,
  planPipeline,
  planSealed,
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

const main: PipelineEvent = { event: 'push', ref: { kind: 'branch', name: 'main' } };
const topic: PipelineEvent = { event: 'push', ref: { kind: 'branch', name: 'topic' } };
const tag: PipelineEvent = { event: 'tag', ref: { kind: 'tag', name: 'v1.2.3' } };
const pull = { number: 12, base: 'main', head: 'topic', isDraft: false, isFork: false };

function toMain(paths?: readonly string[]): PipelineEvent {
  return { ...topic, event: 'pull_request', pull, ...(paths && { paths }) };
}

function to(base: string): PipelineEvent {
  return { ...toMain(), pull: { ...pull, base } };
}

const draft: PipelineEvent = { ...toMain(), pull: { ...pull, isDraft: true } };
const fork: PipelineEvent = {
  event: 'pull_request',
  ref: { kind: 'pull', name: '12' },
  pull: { ...pull, head: 'main', isFork: true },
};

// The condition on paths holds for a fork here, so every step that can run is checked.
test.each(translations)('%s needs no secret for the pull request of a fork', (name) => {
  const pipeline = parse(name);
  const plan = planPipeline(pipeline, fork);
  if (plan.kind === 'skipped') return;
  expect(planSealed(pipeline, { ref: fork.ref, plan, isFork: true })).toMatchObject({ kind: 'open', secrets: {} });
  expect(findForkFaults(pipeline.job.manifest)).toStrictEqual([]);
});

describe('a translation runs for the events of its original', () => {
  test.each<[string, PipelineEvent, readonly string[] | string]>([
    ['github-flask-tests', { ...main, paths: ['docs/index.rst', 'README.md'] }, 'nothing to do for these paths'],
    [
      'github-flask-tests',
      { event: 'push', ref: { kind: 'branch', name: '2.2.x' }, paths: ['src/flask/app.py'] },
      ['3.11-dev + 3.10, minimum versions, typing + 3.9 + 3.8 + 3.7, development versions + PyPy'],
    ],
    ['github-flask-publish', main, 'a push to a branch does not match when.tag'],
    ['github-sidekiq', main, ['Ruby 2.7 + Ruby 3.0 + Ruby 3.1 + Ruby 3.2']],
    ['woodpecker-lemmy', main, 'a push to a branch does not match when.event'],
    ['woodpecker-lemmy', tag, ['image', 'crates.io', 'tell of the release']],
    ['woodpecker-docs', tag, ['cli docs', 'build', 'prepare', 'released version', 'deploy', 'forget the key']],
    [
      'woodpecker-docs',
      { ...main, paths: ['docs/x.md'] },
      ['cli docs', 'build', 'prepare', 'copy', 'deploy', 'forget the key'],
    ],
    ['woodpecker-docs', { ...main, paths: ['web/x.ts'] }, ['prepare', 'next version', 'deploy', 'forget the key']],
    [
      'woodpecker-docs',
      { ...main, paths: ['server/api/x.go'] },
      ['cli docs', 'build', 'prepare', 'next version', 'copy', 'deploy', 'forget the key'],
    ],
    ['woodpecker-xyaml', main, ['editorconfig + vet', 'test with 1.15 + test with 1.20']],
    ['woodpecker-test', main, ['vendor', 'dummy web', 'test + sqlite', 'codecov']],
    ['tekton-pac-go', main, 'a push to a branch does not match when.event'],
    [
      'tekton-pac-linters',
      main,
      [
        'release.yaml',
        'codespell + shellcheck + yamllint + ruff check + ruff format + markdownlint + vale',
        'generated schemas',
      ],
    ],
    ['gitlab-veloren', topic, ['clean code', 'build voxygen', 'build server', 'unit tests', 'coverage', 'clippy']],
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

describe('a translation does for a pull request what its original does', () => {
  const flask = ['3.11-dev + 3.10, minimum versions, typing + 3.9 + 3.8 + 3.7, development versions + PyPy'];
  const sidekiq = ['Ruby 2.7 + Ruby 3.0 + Ruby 3.1 + Ruby 3.2'];
  const hono = [
    'install',
    'denoify',
    'denoify is done',
    'format + lint',
    'build',
    'Main + Bun + Fastly Compute + Cloudflare Workers + AWS Lambda + Lambda@Edge + Node.js 18.18.2 + Node.js 20 + Deno',
  ];
  const ripgrep = ['rustfmt + docs', 'pinned + stable + nightly + stable-musl'];
  const lemmyFast = 'prettier + toml + sql + rustfmt + unused dependencies + ignored files';
  const lemmy = [
    lemmyFast,
    'the api crate alone',
    'default configuration',
    'database',
    'database performance',
    'clippy',
    'build',
    'schema',
    'test',
    'federation',
  ];
  const woodpecker = [
    'vendor',
    'dummy web',
    'lint + licence headers + test + sqlite + postgres + mysql',
    'swagger is up to date',
    'codecov',
  ];
  const linters = [
    'target branch',
    'release.yaml',
    [
      'gitlint + conventional commits',
      'codespell + shellcheck + yamllint + ruff check + ruff format + markdownlint + vale',
    ].join(' + '),
    'generated schemas',
  ];
  const veloren = ['clean code', 'build voxygen', 'build server', 'unit tests', 'coverage', 'clippy'];

  test.each<[string, PipelineEvent, readonly string[] | string]>([
    ['github-flask-tests', toMain(['src/flask/app.py', 'README.md']), flask],
    ['github-flask-tests', toMain(['docs/index.rst', 'README.md']), 'nothing to do for these paths'],
    ['github-flask-tests', to('2.2.x'), flask],
    ['github-flask-tests', to('topic-2'), 'branch "topic-2" does not match when.base'],
    ['github-flask-tests', fork, flask],
    ['github-flask-publish', toMain(), 'a pull request does not match when.tag'],
    ['github-sidekiq', draft, sidekiq],
    ['github-sidekiq', fork, sidekiq],
    ['github-sidekiq', to('7-stable'), 'branch "7-stable" does not match when.base'],
    ['github-hono', to('topic-2'), hono],
    ['github-hono', to('feat/x'), 'branch "feat/x" does not match when.base'],
    ['github-hono', fork, hono],
    ['github-ripgrep', to('ag/libripgrep'), ripgrep],
    ['github-ripgrep', fork, ripgrep],
    ['github-weasyprint', to('v60'), ['coding style', '3.13 + 3.10 + PyPy 3.11']],
    ['github-weasyprint', fork, ['coding style', '3.13 + 3.10 + PyPy 3.11']],
    ['woodpecker-lemmy', toMain(['crates/utils/src/lib.rs']), lemmy],
    ['woodpecker-lemmy', toMain(['scripts/update_config_defaults.sh']), lemmy],
    ['woodpecker-lemmy', toMain(['README.md', 'scripts/db_perf.sh']), [lemmyFast]],
    ['woodpecker-lemmy', fork, lemmy],
    ['woodpecker-test', toMain(['server/web.go']), woodpecker],
    ['woodpecker-test', toMain(['docs/x.md']), 'nothing to do for these paths'],
    ['woodpecker-test', fork, woodpecker],
    ['woodpecker-docs', toMain(['docs/x.md']), ['cli docs', 'build']],
    ['woodpecker-docs', toMain(['web/x.ts']), 'nothing to do for these paths'],
    ['woodpecker-docs', fork, ['cli docs', 'build']],
    ['woodpecker-xyaml', to('topic-2'), ['editorconfig + vet', 'test with 1.15 + test with 1.20']],
    ['woodpecker-xyaml', fork, ['editorconfig + vet', 'test with 1.15 + test with 1.20']],
    ['tekton-pac-go', toMain(['pkg/x.go', 'README.md']), ['unit tests', 'coverage', 'lint']],
    ['tekton-pac-go', toMain(['docs/x.md']), 'nothing to do for these paths'],
    ['tekton-pac-go', fork, ['unit tests', 'coverage', 'lint']],
    ['tekton-pac-linters', to('release-v0.30.x'), linters],
    ['tekton-pac-linters', fork, linters],
    ['gitlab-meld', toMain(), 'a pull request does not match when.event'],
    ['gitlab-veloren', to('master'), veloren],
    ['gitlab-veloren', { ...fork, pull: { ...pull, base: 'master', head: 'master', isFork: true } }, veloren],
  ])('%s for %j', (name, event, expected) => {
    expect(plan(name, event)).toStrictEqual(expected);
  });
});
