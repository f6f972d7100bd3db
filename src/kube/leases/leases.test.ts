import fc from 'fast-check';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { UnreachableError, type KubeAnswer, type KubeClient, type KubeRequest } from '../client.ts';
import type { Lease } from './lease.ts';
import { createLeases, type Leases } from './leases.ts';

/** The fake API: one Lease with versions, and planned faults. */
interface Stored {
  metadata: { name: string; resourceVersion?: string; annotations?: Record<string, string> };
  spec: { holderIdentity: string; leaseTransitions: number };
}
let stored: Stored | undefined;
let requests: string[];
let version: number;
/** Called before each answer. May throw instead of the answer. */
let before: (request: KubeRequest) => void;
/** The same after the change is made, so that the answer is lost. */
let after: (request: KubeRequest) => void;

const LIMITS = { leaseMs: 1000, renewMs: 20, pollMs: 4, unreachableMs: 60 };
const PLAN = { namespace: 'ci', name: 'shop-1', labels: { 'c3.build/job': 'shop' } };
const NEVER = new AbortController().signal;
/** A loaded machine is slow. */
const AWAY = new UnreachableError('Cannot reach the cluster', true);

beforeEach(() => {
  [stored, requests, version] = [undefined, [], 0];
  before = () => undefined;
  after = () => undefined;
});

const client: Pick<KubeClient, 'request'> = {
  async request(request) {
    requests.push(request.method);
    await Promise.resolve();
    before(request);
    const answer = handle(request);
    after(request);
    return answer;
  },
};

function handle({ method, body }: KubeRequest): KubeAnswer {
  const given = body as Stored & { preconditions?: { resourceVersion: string } };
  if (method === 'POST' && stored) return refuse(409, 'AlreadyExists');
  if (method !== 'POST' && !stored) return refuse(404, 'NotFound');
  const wanted = method === 'PUT' ? given.metadata.resourceVersion : given?.preconditions?.resourceVersion;
  if (wanted !== undefined && wanted !== stored?.metadata.resourceVersion) return refuse(409, 'Conflict');
  if (method === 'DELETE') stored = undefined;
  else if (method !== 'GET') store(given);
  return { kind: 'ok', body: structuredClone(stored) ?? {} };
}
function refuse(code: number, reason: string): KubeAnswer {
  return { kind: 'refused', code, reason, message: reason };
}
function store(lease: Stored): void {
  version += 1;
  stored = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(version) } };
}
/** Stores a Lease as another process left it. */
function leave(holder: string, annotations: Record<string, string> = {}): void {
  const spec = { holderIdentity: holder, leaseTransitions: 1e9, leaseDurationSeconds: 1 };
  store({ metadata: { name: 'shop-1', annotations }, spec });
}

function createProcess(limits: Partial<typeof LIMITS> = {}): Leases {
  return createLeases(client as KubeClient, { ...LIMITS, ...limits });
}
async function acquire(
  leases: Leases,
  build: string,
  options: { reasons?: string[]; signal?: AbortSignal; isResumed?: boolean } = {},
): Promise<Lease> {
  const { signal = NEVER, reasons, isResumed = false } = options;
  const onWaiting = (reason: string) => void reasons?.push(reason);
  const answer = await leases.acquire({ plan: PLAN, build, isResumed }, { signal, onWaiting });
  if (answer.kind !== 'held') throw new Error(JSON.stringify(answer));
  onTestFinished(async () => await answer.lease.release()); // It would go on renewing itself in the next test.
  return answer.lease;
}

