import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BuildState, CommitStatus } from '../build/index.ts';
import { createWorld, toFile, type World } from '../../test/fakes/build-world.ts';
import { C3Error } from '../errors.ts';

const LINKS = { view: 'https://c3.example/b/look', control: 'https://c3.example/b/control' };
const BEFORE = 'b'.repeat(40);
let world: World;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => {
  vi.useRealTimers();
  world.close();
});

const last = (): BuildState | undefined => world.states.at(-1);

describe('a build and the one before it', () => {
  it('are compared by what the forge says of the commit that the branch pointed at', async () => {
    const asked: string[] = [];
    await world.run({
      build: { before: BEFORE },
      async *listStatuses(sha) {
        asked.push(sha);
        yield {
          context: 'c3/push',
          state: 'failure',
          description: 'failed at main after 8s: exit code 1 (main, build a)',
        };
      },
    });
    expect(asked).toEqual([BEFORE]);
    expect(last()).toMatchObject({ previous: 'failed', phase: { ending: { kind: 'passed' } } });
  });

  it('are of the same commit when it is built again', async () => {
    const asked: string[] = [];
    await world.run({
      build: { before: BEFORE, cause: 'rerun' },
      async *listStatuses(sha) {
        asked.push(sha);
        yield { context: 'c3/push', state: 'success', description: 'passed in 8s (main, build a)' };
      },
    });
    expect([...new Set(asked)]).toEqual([world.sha]);
    expect(last()).toMatchObject({ previous: 'passed' });
  });

  it('are not called fixed if the step that failed has not run', async () => {
    const file = toFile("- main: echo\n- {main: echo, name: unit tests, when: {path: 'src/**'}}");
    const run = async (description: string, paths: string[]): Promise<BuildState['previous']> => {
      await world.run({
        build: { before: BEFORE },
        file,
        paths,
        async *listStatuses() {
          yield { context: 'c3/push', state: 'failure', description };
        },
      });
      return last()?.previous;
    };
    const atStep = 'failed at unit tests after 8s: exit code 1 (main, build a)';
    expect(await run(atStep, ['docs/a'])).toBeUndefined();
    expect(await run(atStep, ['src/a'])).toBe('failed');
    expect(await run('timed out after 1h (main, build a)', ['docs/a'])).toBe('failed'); // it runs all steps
    expect(await run('timed out after 1h (main, build a)', ['src/a'])).toBe('failed');
  });

  it('are not compared where there was none, and a forge that does not say is no failure', async () => {
    // oxlint-disable-next-line require-yield -- the first page is refused
    async function* listStatuses(): AsyncGenerator<never> {
      throw new C3Error('FORGE_REFUSED', 'no');
    }
    expect(await world.run({ listStatuses })).toMatchObject({ kind: 'passed' });
    expect(await world.run({ listStatuses, build: { before: BEFORE } })).toMatchObject({ kind: 'passed' });
    expect(last()).toMatchObject({ previous: undefined });
  });

  it('are compared while the steps run, and the end waits for it', async () => {
    const steps: string[] = [];
    const status = Promise.withResolvers<CommitStatus>();
    await world.run({
      build: { before: BEFORE },
      async *listStatuses() {
        yield await status.promise;
      },
      onState({ phase, steps: now }) {
        steps.push(phase.kind);
        // The forge answers when the last step is over.
        if (now.length > 0 && now.every((step) => step.phase.kind === 'passed'))
          status.resolve({
            context: 'c3/push',
            state: 'failure',
            description: 'failed at main after 8s: exit code 1 (main, build a)',
          });
      },
    });
    expect(steps).toContain('running');
    expect(last()).toMatchObject({ previous: 'failed', phase: { kind: 'ended' } });
  });

  it('do not hold up the end of a build whose forge does not answer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
      const late = new AbortController();
      setTimeout(() => late.abort(), ms);
      return late.signal;
    });
    const file = { kind: 'missing' } as const;
    const never = new Promise<CommitStatus>(() => {});
    const asked = Promise.withResolvers<undefined>();
    const ending = world.run({
      file,
      build: { before: BEFORE },
      async *listStatuses() {
        asked.resolve(undefined);
        yield await never;
      },
    });
    await asked.promise;
    let isOver = false;
    void ending.then(() => {
      isOver = true;
    });
    await vi.advanceTimersByTimeAsync(4_999);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await ending).toMatchObject({ kind: 'config-error' });
    timeout.mockRestore();
  });
});

describe('the page of a build', () => {
  it('has an address once the forge has confirmed the push, which every status leads to', async () => {
    const proofs: object[] = [];
    await world.run({ links: LINKS, onLinks: (proof) => void proofs.push(proof) });
    expect(world.events.slice(0, 3)).toEqual(['prove', 'links', 'status pending']);
    expect(proofs).toMatchObject([{ trust: 'protected' }]);
    expect(world.targets).toEqual([LINKS.view]);
    expect(last()?.links).toEqual(LINKS);
  });

  it('has none for a push that the forge does not confirm', async () => {
    await world.run({ links: LINKS, proof: { kind: 'refused', message: 'no' } });
    expect(world.events).toEqual(['prove']);
    expect(last()).toMatchObject({ links: undefined, phase: { ending: { kind: 'refused' } } });
  });

  it('has one too where c3.yaml is wrong', async () => {
    await world.run({ links: LINKS, file: toFile('- nosuch: echo') });
    expect(last()).toMatchObject({ links: LINKS, phase: { ending: { kind: 'config-error' } } });
  });
});
