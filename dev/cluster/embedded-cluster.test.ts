import { existsSync, mkdtempSync, readdirSync, realpathSync, rmdirSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type Client, createClient, isReady, toExecPath, toTestPod } from './client.ts';
import { createEmbeddedCluster, type EmbeddedCluster } from './embedded-cluster.ts';
import type { KubeStatus, Pod } from './objects.ts';

const PODS = '/api/v1/namespaces/default/pods';
let root: string;
let cluster: EmbeddedCluster;
let client: Client;

beforeAll(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'c3-test-')));
  await chmod(root, 0o755);
  cluster = await createEmbeddedCluster({ root, backoffMs: 20 });
  client = createClient(cluster.kubeconfig);
});

afterAll(async () => {
  await client.close();
  await cluster.close();
  // Fails when the cluster has left anything.
  rmdirSync(root);
});

async function run(pod: string, script: string): Promise<{ stdout: string; code: number }> {
  const { stdout, status } = await client.openExec(toExecPath(pod, ['sh', '-c', script])).ended;
  const cause = status?.details?.causes?.find((entry) => entry.reason === 'ExitCode');
  return { stdout, code: status?.status === 'Success' ? 0 : Number(cause?.message ?? NaN) };
}

async function finalPhase(name: string): Promise<Pod | undefined> {
  return client.waitForPod(name, (pod) => ['Succeeded', 'Failed'].includes(pod.status.phase));
}

test('a Pod becomes ready, runs commands in its volume and leaves nothing when it is deleted', async () => {
  const created = await client.create(toTestPod('life'));
  expect(created.status.phase).toBe('Pending');
  const ready = await client.waitForPod('life', isReady);
  expect(ready?.status.containerStatuses?.[0]).toMatchObject({ restartCount: 0, ready: true, state: { running: {} } });
  expect(await run('life', 'cd /c3 && echo hello > x && cat x && hostname && exit 7')).toStrictEqual({
    stdout: 'hello\nlife\n',
    code: 7,
  });
  const gone = client.waitForPod('life', () => false);
  const deleted = await client.call('DELETE', `${PODS}/life`, { body: { gracePeriodSeconds: 1 } });
  expect((deleted.body as Pod).metadata.deletionGracePeriodSeconds).toBe(1);
  expect(await gone).toBeUndefined();
  expect(existsSync(join(root, readdirSync(root)[0] ?? '', 'pods', created.metadata.uid))).toBe(false);
});

test('containers of a Pod share its volumes and nothing else that they write', async () => {
  const mount = [{ name: 'c3', mountPath: '/c3' }];
  const containers = ['main', 'other'].map((name) => ({
    name,
    image: 'a/b:1',
    command: ['sleep', '100'],
    volumeMounts: mount,
  }));
  await client.create(toTestPod('shared', { containers }));
  await client.waitForPod('shared', isReady);
  await run('shared', 'echo one > /c3/file; echo two > /tmp/file; echo three > /file');
  const other = await client.openExec(toExecPath('shared', ['sh', '-c', 'cat /c3/file; ls /tmp /file'], 'other')).ended;
  expect(other.stdout).toContain('one\n');
  expect(other.stderr).toContain('/file');
  expect(existsSync('/file')).toBe(false);
});

test.each([
  ['ok', ['true'], 'Succeeded', { exitCode: 0, reason: 'Completed' }],
  ['bad', ['sh', '-c', 'exit 3'], 'Failed', { exitCode: 3, reason: 'Error' }],
  ['killed', ['sh', '-c', 'trap "exit 9" TERM; kill 1'], 'Failed', { exitCode: 9, reason: 'Error' }],
  ['absent', ['no-such-program'], 'Failed', { exitCode: 128, reason: 'StartError' }],
])('a Pod that ends (%s) has the status of the kubelet', async (name, command, phase, terminated) => {
  await client.create(toTestPod(name, { containers: [{ name: 'main', image: 'a', command }] }));
  const pod = await finalPhase(name);
  expect(pod?.status.phase).toBe(phase);
  expect(pod?.status.containerStatuses?.[0]?.state).toMatchObject({ terminated });
});