describe('a Lease', () => {
  test('costs one request to take and one to release, also the second time', async () => {
    const leases = createProcess();
    const first = await acquire(leases, 'b1');
    expect(stored?.spec).toMatchObject({ holderIdentity: expect.stringMatching(/^b1@[0-9a-f]{12}$/) as string });
    await first.release();
    const second = await acquire(leases, 'b2');
    await second.release();
    expect(requests).toEqual(['POST', 'PUT', 'PUT', 'PUT']);
    expect([first.isUndisputed, second.isUndisputed]).toEqual([false, true]);
    expect(second.epoch).toBeGreaterThan(first.epoch);
    expect(stored?.spec.holderIdentity).toBe('');
  });

  test('is read again, and not remembered, when somebody waited for it at its release', async () => {
    const leases = createProcess();
    const first = await acquire(leases, 'b1');
    if (stored) stored.metadata.annotations = { ...stored.metadata.annotations, 'c3.build/queue': '["other@n"]' };
    before = ({ method, body }) => {
      if (method === 'PUT')
        Object.assign((body as Stored).metadata.annotations ?? {}, { 'c3.build/queue': '["other@n"]' });
    };
    await first.release();
    before = () => undefined;
    const { length } = requests;
    const stop = new AbortController();
    const waits = acquire(leases, 'b2', { signal: stop.signal }).catch(() => undefined);
    await expect.poll(() => requests.slice(length, length + 2)).toEqual(['POST', 'GET']);
    stop.abort();
    await waits;
  });

  test('is abandoned when another build has it and did not release it, and not when that build is resumed', async () => {
    leave('b1@other');
    const second = await acquire(createProcess(), 'b2');
    leave('b2@other');
    const resumed = await acquire(createProcess(), 'b2', { isResumed: true });
    await resumed.release();
    const all = [second, resumed, await acquire(createProcess(), 'b3')];
    expect(all.map(({ isAbandoned }) => isAbandoned)).toEqual([true, false, false]);
  });

  test('is renewed while it is held, and not after its release', async () => {
    const lease = await acquire(createProcess({ renewMs: 2 }), 'b1');
    await expect.poll(() => requests.length).toBeGreaterThan(3);
    await lease.release();
    const { length } = requests;
    await acquire(createProcess(), 'b2');
    expect(requests.slice(length)).not.toContain('DELETE');
    expect(requests.slice(length, length + 2)).toEqual(['POST', 'GET']);
  });

  test('has one holder at a time, in the order of arrival, with a greater epoch each time', async () => {
    let last = await acquire(createProcess(), 'a');
    const taken: string[] = [];
    const reasons: string[] = [];
    const waiting: Promise<Lease>[] = [];
    for (const build of ['b', 'c', 'd']) {
      const lease = acquire(createProcess(), build, { reasons });
      waiting.push(lease.then((held) => (taken.push(build), held)));
      // Enter the queue before the next one comes.
      await expect.poll(() => JSON.stringify(stored)).toContain(`${build}@`);
    }
    expect(taken).toEqual([]);
    for (const [index, next] of waiting.entries()) {
      await last.release();
      const lease = await next;
      expect(taken).toEqual(['b', 'c', 'd'].slice(0, index + 1));
      expect(lease.epoch).toBeGreaterThan(last.epoch);
      last = lease;
    }
    expect(new Set(reasons)).toEqual(new Set(['another c3 has the Pod']));
    await last.release();
  });

  test('is not taken by its last holder while another claimant waits', async () => {
    const [mine, other] = [createProcess(), createProcess()];
    const first = await acquire(mine, 'b1');
    const theirs = acquire(other, 'x');
    await expect.poll(() => JSON.stringify(stored)).toContain('x@');
    await first.release();
    const again = acquire(mine, 'b2');
    const lease = await theirs;
    expect(stored?.spec.holderIdentity).toMatch(/^x@/);
    await lease.release();
    expect((await again).isUndisputed).toBe(false);
  });

  test('of a dead holder is taken over after its duration, and the former holder loses it', async () => {
    const dead = await acquire(createProcess({ leaseMs: 1000, renewMs: 1e9 }), 'dead');
    const lease = await acquire(createProcess(), 'alive');
    expect(lease.epoch).toBeGreaterThan(dead.epoch);
    expect(await dead.confirm()).toBe(false);
    expect(await dead.lost).toBe(
      'another c3 has taken over Pod shop-1, for build alive: this one had not renewed its Lease in time',
    );
    await Promise.all([dead.release(), dead.remove()]);
    expect(stored?.spec.holderIdentity).toMatch(/^alive@/);
    expect(lease.isLost).toBe(false);
    await lease.release();
  });

  test('is not lost while the cluster is away, and is renewed when it is back', async () => {
    const lease = await acquire(createProcess({ renewMs: 2 }), 'b1');
    const { length } = requests;
    before = () => {
      throw AWAY;
    };
    await expect.poll(() => requests.length).toBeGreaterThan(length + 5);
    before = () => undefined;
    const back = version;
    await expect.poll(() => version).toBeGreaterThan(back);
    expect(lease.isLost).toBe(false);
    await lease.release();
    expect(stored?.spec.holderIdentity).toBe('');
  });

  test('that somebody deleted is created again, with the same epoch', async () => {
    const lease = await acquire(createProcess({ renewMs: 2 }), 'b1');
    stored = undefined;
    await expect.poll(() => stored).toBeDefined();
    expect(stored).toMatchObject({
      spec: { leaseTransitions: lease.epoch, holderIdentity: expect.stringMatching(/^b1@/) },
    });
    await lease.release();
  });

  test('is taken when the answer to the request was lost', async () => {
    after = () => {
      after = () => undefined;
      throw AWAY;
    };
    const lease = await acquire(createProcess(), 'b1');
    expect(requests).toEqual(['POST', 'POST', 'GET']);
    await lease.release();
  });

  test('is released when the answer to the request was lost', async () => {
    const leases = createProcess();
    const lease = await acquire(leases, 'b1');
    // Like the client, which retries a request without an answer. The retry finds another version.
    before = (request) => {
      before = () => undefined;
      handle(request);
    };
    await lease.release();
    expect(lease.isLost).toBe(false);
    expect(requests).toEqual(['POST', 'PUT', 'GET']);
    expect((await acquire(leases, 'b2')).isUndisputed).toBe(true);
  });

  test('fails when the cluster is unreachable for too long', async () => {
    before = () => {
      throw AWAY;
    };
    await expect(acquire(createProcess(), 'b1')).rejects.toThrow(
      '{"kind":"failed","message":"Cannot reach the cluster"}',
    );
  });

  test('is not waited for after an abort, and the claimant leaves the queue', async () => {
    leave('other@x');
    const abort = new AbortController();
    const answer = acquire(createProcess(), 'b1', { signal: abort.signal });
    await expect.poll(() => JSON.stringify(stored)).toContain('b1@');
    abort.abort();
    await expect(answer).rejects.toThrow('{"kind":"aborted"}');
    await expect.poll(() => JSON.stringify(stored)).not.toContain('b1@');
  });
});

