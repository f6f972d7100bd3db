import { beforeAll, expect, test } from 'vitest';
import { answerJson, createFakeApiServer, type FakeApiServer } from '../../test/contract/fake-api-server.ts';
import type { FindAnswer, WorkspaceQuery } from '../engine/cluster.ts';
import { createKubernetesCluster, type KubernetesCluster } from './kubernetes-cluster.ts';
import { planBuildPod } from './pod.ts';

const ORDER: WorkspaceQuery = {
  manifest: { metadata: { name: 'shop' }, spec: { containers: [{ name: 'main', image: 'a' }] } },
  scope: 'git.example.com/acme/shop',
  owner: 'refs/heads/main',
  root: '/c3/.c3',
  buildId: 'b1',
  reuse: true,
  maxAgeMs: 3_600_000,
};

let server: FakeApiServer;
let cluster: KubernetesCluster;

beforeAll(async () => {
  server = await createFakeApiServer();
  cluster = createKubernetesCluster(server.access);
  return async () => void (await Promise.all([cluster.close(), server.close()]));
});

const { name, manifest } = planBuildPod(ORDER, 'default');

/** Finds the workspace of a Pod in a phase, created as planned except for `annotations`. */
async function find(phase: string, annotations?: object): Promise<FindAnswer> {
  const planned = manifest['metadata'] as object;
  const pod = { metadata: { ...planned, uid: 'u', ...(annotations && { annotations }) }, status: { phase } };
  server.onRequest = (_request, response) => answerJson(response, 200, { metadata: {}, items: [pod] });
  return await cluster.findWorkspace(ORDER, { signal: new AbortController().signal });
}

test('a running Pod is found, and its cluster is busy until the caller closes the workspace', async () => {
  const answer = await find('Running');
  expect(answer).toMatchObject({ kind: 'found', workspace: { name, id: 'u' } });
  expect([cluster.isBusy, cluster.hasBuilds]).toEqual([true, false]);
  if (answer.kind === 'found') answer.workspace.close();
  expect(cluster.isBusy).toBe(false);
});

test.each([
  ['Pending', undefined, `its Pod ${name} has not started`],
  ['Failed', undefined, `its Pod ${name} has ended, and nothing in it can be read any more`],
  ['Running', {}, `its Pod ${name} was replaced by another, and its logs are gone`],
])('a Pod that is %s, with annotations %j, is gone: %s', async (phase, annotations, message) => {
  expect(await find(phase, annotations)).toEqual({ kind: 'gone', message });
});

test('a Pod that does not exist was deleted', async () => {
  server.onRequest = (_request, response) => answerJson(response, 200, { metadata: {}, items: [] });
  expect(await cluster.findWorkspace(ORDER, { signal: new AbortController().signal })).toEqual({
    kind: 'gone',
    message: `its Pod ${name} was deleted, and its logs with it`,
  });
});

test('a refusal and an abort are failures', async () => {
  server.onRequest = (_request, response) => answerJson(response, 403, { message: 'pods is forbidden' });
  expect(await cluster.findWorkspace(ORDER, { signal: new AbortController().signal })).toEqual({
    kind: 'failed',
    message: 'The cluster refused to list Pods in namespace default: pods is forbidden',
  });
  expect(await cluster.findWorkspace(ORDER, { signal: AbortSignal.abort() })).toEqual({
    kind: 'failed',
    message: 'aborted',
  });
});
