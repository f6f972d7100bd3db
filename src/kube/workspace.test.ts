import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ExecAnswer, ExecEnd, ExecOptions, Workspace } from '../engine/cluster.ts';
import { toPod, type Pod } from './api-types.ts';
import type { KubeClient } from './client.ts';
import { ExecLimiter, type OpenedExec } from './exec.ts';
import { createUnguardedLease } from './leases/lease.ts';
import { createWorkspace } from './workspace.ts';

const SILENT_MS = 120_000;
const DIALING = 'error dialing backend: dial tcp 10.0.0.7:10250: connect: no route to host';

let release: ((pod: Pod) => void) | undefined;
let answer: OpenedExec;
let execOptions: ExecOptions | undefined;
let lost: string | undefined;
let givenBack: boolean[];
let loseLease: (sentence: string) => void;

beforeEach(() => {
  vi.useFakeTimers();
  [release, execOptions, lost, givenBack] = [undefined, undefined, undefined, []];
});
afterEach(() => vi.useRealTimers());

function pod(ready: string, phase = 'Running'): Pod {
  const conditions = [
    { type: 'Ready', status: ready },
    { type: 'ContainersReady', status: 'True' },
  ];
  const metadata = { name: 'shop-1', uid: 'u' };
  return toPod({ metadata, spec: { nodeName: 'n1' }, status: { phase, conditions } });
}

function create(first = pod('True'), { isWarm = true, isAbandoned = false } = {}): Workspace {
  async function* follow(): AsyncGenerator<Pod | undefined, void, undefined> {
    while (true) yield await new Promise<Pod>((resolve) => (release = resolve));
  }
  const leaseLost = Promise.withResolvers<string>();
  loseLease = leaseLost.resolve;
  const unguarded = createUnguardedLease(7, { warning: 'no Leases', isResumed: false });
  const lease = { ...unguarded, lost: leaseLost.promise, isAbandoned };
  const workspace = createWorkspace(
    { kind: 'ready', pod: first, isWarm, states: follow(), stop: new AbortController() },
    {
      client: { request: () => Promise.reject(new Error('no log')) } as unknown as KubeClient,
      key: 'place',
      namespace: 'ci',
      execs: {
        open: async (_target, options) => ((execOptions = options), await Promise.resolve(answer)),
        close: () => undefined,
      },
      limiter: new ExecLimiter(),
      lease,
      silentNodeMs: SILENT_MS,
      giveBack: async ({ isClean }) => await Promise.resolve(void givenBack.push(isClean)),
    },
  );
  void workspace.lost.then((sentence) => (lost = sentence));
  return workspace;
}
async function exec(workspace: Workspace): Promise<ExecAnswer> {
  const ignore = (): void => undefined;
  return await workspace.exec('a', ['true'], {
    signal: new AbortController().signal,
    onStdout: ignore,
    onStderr: ignore,
  });
}
function ended(end: ExecEnd): ExecAnswer {
  const session = { write: async () => await Promise.resolve(), done: Promise.resolve(end), close: () => undefined };
  return { kind: 'open', session };
}

test('a workspace is abandoned only if the Pod of the last holder is still there', () => {
  expect(create(pod('True'), { isAbandoned: true }).isAbandoned).toBe(true);
  expect(create(pod('True'), { isAbandoned: true, isWarm: false }).isAbandoned).toBe(false);
  expect(create().isAbandoned).toBe(false);
});

describe('a workspace whose node', () => {
  test('is not ready for two minutes is lost, with the name of the node', async () => {
    create();
    await vi.advanceTimersByTimeAsync(0);
    release?.(pod('Unknown'));
    await vi.advanceTimersByTimeAsync(SILENT_MS - 1);
    expect(lost).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(lost).toBe(
      'node "n1" of Pod shop-1 has been out of reach for 120 s (it is not ready, the cluster says): what runs there is unknown',
    );
  });

  test('is ready again in time is not lost', async () => {
    create();
    await vi.advanceTimersByTimeAsync(0);
    release?.(pod('False'));
    await vi.advanceTimersByTimeAsync(SILENT_MS - 1);
    release?.(pod('True'));
    await vi.advanceTimersByTimeAsync(SILENT_MS);
    expect(lost).toBeUndefined();
  });

  test.each<[string, ExecAnswer]>([
    ['before the exec is open', { kind: 'refused', message: DIALING, isTransient: true }],
    ['as its status', ended({ kind: 'status', exitCode: undefined, message: `Internal error occurred: ${DIALING}` })],
  ])('cannot be reached by execs for two minutes is lost: the error comes %s', async (_when, given) => {
    answer = given;
    const workspace = create();
    await exec(workspace);
    await vi.advanceTimersByTimeAsync(SILENT_MS / 2);
    await exec(workspace);
    await vi.advanceTimersByTimeAsync(SILENT_MS / 2);
    expect(lost).toContain(DIALING);
  });

  test('still sends output of an exec is not lost, nor is one whose program prints the same message', async () => {
    answer = { kind: 'refused', message: DIALING, isTransient: true };
    const workspace = create();
    await exec(workspace);
    answer = ended({ kind: 'status', exitCode: 1, message: DIALING });
    await exec(workspace);
    await execOptions?.onStdout(Buffer.from('here'));
    await vi.advanceTimersByTimeAsync(2 * SILENT_MS);
    expect(lost).toBeUndefined();
  });
});