test('a Lease has one holder at a time, for any builds, processes and lost answers', async () => {
  const faults = fc.infiniteStream(fc.constantFrom('none', 'none', 'none', 'cut', 'lost answer'));
  const counts = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(counts, faults, async (builds, schedule) => {
      stored = undefined;
      let fault = 'none';
      before = ({ body }) => {
        // A holder that cannot release counts as dead only later, which another test covers.
        const isGivenBack = (body as Stored | undefined)?.spec.holderIdentity === '';
        fault = isGivenBack ? 'none' : String(schedule.next().value);
        if (fault === 'cut') throw AWAY;
      };
      after = () => {
        if (fault === 'lost answer') throw AWAY;
      };
      let holders = 0;
      const epochs: number[] = [];
      async function visit(leases: Leases, build: string): Promise<void> {
        const lease = await acquire(leases, build);
        holders += 1;
        expect(holders).toBe(1);
        epochs.push(lease.epoch);
        await lease.recordPod('uid-1');
        holders -= 1;
        await lease.release();
      }
      const visits = builds.map(async (count, process) => {
        const leases = createProcess({ pollMs: 1, renewMs: 1e9, unreachableMs: 1e9 });
        for (let number = 0; number < count; number += 1) await visit(leases, `p${process}b${number}`);
      });
      await Promise.all(visits);
      expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
      expect(stored).toMatchObject({ spec: { holderIdentity: '' } });
    }),
    { numRuns: 20 },
  );
});

