import { describe, expect, it } from 'vitest';
import { parseRef, toEventKind } from '../build/index.ts';
import { parsePipeline } from './parse-pipeline.ts';
import { planPipeline } from './plan.ts';
import { planSealed, type SealedPlan } from './plan-sealed.ts';

interface Source {
  readonly k8s?: string;
  readonly extra?: string;
  readonly steps?: string;
}

/** Plans a c3.yaml for a ref, as a build does. */
function plan(refName: string, { k8s = 'a.b.c.d', extra = '', steps = '- main: make' }: Source): SealedPlan {
  const { pipeline, problems } = parsePipeline(`k8s: ${k8s}
${extra}
checkout: false
job: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: main, image: x}]}}
steps:
${steps}
`);
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  const ref = parseRef(refName);
  if (!pipeline || !ref) throw new Error('unreadable');
  const planned = planPipeline(pipeline, { event: toEventKind(ref), ref });
  if (planned.kind !== 'run') throw new Error(planned.reason);
  return planSealed(pipeline, { ref, plan: planned });
}

const NPM = "secrets: {NPM_TOKEN: {value: a.b.c.d, ref: 'refs/tags/v*'}, OTHER: a.b.c.e}";
const MAIN = 'refs/heads/main';
const TAG = 'refs/tags/v1';

describe('planSealed', () => {
  it('opens everything of a file without refs', () => {
    const telegram = { to: { value: 'a.b.c.d' }, notify: 'failure', log: false };
    expect(plan(MAIN, { extra: 'telegram: a.b.c.d\nsecrets: {A: a.b.c.e}' })).toEqual({
      kind: 'open',
      k8s: { value: 'a.b.c.d' },
      telegram,
      secrets: { A: { value: 'a.b.c.e' } },
      hasRefBound: false,
    });
  });

  it('opens a secret only in a build of a ref that it is for', () => {
    expect(plan(TAG, { extra: NPM })).toMatchObject({
      secrets: { NPM_TOKEN: { value: 'a.b.c.d', ref: 'refs/tags/v*' }, OTHER: { value: 'a.b.c.e' } },
      hasRefBound: true,
    });
    expect(plan(MAIN, { extra: NPM })).toMatchObject({
      kind: 'open',
      secrets: { OTHER: { value: 'a.b.c.e' } },
      hasRefBound: false,
    });
    expect(plan(MAIN, { extra: NPM })).not.toHaveProperty('secrets.NPM_TOKEN');
  });

  it('refuses a build whose kubeconfig is for another ref', () => {
    const k8s = `{value: a.b.c.d, ref: ${MAIN}}`;
    expect(plan('refs/heads/x', { k8s })).toEqual({
      kind: 'refused',
      message: 'k8s is sealed for refs/heads/main, this build is of refs/heads/x',
      hint: "add `when: {branch: 'main'}` at the top of c3.yaml, or seal a kubeconfig for this ref",
    });
    expect(plan(MAIN, { k8s })).toMatchObject({ kind: 'open', hasRefBound: true });
  });

  it('leaves out the whole of a telegram that is for another ref', () => {
    const extra = `telegram: {to: a.b.c.d, ref: ${MAIN}, notify: always}`;
    expect(plan('refs/heads/x', { extra })).toMatchObject({ telegram: undefined, hasRefBound: false });
    expect(plan(MAIN, { extra })).toMatchObject({ telegram: { notify: 'always' }, hasRefBound: true });
    expect(plan(MAIN, { extra: 'telegram: {notify: always}' })).toMatchObject({ telegram: { notify: 'always' } });
  });

  it.each([
    ['its script', '- main: npm publish --token $NPM_TOKEN'],
    ['braces', '- main: echo "${NPM_TOKEN:-none}"'],
    ['a command that is a list', '- main: [node, -e, "process.env.NPM_TOKEN"]'],
    ['a value of its env', '- {main: make, env: {A: "x NPM_TOKEN"}}'],
    ['one of several lines', '- main: |\n    make\n    printenv NPM_TOKEN'],
    ['a step that may fail', '- {main: "test $NPM_TOKEN", allow_failure: true}'],
    ['a parallel step', '- parallel: [{main: make}, {main: "echo $NPM_TOKEN"}]'],
    ['a step of finally', '- main: make\nfinally:\n- main: echo $NPM_TOKEN'],
    ['a step that runs after a failure', '- main: make\n- {main: "echo $NPM_TOKEN", when: {status: failure}}'],
  ])('refuses a build in which a step needs a secret for other refs, named in %s', (_, steps) => {
    expect(plan(MAIN, { extra: NPM, steps })).toEqual({
      kind: 'refused',
      message: expect.stringMatching(
        /^step "(?:main|echo \$NPM_TOKEN)" needs NPM_TOKEN, which is sealed for refs\/tags\/v\*; this build is of refs\/heads\/main$/,
      ),
      hint: "add `when: {tag: 'v*'}` to the step",
    });
    expect(plan(TAG, { extra: NPM, steps })).toMatchObject({ kind: 'open', hasRefBound: true });
  });

  it('names the step as people see it', () => {
    const steps = '- {main: "echo $NPM_TOKEN", name: publish it}';
    expect(plan(MAIN, { extra: NPM, steps })).toMatchObject({
      message: expect.stringMatching(/^step "publish it" needs /),
    });
  });

  it.each([
    ['its when excludes the ref', "- main: make\n- {main: 'echo $NPM_TOKEN', when: {tag: 'v*'}}"],
    ['it names another variable', '- main: echo $NPM_TOKEN_2 $MY_NPM_TOKEN $npm_token'],
    ['it reads the variable without naming it', '- main: ./publish.sh'],
    ['only its own name is the same', '- {main: make, name: NPM_TOKEN}'],
    ['only the name of a variable is the same', '- {main: make, env: {NPM_TOKEN: x}}'],
  ])('opens the others and runs when a step does not need the secret: %s', (_, steps) => {
    expect(plan(MAIN, { extra: NPM, steps })).toMatchObject({ kind: 'open', secrets: { OTHER: { value: 'a.b.c.e' } } });
  });

  it('gives a `when` that holds exactly for the refs of the value', () => {
    const extra = "secrets: {KEY: {value: a.b.c.d, ref: 'refs/heads/release/**'}}";
    expect(plan(MAIN, { extra, steps: '- main: echo $KEY' })).toMatchObject({
      hint: "add `when: {branch: 'release/**'}` to the step",
    });
  });

  it('checks no step for a reader of the build', () => {
    const { pipeline } = parsePipeline(`k8s: a.b.c.d
${NPM}
checkout: false
job: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: main, image: x}]}}
steps: [{main: echo $NPM_TOKEN}]
`);
    if (!pipeline) throw new Error('unreadable');
    expect(planSealed(pipeline, { ref: { kind: 'branch', name: 'main' } })).toMatchObject({ kind: 'open' });
  });
});