test.each([400, 401, 403, 404])('a refused exec is transient for 30 s after one was open: %i', async (code) => {
  const refused = { kind: 'refused', message: 'no', isTransient: false } as const;
  const workspace = create();
  answer = { ...refused, code };
  expect(await exec(workspace)).toEqual(refused);
  answer = ended({ kind: 'status', exitCode: 0, message: '' });
  await exec(workspace);
  answer = { ...refused, code };
  expect(await exec(workspace)).toEqual({ ...refused, isTransient: true });
  await vi.advanceTimersByTimeAsync(29_999);
  expect(await exec(workspace)).toEqual({ ...refused, isTransient: true });
  await vi.advanceTimersByTimeAsync(1);
  expect(await exec(workspace)).toEqual(refused);
});

test('a new node may fail to open an exec for 90 s', async () => {
  const refused = { kind: 'refused', message: 'no certificate yet', isTransient: false } as const;
  const workspace = create();
  answer = { ...refused, code: 500 };
  expect(await exec(workspace)).toEqual({ ...refused, isTransient: true });
  await vi.advanceTimersByTimeAsync(89_999);
  expect(await exec(workspace)).toEqual({ ...refused, isTransient: true });
  await vi.advanceTimersByTimeAsync(1);
  expect(await exec(workspace)).toEqual(refused);
});

test('a workspace whose Lease is lost is lost, and is not given back as clean', async () => {
  const workspace = create();
  loseLease('another c3 has taken over Pod shop-1');
  await vi.advanceTimersByTimeAsync(0);
  expect(lost).toBe('another c3 has taken over Pod shop-1');
  await workspace.release({ isClean: true });
  expect(givenBack).toEqual([false]);
});

describe('a workspace whose status does not yet show that it runs', () => {
  async function leave(): Promise<void> {
    void create(pod('False', 'Pending')).release({ isClean: true });
    await vi.advanceTimersByTimeAsync(2_999);
    expect(givenBack).toEqual([]);
  }

  test('is given back when the status shows it', async () => {
    await leave();
    release?.(pod('False', 'Pending'));
    await vi.advanceTimersByTimeAsync(0);
    expect(givenBack).toEqual([]);
    release?.(pod('True'));
    await vi.advanceTimersByTimeAsync(0);
    expect(givenBack).toEqual([true]);
  });

  test('is given back after three seconds', async () => {
    await leave();
    await vi.advanceTimersByTimeAsync(1);
    expect(givenBack).toEqual([true]);
  });

  test('is lost when the status does not show it for two minutes, although execs work', async () => {
    answer = ended({ kind: 'status', exitCode: 0, message: '' });
    const workspace = create(pod('False', 'Pending'));
    await vi.advanceTimersByTimeAsync(SILENT_MS - 1);
    await exec(workspace);
    await execOptions?.onStdout(Buffer.from('here'));
    expect(lost).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(lost).toBe(
      'node "n1" of Pod shop-1 has not reported for 120 s that the Pod runs: what runs there is unknown',
    );
  });

  test('is not lost when the status shows it in time', async () => {
    create(pod('False', 'Pending'));
    await vi.advanceTimersByTimeAsync(0);
    release?.(pod('True'));
    await vi.advanceTimersByTimeAsync(2 * SILENT_MS);
    expect(lost).toBeUndefined();
  });

  test('is given back at once when it is lost', async () => {
    await leave();
    loseLease('another c3 has taken over Pod shop-1');
    await vi.advanceTimersByTimeAsync(0);
    expect(givenBack).toEqual([false]);
  });
});

test('a workspace has the epoch and the warnings of its Lease', () => {
  expect(create()).toMatchObject({ name: 'shop-1', id: 'u', isWarm: true, epoch: 7, warnings: ['no Leases'] });
});
