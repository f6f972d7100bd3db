import { afterEach, describe, expect, it } from 'vitest';
import { createState } from '../../dev/telegram/build-states.ts';
import { createBuild } from '../../test/fakes/sample-build.ts';
import { type Build, type BuildState, type Ending, parseRef } from '../build/index.ts';
import { Superseded, type BuildRequest } from '../engine/index.ts';
import type { RunningBuild } from '../logs/index.ts';
import { createBuilds, type Builds, type NewBuild, type RunContext } from './builds.ts';

const SCOPE = { host: 'git.example.com', owner: 'acme', name: 'shop' };
const ID = 'c0ffeec0ffee';
const ENDED = { kind: 'passed', allowed: [] } as const;

interface Running {
  readonly builds: Builds;
  readonly requests: BuildRequest[];
  readonly contexts: RunContext[];
  readonly log: string[];
  /** The repositories that have a slot. */
  readonly slots: string[];
  readonly confirmed: string[];
  endAll(): void;
}

const open: Running[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) {
    one.endAll();
    await one.builds.drain(new AbortController().signal);
  }
});

function setUp(): Running {
  const ended = Promise.withResolvers<Ending>();
  const lists = { requests: [] as BuildRequest[], contexts: [] as RunContext[] };
  const [log, slots, confirmed]: string[][] = [[], [], []];
  const note = (_fields: object, message: string): void => void log?.push(message);
  const builds = createBuilds({
    log: { info: note, warn: note, error: note },
    limits: {
      acquireBuildSlot({ repository }) {
        slots?.push(repository);
        return () => void slots?.splice(0, 1);
      },
      confirm: (hook) => void confirmed?.push(hook),
    },
    run(request, context) {
      lists.requests.push(request);
      lists.contexts.push(context);
      return ended.promise;
    },
  });
  const endAll = (): void => ended.resolve(ENDED);
  const running = { builds, ...lists, log: log ?? [], slots: slots ?? [], confirmed: confirmed ?? [], endAll };
  open.push(running);
  return running;
}

function createNew(id: string, part: { ref?: string; sha?: string; owner?: string } = {}): NewBuild & { build: Build } {
  const { ref = 'refs/heads/main', sha = '1'.repeat(40), owner = 'acme' } = part;
  const repository = { prove: () => Promise.resolve({ kind: 'proven', trust: 'other' }) };
  return {
    build: createBuild({ id, scope: { ...SCOPE, owner }, ref: parseRef(ref)!, sha }),
    hook: 'a-hook',
    token: 'a-token',
    repository: repository as unknown as NewBuild['repository'],
    isOldKey: true,
  };
}

it('starts a build once while it runs', () => {
  const { builds, requests, slots } = setUp();
  expect([builds.start(createNew(ID)), builds.start(createNew(ID))]).toEqual([true, false]);
  expect(requests).toMatchObject([{ build: { id: ID }, isOldKey: true, isResumed: false }]);
  expect(slots).toEqual(['git.example.com/acme/shop']);
});

it('confirms the hook of a build when the forge has proven its push', async () => {
  const { builds, requests, contexts, confirmed } = setUp();
  builds.start(createNew(ID));
  expect([contexts[0]?.isProven(), confirmed]).toEqual([false, []]);
  await requests[0]?.repository.prove(requests[0].build, requests[0].signal);
  expect([contexts[0]?.isProven(), confirmed]).toEqual([true, ['a-hook']]);
});

it('cancels earlier builds of the same ref, and no others', () => {
  const { builds, requests } = setUp();
  builds.start(createNew('a'));
  builds.start(createNew('b', { ref: 'refs/heads/dev' }));
  builds.start(createNew('c', { owner: 'other' }));
  builds.start(createNew('d', { sha: 'abcdef0'.repeat(5) }));
  builds.start(createNew('e'));
  builds.cancelPrevious({ id: 'd', scope: SCOPE });
  expect(requests.map(({ signal }) => signal.aborted)).toEqual([true, false, false, false, false]);
  expect(requests[0]?.signal.reason).toBeInstanceOf(Superseded);
  expect(requests[0]?.signal.reason).toMatchObject({ message: 'superseded by abcdef0' });
});

