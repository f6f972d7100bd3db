import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { answerJson, createFakeApiServer, type FakeApiServer } from '../../test/contract/fake-api-server.ts';
import type { Cluster, WorkspaceAnswer, WorkspaceRequest } from '../engine/cluster.ts';
import { createAddressPolicy } from './address-policy.ts';
import { createClusterPool } from './cluster-pool.ts';
import { createExecClient } from './exec.ts';

const allowNets = ['127.0.0.0/8'];

let server: FakeApiServer;
/** The only Pod of the fake, and its requests, as `METHOD` or `WATCH`. */
let pod: Record<string, unknown> | undefined;
let requests: string[];
let onDelete: () => void;
/** Its Lease. The fake does not check versions. */
let lease: unknown;

beforeAll(async () => {
  server = await createFakeApiServer();
});
afterAll(async () => await server.close());
beforeEach(() => {
  [pod, lease, requests, onDelete] = [undefined, undefined, [], () => undefined];
  server.onRequest = (request, response) => {
    const isWatch = request.url?.includes('watch=true') === true;
    const isLease = request.url?.includes('/leases') === true;
    requests.push(isWatch ? 'WATCH' : `${request.method ?? ''}${isLease ? ' lease' : ''}`);
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (isLease) {
        if (request.method === 'POST' || request.method === 'PUT') {
          const { metadata, ...rest } = JSON.parse(body) as { metadata: object };
          lease = { ...rest, metadata: { ...metadata, resourceVersion: `${requests.length}` } };
        }
        answerJson(response, 200, lease ?? { items: [] });
        return;
      }
      if (request.method === 'POST') pod = run(JSON.parse(body) as Record<string, unknown>);
      if (request.method === 'DELETE') {
        pod = undefined;
        onDelete();
      }
      if (isWatch) response.write(pod ? `${JSON.stringify({ type: 'ADDED', object: pod })}\n` : '\n');
      else if (request.method === 'GET')
        answerJson(response, 200, { metadata: { resourceVersion: '1' }, items: pod ? [pod] : [] });
      else answerJson(response, 200, pod ?? {});
    });
  };
});

/** Returns the Pod as a running one. */
function run(manifest: Record<string, unknown>): Record<string, unknown> {
  return {
    ...manifest,
    metadata: { ...(manifest['metadata'] as object), uid: `uid-${requests.length}`, resourceVersion: '2' },
    status: {
      phase: 'Running',
      startTime: new Date().toISOString(),
      containerStatuses: [{ name: 'main', ready: true, restartCount: 0, state: { running: {} } }],
    },
  };
}

