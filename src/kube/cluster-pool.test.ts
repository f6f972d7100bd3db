import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { answerJson, createFakeApiServer } from '../../test/contract/fake-api-server.ts';
import type { FakeApiServer } from '../../test/contract/fake-api-server.ts';
import type { Cluster, WorkspaceAnswer, WorkspaceOrder } from '../engine/cluster.ts';
import { createClusterPool } from './cluster-pool.ts';

let server: FakeApiServer;
/** The one Pod the fake has, and what it was asked, as `METHOD` or `WATCH`. */
let pod: Record<string, unknown> | undefined;
let requests: string[];
let onDelete: () => void;

beforeAll(async () => {
  server = await createFakeApiServer();
});
afterAll(async () => await server.close());
beforeEach(() => {
  [pod, requests, onDelete] = [undefined, [], () => undefined];
  server.onRequest = (request, response) => {
    const isWatch = request.url?.includes('watch=true') === true;
    requests.push(isWatch ? 'WATCH' : (request.method ?? ''));
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
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

/** The Pod as it is once it runs. */
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

function kubeconfig(token: string): string {
  const { origin, ca = '' } = server.access;
  return stringify({
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    clusters: [
      { name: 'a', cluster: { server: origin, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'a', user: { token } }],
  });
}

async function open(cluster: Cluster, changes: Partial<WorkspaceOrder> = {}): Promise<WorkspaceAnswer> {
  return await cluster.openWorkspace(
    {
      manifest: { metadata: { name: 'shop' }, spec: { containers: [{ name: 'main', image: 'a' }] } },
      scope: 'github.com/acme/shop',
      trustClass: 'other',
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

async function build(cluster: Cluster, changes: Partial<WorkspaceOrder> = {}): Promise<boolean> {
  const answer = await open(cluster, changes);
  if (answer.kind !== 'ready') throw new Error(JSON.stringify(answer));
  const { isWarm } = answer.workspace;
  await answer.workspace.release({ isClean: true });
  return isWarm;
}

describe('a cluster of the pool', () => {
  test('opens a warm workspace with one request', async () => {
    const pool = createClusterPool();
    const cluster = pool.getCluster(kubeconfig('a'));
    expect(await build(cluster)).toBe(false);
    requests.length = 0;
    expect(await build(cluster)).toBe(true);
    expect(requests.filter((kind) => kind !== 'WATCH')).toEqual(['GET']);
    await pool.close();
  });

  test('deletes a warm Pod when its idle time is over', async () => {
    const pool = createClusterPool();
    const deleted = new Promise<void>((resolve) => (onDelete = resolve));
    await build(pool.getCluster(kubeconfig('a')), { idleMs: 10 });
    await deleted;
    expect(requests.at(-1)).toBe('DELETE');
    await pool.close();
  });

  test('answers aborted when it is closed', async () => {
    const pool = createClusterPool();
    const cluster = pool.getCluster(kubeconfig('a'));
    await pool.close();
    expect(await open(cluster)).toEqual({ kind: 'aborted' });
  });
});

describe('the pool', () => {
  test('gives the same cluster for the same kubeconfig, another for another', async () => {
    const pool = createClusterPool();
    const first = pool.getCluster(kubeconfig('a'));
    expect(pool.getCluster(kubeconfig('a'))).toBe(first);
    expect(pool.getCluster(kubeconfig('b'))).not.toBe(first);
    await pool.close();
  });

  test('drops the longest unused when it is full, but none that has a build', async () => {
    const pool = createClusterPool({ maxClusters: 2 });
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
    const pool = createClusterPool();
    expect(() => pool.getCluster('users: []')).toThrow('Kubeconfig refused: current-context is missing');
    await pool.close();
  });
});