describe('a resumed build', () => {
  test('takes the Lease of its former process at once, and knows in which Pod it began', async () => {
    const former = await acquire(createProcess({ renewMs: 1e9 }), 'b1');
    await former.recordPod('uid-1');
    // It would wait far beyond the limit of a test for the end of that Lease.
    const lease = await acquire(createProcess({ leaseMs: 1e9 }), 'b1', { isResumed: true });
    expect(lease.startedIn).toBe('uid-1');
    expect(lease.epoch).toBeGreaterThan(former.epoch);
    await lease.release();
  });

  test('has not begun if its Pod did not exist', async () => {
    const former = await acquire(createProcess({ renewMs: 1e9 }), 'b1');
    await former.recordPod('');
    const lease = await acquire(createProcess(), 'b1', { isResumed: true });
    expect(lease.startedIn).toBeUndefined();
    await lease.release();
  });

  test('knows where it began also after other builds used the Pod', async () => {
    const leases = createProcess();
    for (const build of ['b1', 'b2', 'b3']) {
      const lease = await acquire(leases, build);
      await lease.recordPod('uid-1');
      await lease.release();
    }
    const lease = await acquire(createProcess(), 'b1', { isResumed: true });
    expect(lease.startedIn).toBe('uid-1');
    await lease.release();
  });
});

test('the Pod of the last build is recorded while the Lease is taken, without another request', async () => {
  const leases = createProcess();
  const first = await acquire(leases, 'b1');
  await first.recordPod('uid-1');
  await first.release();
  requests.length = 0;
  const second = await acquire(leases, 'b2');
  await second.recordPod('uid-1');
  await second.release();
  expect(requests).toEqual(['PUT', 'PUT']);
  expect(stored?.metadata.annotations?.['c3.build/builds']).toBe('[["b1","uid-1"],["b2","uid-1"]]');
});

describe('removing a Lease', () => {
  test('deletes it when it has no other records', async () => {
    const lease = await acquire(createProcess(), 'b1');
    await lease.remove();
    expect(stored).toBeUndefined();
  });

  test('releases it when another build began in the Pod', async () => {
    leave('', { 'c3.build/builds': '[["b0","uid-1"]]' });
    const lease = await acquire(createProcess(), 'b1');
    await lease.remove();
    expect(stored).toMatchObject({ spec: { holderIdentity: '' } });
    expect(stored?.metadata.annotations?.['c3.build/builds']).toBe('[["b0","uid-1"],["b1","uid-1"]]');
  });

  test('releases it when somebody waits', async () => {
    const lease = await acquire(createProcess(), 'b1');
    const next = acquire(createProcess(), 'b2');
    await expect.poll(() => JSON.stringify(stored)).toContain('b2@');
    await lease.remove();
    expect((await next).epoch).toBe(lease.epoch + 1);
    await (await next).remove();
    expect(stored).toBeDefined();
  });
});

describe('claiming the Lease of an unused Pod', () => {
  test('takes a Lease that nobody holds, and removes its builds', async () => {
    const leases = createProcess();
    const lease = await acquire(leases, 'b1');
    await lease.recordPod('uid-1');
    await lease.release();
    const claimed = await leases.claimUnused(PLAN);
    await claimed?.remove();
    expect(stored).toBeUndefined();
  });

  test('does not take a Lease that another claimant has taken since, or waits for', async () => {
    const leases = createProcess();
    const lease = await acquire(leases, 'b1');
    await lease.release();
    leave('other@x');
    expect(await leases.claimUnused(PLAN)).toBeUndefined();
    leave('', { 'c3.build/queue': '["other@x"]' });
    expect(await leases.claimUnused(PLAN)).toBeUndefined();
    expect(stored?.metadata.annotations).toEqual({ 'c3.build/queue': '["other@x"]' });
  });
});

describe('without the right to use Leases', () => {
  test('a build continues with a warning, and its epoch grows', async () => {
    const message = 'leases.coordination.k8s.io is forbidden: User "ci" cannot create resource "leases"';
    const refuses = async () => await Promise.resolve({ kind: 'refused', code: 403, reason: 'Forbidden', message });
    const leases = createLeases({ request: refuses } as unknown as KubeClient);
    const [first, second] = [await acquire(leases, 'b1'), await acquire(leases, 'b2')];
    expect(first.warnings).toEqual([
      `c3 cannot prevent another c3 from using the Pod at the same time (${message}): the Role needs get, list, create, update and delete on "leases" of "coordination.k8s.io"`,
    ]);
    expect(second.epoch).toBeGreaterThan(first.epoch);
    await Promise.all([first.release(), second.remove()]);
  });
});