test('restarts by policy, with back-off', async () => {
  const containers = [{ name: 'main', image: 'a', command: ['false'] }];
  await client.create(toTestPod('crash', { containers, restartPolicy: 'Always' }));
  const pod = await client.waitForPod('crash', (entry) => {
    const status = entry.status.containerStatuses?.[0];
    return status !== undefined && 'waiting' in status.state && status.state.waiting.reason === 'CrashLoopBackOff';
  });
  expect(pod?.status.phase).toBe('Running');
  expect(pod?.status.containerStatuses?.[0]).toMatchObject({
    restartCount: 1,
    lastState: { terminated: { exitCode: 1 } },
  });
  await client.call('DELETE', `${PODS}/crash`);
});

test('init containers run first, in order, and when one fails, the Pod fails', async () => {
  const step = (name: string, script: string) => ({
    name,
    image: 'a',
    command: ['sh', '-c', script],
    volumeMounts: [{ name: 'c3', mountPath: '/c3' }],
  });
  const containers = [step('main', 'test "$(cat /c3/log)" = ab')];
  await client.create(
    toTestPod('init', {
      initContainers: [step('a', 'printf a >> /c3/log'), step('b', 'printf b >> /c3/log')],
      containers,
    }),
  );
  expect((await finalPhase('init'))?.status.phase).toBe('Succeeded');
  await client.create(toTestPod('init-bad', { initContainers: [step('a', 'exit 4')], containers }));
  const failed = await finalPhase('init-bad');
  expect(failed?.status.phase).toBe('Failed');
  expect(failed?.status.containerStatuses?.[0]?.state).toStrictEqual({ waiting: { reason: 'PodInitializing' } });
});

test.each([
  ['registry.invalid/x', 'Always', 'ImagePullBackOff'],
  ['no-such', 'Never', 'ErrImageNeverPull'],
  ['Not An Image', 'Always', 'InvalidImageName'],
])('a container whose image is %s (%s) waits with %s', async (image, imagePullPolicy, reason) => {
  const name = `image-${reason.toLowerCase()}`;
  await client.create(toTestPod(name, { containers: [{ name: 'main', image, imagePullPolicy, command: ['true'] }] }));
  const pod = await client.waitForPod(name, (entry) => {
    const state = entry.status.containerStatuses?.[0]?.state;
    return state !== undefined && 'waiting' in state && state.waiting.reason === reason;
  });
  expect(pod?.status.phase).toBe('Pending');
  await client.call('DELETE', `${PODS}/${name}`);
});

test('a missing Secret is a problem only if a container mounts it', async () => {
  const volumes = [
    { name: 'c3', emptyDir: {} },
    { name: 'key', secret: { secretName: 'absent' } },
  ];
  await client.create(toTestPod('unmounted', { volumes }));
  expect((await client.waitForPod('unmounted', isReady))?.status.phase).toBe('Running');
  const mounts = [{ name: 'key', mountPath: '/key' }];
  const containers = [{ name: 'main', image: 'a', command: ['true'], volumeMounts: mounts }];
  const { metadata } = await client.create(toTestPod('mounted', { volumes, containers }));
  const field = encodeURIComponent(`involvedObject.uid=${metadata.uid}`);
  for await (const { object } of client.watch(`/api/v1/namespaces/default/events?watch=1&fieldSelector=${field}`)) {
    const { reason, message } = object;
    if (reason !== 'FailedMount') continue;
    expect(message).toBe('MountVolume.SetUp failed for volume "key" : secret "absent" not found');
    break;
  }
  await client.call('DELETE', `${PODS}/mounted`);
});