it('cancels all builds at the second signal of a drain, and halts them at the third', async () => {
  const { builds, requests, endAll } = setUp();
  builds.start(createNew('a'));
  const [cancel, halt] = [new AbortController(), new AbortController()];
  const drained = builds.drain(cancel.signal, halt.signal);
  const [request] = requests;
  expect(() => builds.start(createNew('b'))).toThrow(expect.objectContaining({ code: 'DRAINING' }));
  expect(request?.signal.aborted).toBe(false);
  cancel.abort();
  expect([request?.signal.aborted, request?.haltSignal?.aborted]).toEqual([true, false]);
  halt.abort();
  expect(request?.haltSignal?.aborted).toBe(true);
  endAll();
  await drained;
  expect(builds.count).toBe(0);
});

it('finds and cancels a build by its id and repository, because a stranger could get the same id', () => {
  const { builds, requests, contexts } = setUp();
  builds.start(createNew(ID));
  contexts[0]?.onState(createState({ kind: 'queued' }));
  const stranger = { id: ID, scope: { ...SCOPE, owner: 'stranger' } };
  expect(builds.find(stranger)).toBeUndefined();
  expect(builds.cancel(stranger, 'a stranger')).toBe(false);
  expect(requests[0]?.signal.aborted).toBe(false);
  expect(builds.start(createNew(ID, { owner: 'other' }))).toBe(true);
  expect(builds.cancel({ id: ID, scope: SCOPE }, 'somebody')).toBe(true);
  expect(requests.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  expect(requests[0]?.signal.reason).toMatchObject({ message: 'cancelled by somebody' });
});

it('releases the slot and cannot be cancelled once its work is done, however long the reports take', async () => {
  const { builds, contexts, requests, slots, log, endAll } = setUp();
  builds.start(createNew(ID));
  contexts[0]?.onState(createState({ kind: 'running' }));
  contexts[0]?.onState(createState({ kind: 'ended', ending: ENDED }));
  expect(slots).toHaveLength(1);
  contexts[0]?.onOver(ENDED);
  expect([slots.length, builds.count]).toEqual([0, 1]);
  expect(builds.cancel({ id: ID, scope: SCOPE }, 'somebody')).toBe(false);
  expect(requests[0]?.signal.aborted).toBe(false);
  endAll();
  await expect.poll(() => builds.count).toBe(0);
  expect(log.filter((message) => message.startsWith('build ended'))).toEqual(['build ended: passed']);
});

describe('the states of a running build', () => {
  interface Watched {
    readonly running: RunningBuild;
    show(detail: string): void;
    end(): void;
  }

  function watch(): Watched {
    const { builds, contexts, endAll } = setUp();
    builds.start(createNew(ID));
    expect(builds.find({ id: ID, scope: SCOPE })).toBeUndefined();
    const links = { view: 'https://c3.example/b/v', control: 'https://c3.example/b/c' };
    const show = (detail: string): void =>
      contexts[0]?.onState({ ...createState({ kind: 'preparing', detail }), links });
    show('one');
    return { running: builds.find({ id: ID, scope: SCOPE })!, show, end: endAll };
  }

  function detailOf(state: BuildState | void): string | undefined {
    return state?.phase.kind === 'preparing' ? state.phase.detail : undefined;
  }

  it('have no links', () => {
    expect(watch().running.state).toMatchObject({ phase: { detail: 'one' }, links: undefined });
  });

  it('are shown from the newest to the last, without those that were replaced meanwhile', async () => {
    const { running, show, end } = watch();
    show('two');
    const changes = running.changes(new AbortController().signal)[Symbol.asyncIterator]();
    expect(detailOf((await changes.next()).value)).toBe('two');
    for (const detail of ['three', 'four', 'five']) show(detail);
    expect(detailOf((await changes.next()).value)).toBe('five');
    const next = changes.next();
    show('six');
    expect(detailOf((await next).value)).toBe('six');
    show('seven');
    end();
    expect(detailOf((await changes.next()).value)).toBe('seven');
    expect(await changes.next()).toEqual({ value: undefined, done: true });
  });

  it('reach every watcher until it stops', async () => {
    const { running, show } = watch();
    const stop = new AbortController();
    const leaving = running.changes(stop.signal)[Symbol.asyncIterator]();
    const staying = running.changes(new AbortController().signal)[Symbol.asyncIterator]();
    await leaving.next();
    await staying.next();
    const [gone, there] = [leaving.next(), staying.next()];
    stop.abort();
    expect(await gone).toEqual({ value: undefined, done: true });
    show('two');
    expect(detailOf((await there).value)).toBe('two');
  });
});
