import type { BuildLinks, BuildPhase, BuildState, Ending, StepPhase, StepState } from '../../src/build/index.ts';
import { createBuild } from '../../test/fakes/sample-build.ts';

/** A realistic build at chosen moments, for tests and pictures. Times count from {@link START}. */
export const START: number = Date.UTC(2026, 2, 14, 9, 26, 53);

const URLS = {
  repository: 'https://github.com/acme/shop',
  commit: `https://github.com/acme/shop/commit/${createBuild().sha}`,
};

export const LINKS: BuildLinks = {
  view: 'https://c3.example.com/b/kS.q1vXx0Zr3PpmWk4b.nD8w2Kq',
  control: 'https://c3.example.com/b/kS.8TtLr2QyUe0aGh7c.xB5t9Lm',
};

export function createState(phase: BuildPhase, changes: Partial<BuildState> = {}): BuildState {
  return {
    build: createBuild({ id: 'b-1' }),
    urls: URLS,
    phase,
    steps: [],
    warnings: [],
    isWarm: undefined,
    previous: undefined,
    links: undefined,
    startedAt: START,
    endedAt: phase.kind === 'ended' ? START + 96_000 : undefined,
    ...changes,
  };
}

export function createEnded(ending: Ending, changes: Partial<BuildState> = {}): BuildState {
  return createState({ kind: 'ended', ending }, { isWarm: true, ...changes });
}

/** `from` and `to` in seconds after {@link START}. */
export function createStep(
  name: string,
  phase: StepPhase,
  times: { from?: number; to?: number; tail?: string } & Partial<StepState> = {},
): StepState {
  const { from: _from, to: _to, ...changes } = times;
  return {
    name,
    container: name,
    phase,
    attempt: 1,
    isAllowed: false,
    group: undefined,
    startedAt: times.from === undefined ? undefined : START + times.from * 1000,
    endedAt: times.to === undefined ? undefined : START + times.to * 1000,
    tail: '',
    ...changes,
  };
}

export const RUNNING: BuildState = createState(
  { kind: 'running' },
  {
    isWarm: true,
    steps: [
      createStep('git', { kind: 'passed' }, { from: 1, to: 3 }),
      createStep('lint', { kind: 'passed' }, { from: 3, to: 12 }),
      createStep('test', { kind: 'running' }, { from: 12 }),
      createStep('image', { kind: 'pending' }),
      createStep('deploy', { kind: 'pending' }),
    ],
  },
);

export const PASSED: BuildState = createEnded(
  { kind: 'passed', allowed: [] },
  {
    steps: [
      createStep('git', { kind: 'passed' }, { from: 1, to: 3 }),
      createStep('lint', { kind: 'passed' }, { from: 3, to: 12 }),
      createStep('test', { kind: 'passed' }, { from: 12, to: 54 }),
      createStep('image', { kind: 'passed' }, { from: 54, to: 85 }),
      createStep('deploy', { kind: 'passed' }, { from: 85, to: 96 }),
    ],
  },
);

const TAIL = `\u001B[1m\u001B[46m RUN \u001B[49m\u001B[22m v4.1.12
 \u001B[32m✓\u001B[39m src/cart.test.ts (18 tests) 41ms
 \u001B[32m✓\u001B[39m src/tax.test.ts (9 tests) 12ms
 loading 10%\r loading 60%\r loading 100%
 \u001B[31m×\u001B[39m src/price.test.ts > rounds 2.345 to 2.34
   \u001B[31mAssertionError: expected 2.35 to be 2.34\u001B[39m
     at src/price.test.ts:41:24
 Test Files  1 failed | 2 passed (3)
      Tests  1 failed | 29 passed (30)
`;

export const FAILED: BuildState = createEnded(
  { kind: 'failed', step: 'test', message: 'exit code 1' },
  {
    endedAt: START + 54_000,
    steps: [
      createStep('git', { kind: 'passed' }, { from: 1, to: 3 }),
      createStep('lint', { kind: 'passed' }, { from: 3, to: 12 }),
      createStep('test', { kind: 'failed', exitCode: 1 }, { from: 12, to: 54, tail: TAIL }),
      createStep('image', { kind: 'skipped', reason: undefined }),
      createStep('deploy', { kind: 'skipped', reason: undefined }),
    ],
  },
);