function kubeconfig(token: string, origin: string = server.access.origin): string {
  const { ca = '' } = server.access;
  return stringify({
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    clusters: [
      { name: 'a', cluster: { server: origin, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'a', user: { token } }],
  });
}

async function open(cluster: Cluster, changes: Partial<WorkspaceRequest> = {}): Promise<WorkspaceAnswer> {
  return await cluster.openWorkspace(
    {
      manifest: { metadata: { name: 'shop' }, spec: { containers: [{ name: 'main', image: 'a' }] } },
      scope: 'github.com/acme/shop',
      owner: 'branches',
      root: '/c3/.c3',
      buildId: 'b',
      isResumed: false,
      reuse: true,
      idleMs: 60_000,
      maxAgeMs: 3_600_000,
      neededMs: 60_000,
      ...changes,
    },
    { signal: new AbortController().signal, startTimeoutMs: 5_000, onWaiting: () => undefined },
  );
}

async function build(cluster: Cluster, changes: Partial<WorkspaceRequest> = {}): Promise<boolean> {
  const answer = await open(cluster, changes);
  if (answer.kind !== 'ready') throw new Error(JSON.stringify(answer));
  const { isWarm } = answer.workspace;
  await answer.workspace.release({ isClean: true });
  return isWarm;
}

describe('a cluster of the pool', () => {
  test('opens a warm workspace with two concurrent requests, and releases it with one', async () => {
    const pool = createClusterPool({ allowNets });
    const cluster = pool.getCluster(kubeconfig('a'));
    expect(await build(cluster)).toBe(false);
    requests.length = 0;
    expect(await build(cluster)).toBe(true);
    expect(requests.slice(0, 2).sort()).toEqual(['GET', 'PUT lease']);
    expect(requests.slice(2).filter((kind) => kind !== 'WATCH')).toEqual(['PUT lease']);
    await pool.close();
  });

  test('deletes a warm Pod when its idle time is over', async () => {
    const pool = createClusterPool({ allowNets });
    const deleted = new Promise<void>((resolve) => (onDelete = resolve));
    await build(pool.getCluster(kubeconfig('a')), { idleMs: 10 });
    await deleted;
    expect(requests.at(-1)).toBe('DELETE');
    await pool.close();
  });

  test('answers aborted when it is closed', async () => {
    const pool = createClusterPool({ allowNets });
    const cluster = pool.getCluster(kubeconfig('a'));
    await pool.close();
    expect(await open(cluster)).toEqual({ kind: 'aborted' });
  });
});

describe('the pool', () => {
  test('returns the same cluster for equal kubeconfigs, and different ones for different kubeconfigs', async () => {
    const pool = createClusterPool({ allowNets });
    const first = pool.getCluster(kubeconfig('a'));
    expect(pool.getCluster(kubeconfig('a'))).toBe(first);
    expect(pool.getCluster(kubeconfig('b'))).not.toBe(first);
    await pool.close();
  });

  test('drops the cluster that was used longest ago when it is full, but none with a build', async () => {
    const pool = createClusterPool({ allowNets, maxClusters: 2 });
    const busy = pool.getCluster(kubeconfig('busy'));
    const answer = await open(busy);
    const idle = pool.getCluster(kubeconfig('idle'));
    pool.getCluster(kubeconfig('third'));
    expect(pool.getCluster(kubeconfig('busy'))).toBe(busy);
    expect(pool.getCluster(kubeconfig('idle'))).not.toBe(idle);
    if (answer.kind === 'ready') await answer.workspace.release({ isClean: false });
    await pool.close();
  });

  test('refuses a bad kubeconfig', async () => {
    const pool = createClusterPool({ allowNets });
    expect(() => pool.getCluster('users: []')).toThrow('Kubeconfig refused: current-context is missing');
    await pool.close();
  });
});

describe('an address that the operator did not open', () => {
  test('is refused before any request, when it is in the kubeconfig', async () => {
    const pool = createClusterPool({ allowNets: [] });
    expect(() => pool.getCluster(kubeconfig('a'))).toThrow(
      'Kubeconfig refused: its server has the loopback address 127.0.0.1, to which c3 does not connect',
    );
    await pool.close();
    expect(requests).toEqual([]);
  });

  test('gets no connection when a name resolves to it, neither for a request nor for an exec', async () => {
    const { lookup } = createAddressPolicy([]);
    const { port } = new URL(server.access.origin);
    const access = { ...server.access, origin: `https://localhost:${port}`, lookup };
    const opened = server.connections.opened;
    const sentence =
      /localhost has the loopback address \S+, to which c3 does not connect; its operator can open a network with C3_ALLOW_NETS$/;
    const pool = createClusterPool({ allowNets: [] });
    const answer = await open(pool.getCluster(kubeconfig('a', access.origin)));
    expect(answer).toEqual({ kind: 'failed', message: expect.stringMatching(sentence) });
    await pool.close();
    const execs = createExecClient(access);
    const target = { namespace: 'default', pod: 'p', container: 'main', argv: ['true'] };
    const options = { signal: new AbortController().signal, onStdout: () => {}, onStderr: () => {} };
    expect(await execs.open(target, options)).toEqual({
      kind: 'refused',
      message: expect.stringMatching(sentence),
      isTransient: false,
    });
    execs.close();
    expect(requests).toEqual([]);
    expect(server.connections.opened).toBe(opened);
  });

  test('gets a connection through a name when its network is open', async () => {
    const pool = createClusterPool({ allowNets: ['127.0.0.0/8', '::1/128'] });
    const { port } = new URL(server.access.origin);
    const answer = await open(pool.getCluster(kubeconfig('a', `https://localhost:${port}`)));
    // The certificate is for 127.0.0.1. The error proves that there was a connection.
    expect(answer).toEqual({ kind: 'failed', message: expect.stringMatching(/Hostname\/IP does not match/) });
    await pool.close();
  });
});
