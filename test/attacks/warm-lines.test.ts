import { afterEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Workspace, WorkspaceRequest } from '../../src/engine/cluster.ts';
import { createConnectionPool, createStepAgent } from '../../src/agent/step-agent.ts';
import { createClusterPool } from '../../src/kube/index.ts';
import { answerJson, createFakeApiServer } from '../contract/fake-api-server.ts';
import { REQUEST } from './request.ts';
import { deadline } from '../time-limits.ts';

/** An API server that gives all Pods the same UID, with an agent in each that accepts every command. */
interface Tenant {
  readonly kubeconfig: string;
  /** The text that c3 sent over each exec. */
  readonly heard: readonly string[];
  close(): Promise<void>;
}

const UID = '2f9c4b1e-0000-4000-8000-000000000001';

async function createTenant(): Promise<Tenant> {
  const server = await createFakeApiServer();
  const heard: string[] = [];
  let pods: Record<string, unknown>[] = [];
  server.onRequest = (request, response) => {
    const url = new URL(request.url ?? '', 'https://fake');
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (url.pathname.includes('/leases')) return answerJson(response, 403, {});
      const named = /metadata\.name=(.*)/.exec(url.searchParams.get('fieldSelector') ?? '')?.[1];
      if (request.method === 'POST') pods = [...pods, toRunning(JSON.parse(body) as Record<string, object>)];
      if (request.method === 'POST') return answerJson(response, 201, pods.at(-1));
      const items = pods.filter(({ metadata }) => (metadata as { name: string }).name === named);
      if (!url.searchParams.has('watch'))
        return answerJson(response, 200, { metadata: { resourceVersion: '1' }, items });
      return response.write(items.map((object) => `${JSON.stringify({ type: 'ADDED', object })}\n`).join('') || '\n');
    });
  };
  server.onUpgrade = (request, socket, head) => {
    const index = heard.push('') - 1;
    void server.accept(request, socket, head).then((exec) =>
      exec.on('message', (data: Buffer) => {
        const text = data.subarray(1).toString();
        heard[index] += text;
        const [, nonce] = /^root .* (\S+)$/m.exec(text) ?? [];
        if (nonce !== undefined) exec.send(toOutput(`R 1 2   ${nonce}\n`));
        if (/^sweep /m.test(text)) exec.send(toOutput('S clean\n'));
      }),
    );
  };
  const cluster = {
    server: server.access.origin,
    'certificate-authority-data': Buffer.from(server.access.ca ?? '').toString('base64'),
  };
  const kubeconfig = stringify({
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    clusters: [{ name: 'a', cluster }],
    users: [{ name: 'a', user: { token: 'a-token' } }],
  });
  return { kubeconfig, heard, close: server.close };
}

function toRunning(manifest: Record<string, object>): Record<string, unknown> {
  const containerStatuses = [{ name: 'm', ready: true, restartCount: 0, state: { running: {} } }];
  return {
    ...manifest,
    metadata: { ...manifest['metadata'], uid: UID, resourceVersion: '2' },
    status: { phase: 'Running', startTime: new Date().toISOString(), containerStatuses },
  };
}

function toOutput(text: string): Buffer {
  return Buffer.concat([Buffer.from([1]), Buffer.from(text)]);
}

describe("A5 A cluster whose Pods have the UIDs of another cluster's Pods", () => {
  const open: (() => unknown)[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((close) => close()));
  });

  /** Creates one c3 whose builds leave their connections to the next one. */
  function createBuilds(): (tenant: Tenant, says: string, changes?: Partial<WorkspaceRequest>) => Promise<Workspace> {
    const clusters = createClusterPool({ allowNets: ['127.0.0.0/8'] });
    const lines = createConnectionPool();
    open.push(clusters.close, lines.close);
    return async ({ kubeconfig }, says, changes = {}) => {
      const order = { ...REQUEST, idleMs: 60_000, maxAgeMs: 3_600_000, ...changes };
      const signal = deadline();
      const options = { signal, startTimeoutMs: 120_000, onWaiting: () => {} };
      const answer = await clusters.getCluster(kubeconfig).openWorkspace(order, options);
      if (answer.kind !== 'ready') throw new Error(JSON.stringify(answer));
      const { workspace } = answer;
      const agent = createStepAgent(workspace, 'm', {
        buildId: says,
        epoch: workspace.epoch,
        roots: ['/c3/.c3', '/tmp/.c3'],
        silenceMs: 20_000,
        kept: lines.of(workspace, 'm'),
      });
      const swept = await agent.perform(`note ${says}\nsweep ${says}\n`, ({ kind }) => kind === 'swept' || undefined);
      expect(swept).toEqual({ kind: 'answered', value: true });
      agent.release();
      await workspace.release({ isClean: true });
      return workspace;
    };
  }
  async function createTenants(): Promise<[victim: Tenant, attacker: Tenant]> {
    const tenants = await Promise.all([createTenant(), createTenant()]);
    open.push(...tenants.map((tenant) => tenant.close));
    return tenants;
  }

  it('does not get a connection into the Pod of another cluster with the same UID', async () => {
    const [build, [victim, attacker]] = [createBuilds(), await createTenants()];
    const { id } = await build(victim, 'victims-secret');
    expect(await build(attacker, 'attackers-script')).toMatchObject({ id });
    expect(victim.heard).toEqual([expect.not.stringContaining('attackers-script')]);
    expect(attacker.heard).toEqual([expect.stringContaining('attackers-script')]);
  });

  it('gets no build of another cluster over a connection that it opened for the same UID before', async () => {
    const [build, [victim, attacker]] = [createBuilds(), await createTenants()];
    await build(attacker, 'attackers-script');
    await build(victim, 'victims-secret');
    await build(attacker, 'attackers-script');
    expect(attacker.heard).toEqual([expect.not.stringContaining('victims-secret')]);
    expect(victim.heard).toEqual([expect.stringContaining('victims-secret')]);
  });

  it('shares no connection between repositories of one kubeconfig, or between protected and other branches', async () => {
    const [build, [tenant]] = [createBuilds(), await createTenants()];
    await build(tenant, 'one');
    await build(tenant, 'two', { scope: 'git.example.com/acme/other' });
    await build(tenant, 'three', { owner: 'refs/heads/main' });
    await build(tenant, 'one-again');
    const spoken = tenant.heard.map((text) => text.match(/^note .*/gm));
    expect(spoken).toEqual([['note one', 'note one-again'], ['note two'], ['note three']]);
  });
});
