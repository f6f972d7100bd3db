import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { REFUSALS } from '../../dev/cluster/faults.ts';
import { createEmbeddedCluster, type EmbeddedCluster } from '../../dev/cluster/index.ts';
import type { Cluster, WorkspaceAnswer, WorkspaceRequest } from '../../src/engine/cluster.ts';
import { parseKubeconfig } from '../../src/kube/kubeconfig.ts';
import { createKubernetesCluster } from '../../src/kube/kubernetes-cluster.ts';

/** Faults of Leases that only the embedded cluster causes on demand. */
let embedded: EmbeddedCluster;
const clusters: Cluster[] = [];

const FORBIDDEN = {
  kind: 'refuse',
  code: 403,
  reason: 'Forbidden',
  message: 'leases.coordination.k8s.io is forbidden: User "ci" cannot create resource "leases"',
} as const;
const NO_SUCH_API = {
  kind: 'refuse',
  code: 404,
  reason: 'NotFound',
  message: 'the server could not find the requested resource',
} as const;

beforeAll(async () => {
  embedded = await createEmbeddedCluster();
});
afterEach(() => embedded.faults.clear());
afterAll(async () => {
  await Promise.all(clusters.map(async (cluster) => await cluster.close()));
  await embedded.close();
});

function createProcess(): Cluster {
  const limits = { leaseMs: 2_000, renewMs: 50, pollMs: 20 };
  const cluster = createKubernetesCluster(parseKubeconfig(embedded.kubeconfig), limits);
  clusters.push(cluster);
  return cluster;
}
function toRequest(name: string, changes: Partial<WorkspaceRequest> = {}): WorkspaceRequest {
  const spec = {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image: 'busybox:1', command: ['sleep', '1000'] }],
  };
  return {
    manifest: { metadata: { name }, spec },
    scope: `git.example.com/acme/${name}`,
    owner: 'branches',
    root: '/c3/.c3',
    buildId: 'b1',
    isResumed: false,
    reuse: true,
    idleMs: 600_000,
    maxAgeMs: 600_000,
    neededMs: 1_000,
    ...changes,
  };
}
const { signal } = new AbortController();
async function answerTo(
  cluster: Cluster,
  name: string,
  changes: Partial<WorkspaceRequest> = {},
  onWaiting: (reason: string) => void = () => undefined,
): Promise<WorkspaceAnswer> {
  return await cluster.openWorkspace(toRequest(name, changes), { signal, startTimeoutMs: 60_000, onWaiting });
}
async function open(...request: Parameters<typeof answerTo>) {
  const answer = await answerTo(...request);
  if (answer.kind !== 'ready') throw new Error(JSON.stringify(answer));
  return answer.workspace;
}

describe('without Leases', () => {
  test.each([
    ['the right to use them is missing', FORBIDDEN],
    ['the cluster has none', NO_SUCH_API],
  ])('builds run with a warning that %s', async (_what, fault) => {
    embedded.faults.onRequest({ kind: 'lease-create' }, fault);
    const cluster = createProcess();
    const name = `bare-${fault.code}`;
    const first = await open(cluster, name);
    expect(first.warnings).toEqual([expect.stringContaining(fault.message)]);
    await first.release({ isClean: true });
    const second = await open(cluster, name, { buildId: 'b2' });
    expect(second.id).toBe(first.id);
    expect(second.epoch).toBeGreaterThan(first.epoch);
    await second.release({ isClean: false });
  });

  test('a resumed build continues in the existing Pod, and begins in no other', async () => {
    embedded.faults.onRequest({ kind: 'lease-create' }, FORBIDDEN);
    const first = await open(createProcess(), 'blind');
    const again = await open(createProcess(), 'blind', { isResumed: true });
    expect(again.id).toBe(first.id);
    await again.release({ isClean: false });
    await expect.poll(() => embedded.pods().map(({ metadata }) => metadata.uid)).not.toContain(first.id);
    expect(await answerTo(createProcess(), 'blind', { isResumed: true })).toEqual({
      kind: 'failed',
      message: `Pod ${first.name} is not there, and without Leases c3 cannot tell whether the build had begun in it`,
    });
  });
});

describe('a Pod for which the quota has no room', () => {
  test('gets that of an idle Pod of its repository', async () => {
    const cluster = createProcess();
    const idle = await open(cluster, 'full', { owner: 'refs/heads/main' });
    await idle.release({ isClean: true });
    const fault = embedded.faults.onRequest({ kind: 'create', times: 3 }, REFUSALS.quota);
    const workspace = await open(cluster, 'full');
    expect(fault.hits()).toBe(3);
    expect(embedded.pods().map(({ metadata }) => metadata.uid)).not.toContain(idle.id);
    await workspace.release({ isClean: false });
  });

  test('is refused if no Pod is idle, or only those of other repositories', async () => {
    const cluster = createProcess();
    const used = await open(cluster, 'used', { owner: 'refs/heads/main' });
    await (await open(cluster, 'stranger')).release({ isClean: true });
    embedded.faults.onRequest({ kind: 'create' }, REFUSALS.quota);
    expect(await answerTo(cluster, 'used')).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('exceeded quota') as string,
    });
    expect(embedded.pods().map(({ metadata }) => metadata.uid)).toContain(used.id);
    await used.release({ isClean: false });
  });
});