test('refuses features that it does not have', async () => {
  await client.create(toTestPod('entrypoint', { containers: [{ name: 'main', image: 'nginx' }] }));
  const pod = await client.waitForPod('entrypoint', (entry) => JSON.stringify(entry).includes('CreateContainerError'));
  expect(JSON.stringify(pod)).toContain('does not know the entrypoint of image');
  const probes = [{ name: 'main', image: 'a', readinessProbe: {} }];
  const refused = await client.call('POST', PODS, { body: toTestPod('probe', { containers: probes }) });
  expect(refused).toMatchObject({
    code: 422,
    body: { message: expect.stringContaining('spec.containers[0].readinessProbe: Forbidden') as string },
  });
});

test('a Pod that fits no node, or exceeds its deadline, reports it', async () => {
  await client.create(toTestPod('misfit', { nodeSelector: { disk: 'ssd' } }));
  const misfit = await client.waitForPod('misfit', (pod) => pod.status.conditions !== undefined);
  expect(misfit?.status.conditions?.[0]).toMatchObject({ status: 'False', reason: 'Unschedulable' });
  await client.create(toTestPod('late', { activeDeadlineSeconds: 1 }));
  expect((await finalPhase('late'))?.status).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' });
});

test('refuses the same requests as Kubernetes, with the same Status', async () => {
  await client.create(toTestPod('twice'));
  const code = async (body: object, path = PODS) => {
    const answer = await client.call('POST', path, { body });
    return [answer.code, (answer.body as KubeStatus).reason];
  };
  expect(await code(toTestPod('twice'))).toStrictEqual([409, 'AlreadyExists']);
  expect(await code(toTestPod('a'), '/api/v1/namespaces/absent/pods')).toStrictEqual([404, 'NotFound']);
  expect(await code({ kind: 'Deployment' })).toStrictEqual([400, 'BadRequest']);
  const typed = toTestPod('typed', { containers: [{ name: 'main', image: 'a', command: 'sleep' }] });
  expect(await code(typed)).toStrictEqual([400, 'BadRequest']);
  const invalid = await client.call('POST', PODS, { body: toTestPod('Bad_Name', { containers: [] }) });
  const status = invalid.body as KubeStatus;
  expect(status.details?.causes?.map((cause) => cause.field)).toStrictEqual(['metadata.name', 'spec.containers']);
  const wrong = await client.call('DELETE', `${PODS}/twice`, { body: { preconditions: { uid: 'other' } } });
  expect([wrong.code, (wrong.body as KubeStatus).reason]).toStrictEqual([409, 'Conflict']);
  const anonymous = await client.call('GET', PODS, { headers: { authorization: 'Bearer wrong' } });
  expect(anonymous).toMatchObject({ code: 401, body: { kind: 'Status', reason: 'Unauthorized' } });
});

test('patches labels and annotations, selects by them, and lists the events of a Pod', async () => {
  const pod = await client.create(toTestPod('labelled'));
  const body = { metadata: { labels: { app: null, tier: 'x' }, annotations: { note: 'y' } } };
  const headers = { 'content-type': 'application/merge-patch+json' };
  const patched = await client.call('PATCH', `${PODS}/labelled`, { body, headers });
  expect((patched.body as Pod).metadata).toMatchObject({ labels: { tier: 'x' }, annotations: { note: 'y' } });
  const names = async (selector: string) => {
    const { body: list } = await client.call('GET', `${PODS}?labelSelector=${encodeURIComponent(selector)}`);
    return (list as { items: Pod[] }).items.map((item) => item.metadata.name);
  };
  expect(await names('tier=x')).toStrictEqual(['labelled']);
  expect(await names('tier in (x,z),!app')).toStrictEqual(['labelled']);
  await client.waitForPod('labelled', isReady);
  const field = encodeURIComponent(`involvedObject.uid=${pod.metadata.uid}`);
  const events = await client.call('GET', `/api/v1/namespaces/default/events?fieldSelector=${field}`);
  const reasons = (events.body as { items: { reason: string }[] }).items.map((item) => item.reason);
  expect(reasons).toStrictEqual(['Scheduled', 'Pulled', 'Created', 'Started']);
});
