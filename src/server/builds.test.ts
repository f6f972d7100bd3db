import { afterEach, expect, it } from 'vitest';
import { type BuildState, type Ending, parseRef } from '../build/index.ts';
import { createBuild } from '../../test/fakes/sample-build.ts';
import { Superseded, type BuildRequest } from '../engine/index.ts';
import type { BuildRepository } from './build-repository.ts';
import { createState } from '../../dev/telegram/build-states.ts';
import { createBuilds, type AcceptedBuild, type Builds, type RunContext } from './builds.ts';

const SCOPE = { host: 'git.example.com', owner: 'acme', name: 'shop' };
const FINGERPRINT = 'c0ffee'.repeat(11);

interface Running {
  readonly builds: Builds;
  readonly requests: BuildRequest[];
  readonly contexts: RunContext[];
  readonly log: string[];
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
  const requests: BuildRequest[] = [];
  const contexts: RunContext[] = [];
  const ended = Promise.withResolvers<Ending>();
  const log: string[] = [];
  const note = (_fields: object, message: string): void => void log.push(message);
  const builds = createBuilds({
    log: { info: note, warn: note, error: note },
    run(request, context) {
      requests.push(request);
      contexts.push(context);
      return ended.promise;
    },
  });
  const running = { builds, requests, contexts, log, endAll: () => ended.resolve({ kind: 'passed', allowed: [] }) };
  open.push(running);
  return running;
}

interface Part {
  readonly ref?: string;
  readonly sha?: string;
  readonly owner?: string;
  leave?(): void;
}

function delivery(fingerprint: string, part: Part = {}): AcceptedBuild {
  const { ref = 'refs/heads/main', sha = '1'.repeat(40), owner = 'acme', leave = () => {} } = part;
  const repository = {} as BuildRepository;
  return {
    build: createBuild({ scope: { ...SCOPE, owner }, ref: parseRef(ref)!, sha }),
    token: 'a-token',
    repository,
    leave,
    fingerprint,
    isOldKey: true,
  };
}

it('names a build after its delivery, so that the same one has the same name for ever', () => {
  const one = setUp();
  expect(one.builds.accept(delivery(FINGERPRINT))).toEqual({ id: 'c0ffeec0ffee', isNew: true });
  expect(one.builds.accept(delivery(FINGERPRINT))).toEqual({ id: 'c0ffeec0ffee', isNew: false });
  expect(setUp().builds.accept(delivery(FINGERPRINT))).toEqual({ id: 'c0ffeec0ffee', isNew: true });
  expect(one.requests).toMatchObject([{ build: { id: 'c0ffeec0ffee' }, isOldKey: true, isResumed: false }]);
});

it('cancels what was accepted before of the same ref, and nothing else', () => {
  const { builds, requests } = setUp();
  builds.accept(delivery('a'.repeat(64)));
  builds.accept(delivery('b'.repeat(64), { ref: 'refs/heads/dev' }));
  builds.accept(delivery('c'.repeat(64), { owner: 'other' }));
  const { id } = builds.accept(delivery('d'.repeat(64), { sha: 'abcdef0'.repeat(5) }));
  builds.accept(delivery('e'.repeat(64)));
  builds.cancelPrevious({ id, scope: SCOPE });
  expect(requests.map(({ signal }) => signal.aborted)).toEqual([true, false, false, false, false]);
  expect(requests[0]?.signal.reason).toBeInstanceOf(Superseded);
  expect(requests[0]?.signal.reason).toMatchObject({ message: 'superseded by abcdef0' });
});

it('cancels all that run when a drain is told again, and halts them at the third time', async () => {
  const { builds, requests, endAll } = setUp();
  builds.accept(delivery('a'.repeat(64)));
  const [cancel, halt] = [new AbortController(), new AbortController()];
  const drained = builds.drain(cancel.signal, halt.signal);
  const [request] = requests;
  expect(() => builds.accept(delivery('b'.repeat(64)))).toThrow(expect.objectContaining({ code: 'DRAINING' }));
  expect(request?.signal.aborted).toBe(false);
  cancel.abort();
  expect([request?.signal.aborted, request?.haltSignal?.aborted]).toEqual([true, false]);
  halt.abort();
  expect(request?.haltSignal?.aborted).toBe(true);
  endAll();
  await drained;
  expect(builds.count).toBe(0);
});

it('shows the build that runs to whoever watches, from its first state to its last, and its links to nobody', async () => {
  const { builds, contexts, endAll } = setUp();
  const { id } = builds.accept(delivery(FINGERPRINT));
  const name = { id, scope: SCOPE };
  expect(builds.watch(name)).toBeUndefined();
  const links = { view: 'https://c3.example/b/l', control: 'https://c3.example/b/c' };
  contexts[0]?.onState({ ...createState({ kind: 'queued' }), links });
  const build = builds.watch(name);
  expect(build?.state).toMatchObject({ phase: { kind: 'queued' }, links: undefined });
  const seen: BuildState[] = [];
  const watched = (async (): Promise<void> => {
    for await (const state of build?.changes(new AbortController().signal) ?? []) seen.push(state);
  })();
  contexts[0]?.onState({ ...createState({ kind: 'running' }), links });
  endAll();
  await watched;
  expect(seen.map(({ phase, links: shown }) => [phase.kind, shown])).toContainEqual(['running', undefined]);
  await expect.poll(() => builds.watch(name)).toBeUndefined();
});

it('shows and cancels a build by the id and the repository, since an id alone could be met by a stranger', () => {
  const { builds, requests, contexts } = setUp();
  const { id } = builds.accept(delivery(FINGERPRINT));
  contexts[0]?.onState(createState({ kind: 'queued' }));
  const stranger = { id, scope: { ...SCOPE, owner: 'stranger' } };
  expect(builds.watch(stranger)).toBeUndefined();
  expect(builds.cancel(stranger, 'a stranger')).toBe(false);
  expect(requests[0]?.signal.aborted).toBe(false);
  expect(builds.accept(delivery(FINGERPRINT, { owner: 'other' }))).toEqual({ id, isNew: true });
  expect(builds.cancel({ id, scope: SCOPE }, 'somebody')).toBe(true);
  expect(requests.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  expect(requests[0]?.signal.reason).toMatchObject({ message: 'cancelled by somebody' });
});

it('gives its place back when its work is done, and cancels it no more, however long its reports take', async () => {
  const { builds, contexts, requests, log, endAll } = setUp();
  let places = 1;
  const leave = (): void => void (places = 0);
  const { id } = builds.accept(delivery(FINGERPRINT, { leave }));
  const ending = { kind: 'passed', allowed: [] } as const;
  contexts[0]?.onState(createState({ kind: 'running' }));
  contexts[0]?.onState(createState({ kind: 'ended', ending }));
  contexts[0]?.onOver(ending);
  expect([places, builds.count]).toEqual([0, 1]);
  expect(builds.cancel({ id, scope: SCOPE }, 'somebody')).toBe(false);
  expect(requests[0]?.signal.aborted).toBe(false);
  endAll();
  await expect.poll(() => builds.count).toBe(0);
  expect(log.filter((message) => message.startsWith('build ended'))).toEqual(['build ended: passed']);
});
