import { parseDocument } from 'yaml';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createClient, type KubeClient } from '../../src/kube/client.ts';
import { parseKubeconfig } from '../../src/kube/kubeconfig.ts';
import { useFixture } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { openTarget } from './target.ts';
import { WAIT_MS } from '../time-limits.ts';

/** A separate namespace whose quota allows no Pod. */
const NAMESPACE = 'c3-test-quota';

describe('a real Kubernetes that refuses the Pod', () => {
  const fixture = useFixture(openTarget);
  let client: KubeClient;

  async function send(method: 'POST' | 'DELETE', path: string, body?: object): Promise<void> {
    const answer = await client.request({ method, path, ...(body === undefined ? {} : { body }) });
    if (answer.kind === 'refused' && answer.reason !== 'AlreadyExists') throw new Error(answer.message);
  }

  async function get(path: string): Promise<string> {
    return JSON.stringify(await client.request({ method: 'GET', path }));
  }

  beforeAll(async () => {
    client = createClient(parseKubeconfig((await openTarget()).kubeconfig));
    await send('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
    const quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'none' },
      spec: { hard: { pods: '0' } },
    };
    await send('POST', `/api/v1/namespaces/${NAMESPACE}/resourcequotas`, quota);
    const account = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/default`;
    // Admission needs the default account and the status of the quota, which a controller writes.
    await vi.waitUntil(async () => (await get(account)).includes('"uid"'), { timeout: WAIT_MS, interval: 200 });
    const status = `/api/v1/namespaces/${NAMESPACE}/resourcequotas/none`;
    await vi.waitUntil(async () => (await get(status)).includes('"used":{"pods":"0"}'), {
      timeout: WAIT_MS,
      interval: 200,
    });
  });
  afterAll(async () => {
    await send('DELETE', `/api/v1/namespaces/${NAMESPACE}`);
    await client.close();
  });

  it('for its quota is reported at once with the message', async () => {
    const { user } = await fixture.setUp();
    const document = parseDocument(fixture.target.kubeconfig);
    document.setIn(['contexts', 0, 'context', 'namespace'], NAMESPACE);
    const k8s = await user.seal('k8s', document.toString());
    const source = formatPipeline(fixture.target, k8s, '- main: echo never');
    const { status, text } = await fixture.push(user, { 'c3.yaml': source });
    expect(status).toMatchObject({ state: 'error', description: expect.stringMatching(/^infrastructure error/) });
    expect(text).toMatch(
      /The cluster refused Pod shop-\w+: .*exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0/,
    );
  });
});
