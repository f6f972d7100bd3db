import { afterEach, describe, expect, it } from 'vitest';
import { createState } from '../../dev/telegram/build-states.ts';
import { createEnded } from '../../dev/telegram/build-states.ts';
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

function setUp(lastReportMs = 1): Running {
  const ended = Promise.withResolvers<Ending>();
  const lists = { requests: [] as BuildRequest[], contexts: [] as RunContext[] };
  const [log, slots, confirmed]: string[][] = [[], [], []];
  const note = (_fields: object, message: string): void => void log?.push(message);
  const builds = createBuilds({
    lastReportMs,
    log: { info: note, warn: note, error: note },
    limits: {
      acquireBuildSlot({ repository }) {
        slots?.push(repository);
        return () => void slots?.splice(0, 1);
      },
      confirm: ({ id: hook }) => void confirmed?.push(hook),
      isNew: () => false,
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
    hook: { id: 'a-hook', repository: `git.example.com/${owner}/shop`, isSealedWithSecret: true },
    token: 'a-token',
    repository: repository as unknown as NewBuild['repository'],
    isOldKey: true,
  };
}

it('starts a build once while it runs', () => {
  const { builds, requests, slots } = setUp();
  expect([builds.start(createNew(ID)), builds.start(createNew(ID))]).toEqual(['started', 'running']);
  expect(requests).toMatchObject([{ build: { id: ID }, isOldKey: true, isResumed: false }]);
  expect(slots).toEqual(['git.example.com/acme/shop']);
});

it.each([
  [{ kind: 'passed', allowed: [] }, 'ended'],
  [{ kind: 'config-error', message: 'There is no c3.yaml' }, 'started'],
  [{ kind: 'infrastructure-error', message: 'exceeded quota' }, 'started'],
] as const)('answers a delivery whose build ended with %j: %s', async (ending, expected) => {
  const { builds, contexts, endAll } = setUp();
  builds.start(createNew(ID));
  contexts[0]?.onState(createEnded(ending));
  endAll();
  await expect.poll(() => builds.count).toBe(0);
  expect(builds.start(createNew(ID))).toBe(expected);
});

it('confirms the hook of a build when the forge has proven its push', async () => {
  const { builds, requests, contexts, confirmed } = setUp();
  builds.start(createNew(ID));
  expect([contexts[0]?.isProven(), confirmed]).toEqual([false, []]);
  await requests[0]?.repository.prove(requests[0].build, requests[0].signal);
  expect([contexts[0]?.isProven(), confirmed]).toEqual([true, ['a-hook']]);
});

it('lets one build at a time be the proven one of a commit and a ref', async () => {
  const { builds, endAll } = setUp();
  const tag = { ref: 'refs/tags/v1' };
  builds.start(createNew('a', tag));
  builds.start(createNew('b', tag));
  builds.start(createNew('c'));
  const claim = (id: string): boolean => builds.claim({ id, scope: SCOPE });
  expect(['b', 'a', 'c'].map(claim)).toEqual([true, false, true]);
  endAll();
  await expect.poll(() => builds.count).toBe(0);
  builds.start(createNew('d', tag));
  expect(claim('d')).toBe(true);
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

describe('a drain while reports cannot be delivered', () => {
  const WAITS =
    'the build has ended, but its reports are not delivered yet; c3 tries for up to ten minutes, and a second signal ends c3 without them';
  const GAVE_UP = 'gave up the reports of the build';

  it('says so at once, and the second signal ends it', async () => {
    const { builds, contexts, log } = setUp();
    builds.start(createNew('a'));
    contexts[0]?.onOver(ENDED);
    const cancel = new AbortController();
    const drained = builds.drain(cancel.signal);
    expect(log.slice(-1)).toEqual([WAITS]);
    cancel.abort();
    await drained;
    expect(log.slice(-1)).toEqual([GAVE_UP]);
  });

  it('waits at the second signal for the end of a build, then a little for its reports', async () => {
    const { builds, contexts, log } = setUp();
    builds.start(createNew('a'));
    let isDrained = false;
    const drained = builds.drain(AbortSignal.abort()).then(() => (isDrained = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect([isDrained, log.includes(WAITS)]).toEqual([false, false]);
    contexts[0]?.onOver(ENDED);
    await drained;
    expect(log.slice(-1)).toEqual([GAVE_UP]);
  });

  it('ends after the third signal, whatever is under way', async () => {
    const { builds, log } = setUp();
    builds.start(createNew('a'));
    const halt = new AbortController();
    const drained = builds.drain(AbortSignal.abort(), halt.signal);
    halt.abort();
    await drained;
    expect(log.slice(-1)).toEqual([GAVE_UP]);
  });

  it('gives up nothing that is reported in time', async () => {
    const { builds, contexts, log, endAll } = setUp(1_000_000);
    builds.start(createNew('a'));
    const drained = builds.drain(AbortSignal.abort());
    contexts[0]?.onOver(ENDED);
    endAll();
    await drained;
    expect(log.slice(-1)).toEqual(['build reported']);
  });
});

it('finds and cancels a build by its id and repository, because a stranger could get the same id', () => {
  const { builds, requests, contexts } = setUp();
  builds.start(createNew(ID));
  contexts[0]?.onState(createState({ kind: 'queued' }));
  const stranger = { id: ID, scope: { ...SCOPE, owner: 'stranger' } };
  expect(builds.find(stranger)).toBeUndefined();
  expect(builds.cancel(stranger, 'a stranger')).toBe(false);
  expect(requests[0]?.signal.aborted).toBe(false);
  expect(builds.start(createNew(ID, { owner: 'other' }))).toBe('started');
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
  expect(builds.start(createNew(ID))).toBe('ended');
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