test('a Pod that a finalizer keeps is not waited for: the build gets a Pod of its own, which is found again', async () => {
  const cluster = createProcess();
  const spec = { containers: [{ name: 'main', image: 'busybox:1', command: ['sleep', '1000'] }] };
  const manifest = { metadata: { name: 'held', finalizers: ['example.com/hold'] }, spec };
  const first = await open(cluster, 'held', { manifest });
  await first.release({ isClean: false });
  const reasons: string[] = [];
  const answer = await answerTo(cluster, 'held', { manifest, buildId: 'b2' }, (reason) => void reasons.push(reason));
  const workspace = answer.kind === 'ready' ? answer.workspace : undefined;
  expect(reasons.at(-1)).toMatch(/^(?:creating|starting)/);
  expect(reasons).toContain(
    `Pod ${first.name} cannot be deleted: it waits for its finalizer "example.com/hold"; using another Pod`,
  );
  expect(workspace?.name).not.toBe(first.name);
  const found = await cluster.findWorkspace(toRequest('held', { manifest, buildId: 'b2' }), { signal });
  expect(found).toMatchObject({ kind: 'found', workspace: { id: workspace?.id } });
  await workspace?.release({ isClean: true });
});

describe('a build with a Lease', () => {
  test.each(['lease-create', 'lease-update'] as const)(
    'has it once, though an answer to a %s is lost',
    async (kind) => {
      const cluster = createProcess();
      if (kind === 'lease-update') await (await open(cluster, kind)).release({ isClean: true });
      const fault = embedded.faults.onRequest({ kind, times: 1 }, { kind: 'lose-answer' });
      const workspace = await open(cluster, kind, { buildId: 'b2' });
      expect(fault.hits()).toBe(1);
      expect(workspace.warnings).toEqual([]);
      await workspace.release({ isClean: false });
    },
  );

  test('keeps it while the API server is away for longer than a Lease lasts', async () => {
    const workspace = await open(createProcess(), 'away');
    let lost: string | undefined;
    void workspace.lost.then((sentence) => (lost = sentence));
    const before = embedded.stats()['lease-update'];
    const refused = embedded.faults.onRequest({ kind: 'lease-update', times: 60 }, { kind: 'cut' });
    await expect.poll(() => refused.hits()).toBeGreaterThan(5);
    refused.remove();
    const { hits } = refused;
    await expect.poll(() => embedded.stats()['lease-update']).toBeGreaterThan(before + hits());
    expect(lost).toBeUndefined();
    await workspace.release({ isClean: true });
    const other = await open(createProcess(), 'away', { buildId: 'b2' });
    expect(other.id).toBe(workspace.id);
    await other.release({ isClean: false });
  });

  test('that left its Pod unclean and could not delete it records that for other processes', async () => {
    const workspace = await open(createProcess(), 'stuck');
    embedded.faults.onRequest({ kind: 'delete' }, { ...FORBIDDEN, message: 'pods "stuck" is forbidden' });
    await workspace.release({ isClean: false });
    expect(embedded.pods().map(({ metadata }) => metadata.uid)).toContain(workspace.id);
    embedded.faults.clear();
    const next = await open(createProcess(), 'stuck', { buildId: 'b2' });
    expect(next.id).not.toBe(workspace.id);
    await next.release({ isClean: false });
  });
});

describe('a directory of a volume that outlives Pods, claimed for a Pod that is not created yet,', () => {
  const directories = [{ volume: 'cache', key: 'hostPath /srv/cache/project' }];
  const taken = (pod: string): object => ({
    kind: 'failed',
    message: expect.stringContaining(`Pod ${pod} works in the same directory of volume "cache"`) as string,
  });

  test('goes to a Pod that comes in between, and the first Pod is deleted', async () => {
    const held = embedded.faults.onRequest({ kind: 'create', times: 1 }, { kind: 'hold' });
    const first = answerTo(createProcess(), 'early', { directories });
    await held.met;
    const second = await open(createProcess(), 'between', { directories });
    held.remove();
    expect(await first).toEqual(taken(second.name));
    const names = (): string[] => embedded.pods().map(({ metadata }) => metadata.name);
    await expect.poll(names).not.toContainEqual(expect.stringMatching(/^early-/));
    expect(names()).toContain(second.name);
    // What was refused has not released the claim of the other.
    expect(await answerTo(createProcess(), 'third', { directories })).toEqual(taken(second.name));
    await second.release({ isClean: false });
  });

  test('stays with it when it is created before the other Pod', async () => {
    const held = embedded.faults.onRequest({ kind: 'create', times: 1 }, { kind: 'hold' });
    const first = answerTo(createProcess(), 'one', { directories });
    await held.met;
    const heldToo = embedded.faults.onRequest({ kind: 'create', times: 1 }, { kind: 'hold' });
    const second = answerTo(createProcess(), 'two', { directories });
    await heldToo.met;
    held.remove();
    const opened = await first;
    if (opened.kind !== 'ready') throw new Error(JSON.stringify(opened));
    heldToo.remove();
    expect(await second).toEqual(taken(opened.workspace.name));
    await opened.workspace.release({ isClean: false });
  });
});
