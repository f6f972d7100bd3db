import { expect, it } from 'vitest';
import { parsePipeline, type Pipeline, type Stage } from '../../pipeline/index.ts';
import type { Terminal } from '../terminal.ts';
import { chooseSteps } from './adjust-pipeline.ts';
import { fillSecrets, readVariables } from './adjust-pipeline.ts';

const source = `
job:
  apiVersion: v1
  kind: Pod
  metadata: {name: shop}
  spec:
    volumes: [{name: project, emptyDir: {}}]
    containers:
    - {name: git, image: alpine/git, command: [sleep, '1000000'], volumeMounts: [{name: project, mountPath: /c3}]}
steps:
- git: make build
  name: build
- parallel:
  - git: make lint
    name: lint
  - git: make test
    name: test
  - git: make docs
    name: docs
- git: make deploy
  name: deploy
finally:
- git: make clean
  name: clean
`;

function choose(...names: string[]): { steps: string[]; finally: string[] } {
  const { pipeline, problems } = parsePipeline(source, { withoutSeals: true });
  if (!pipeline) throw new Error(problems.map(({ message }) => message).join('\n'));
  const chosen: Pipeline = chooseSteps(pipeline, names);
  return { steps: chosen.steps.map(describe), finally: chosen.finally.map(describe) };
}

function describe(stage: Stage): string {
  return stage.kind === 'step' ? stage.step.name : stage.steps.map(({ name }) => name).join('+');
}

it('chooses the steps of a container by its name', () => {
  expect(choose('git')).toEqual({ steps: ['build', 'lint+test+docs', 'deploy'], finally: ['clean'] });
});

it.each([
  [[], { steps: ['build', 'lint+test+docs', 'deploy'], finally: ['clean'] }],
  [['deploy', 'build'], { steps: ['build', 'deploy'], finally: [] }],
  [['docs', 'lint'], { steps: ['lint+docs'], finally: [] }],
  [['test'], { steps: ['test'], finally: [] }],
  [['test', 'clean'], { steps: ['test'], finally: ['clean'] }],
  [['clean'], { steps: ['clean'], finally: [] }],
])('of %j makes %j, in the order of the file', (names, expected) => {
  expect(choose(...names)).toEqual(expected);
});

it('refuses an unknown name with the nearest one, else with all', () => {
  expect(() => choose('biuld')).toThrow(
    expect.objectContaining({
      code: 'USAGE_INVALID',
      message: 'No step is called "biuld"',
      hint: 'did you mean "build"?',
    }),
  );
  expect(() => choose('release')).toThrow(
    expect.objectContaining({ hint: 'the steps are "build", "lint", "test", "docs", "deploy", "clean"' }),
  );
});

function read(text: string): Record<string, string> {
  const terminal = { readFile: (path: string) => (path === '.env' ? text : fail()) } as Terminal;
  return readVariables(terminal, '.env');
}

function fail(): never {
  throw new Error('ENOENT');
}

it('reads names and values as of a .env file', () => {
  const text = `# a comment\nA=1\nexport B='two words'\nC="line one\nline two"\nD=\nE=x # y\n`;
  expect(read(text)).toEqual({ A: '1', B: 'two words', C: 'line one\nline two', D: '', E: 'x' });
});

it('refuses a name that a shell does not take, or that c3 sets, without the value', () => {
  for (const name of ['not-a-name', '1ST', 'C3_SHA']) {
    expect(() => read(`${name}=secret`)).toThrow(
      expect.objectContaining({ code: 'USAGE_INVALID', message: `".env": "${name}" cannot be a variable's name` }),
    );
  }
});

it('says that a file is not there', () => {
  const terminal = { readFile: fail as (path: string) => string } as Terminal;
  expect(() => readVariables(terminal, 'no.env')).toThrow('Cannot read "no.env"');
  expect(readVariables(terminal, undefined)).toEqual({});
});

it('fills the secrets that have a value, and names the others', () => {
  const secrets = { KEY: { value: 'aa.bb.cc.dd' }, TAGGED: { value: '', ref: 'refs/tags/v*' }, TOKEN: { value: '' } };
  const pipeline = { secrets } as unknown as Pipeline;
  expect(fillSecrets(pipeline, { KEY: 'value', TAGGED: 'tagged', OTHER: 'not asked for' })).toEqual({
    pipeline: { secrets: { KEY: { value: 'value' }, TAGGED: { value: 'tagged', ref: 'refs/tags/v*' } } },
    missing: ['TOKEN'],
  });
});
