import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { type Client, createClient, isReady, toExecPath, toTestPod } from './client.ts';
import { createEmbeddedCluster, type EmbeddedCluster } from './embedded-cluster.ts';
import { REFUSALS } from './faults.ts';

const PODS = '/api/v1/namespaces/default/pods';
let root: string;
let cluster: EmbeddedCluster;
let client: Client;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'c3-faults-'));
  cluster = await createEmbeddedCluster({ root });
  client = createClient(cluster.kubeconfig);
  await client.create(toTestPod('pod'));
  await client.waitForPod('pod', isReady);
});

afterEach(() => {
  cluster.faults.clear();
  cluster.faults.startNode();
});

afterAll(async () => {
  await client.close();
  await cluster.close();
  rmSync(root, { recursive: true });
});

test('a request is refused the given number of times, then served', async () => {
  const fault = cluster.faults.onRequest({ kind: 'list', times: 1 }, REFUSALS.unavailable);
  expect(await client.call('GET', PODS)).toMatchObject({ code: 503, body: { reason: 'ServiceUnavailable' } });
  expect(await client.call('GET', PODS)).toMatchObject({ code: 200 });
  expect(fault.hits()).toBe(1);
});

test('a held request waits until the fault is removed', async () => {
  const fault = cluster.faults.onRequest({ kind: 'get', name: 'pod' }, { kind: 'hold' });
  const answer = client.call('GET', `${PODS}/pod`);
  await fault.met;
  fault.remove();
  expect(await answer).toMatchObject({ code: 200 });
});

test('a cut request has no effect, and one whose response is lost has its effect', async () => {
  cluster.faults.onRequest({ kind: 'create', times: 1 }, { kind: 'cut' });
  await expect(client.create(toTestPod('cut'))).rejects.toThrow('other side closed');
  expect(await client.call('GET', `${PODS}/cut`)).toMatchObject({ code: 404 });
  cluster.faults.onRequest({ kind: 'create', times: 1 }, { kind: 'lose-answer' });
  await expect(client.create(toTestPod('cut'))).rejects.toThrow('other side closed');
  expect(await client.call('GET', `${PODS}/cut`)).toMatchObject({ code: 200 });
});

test('an exec is cut before 101, after 101, after some bytes and after its status', async () => {
  const path = toExecPath('pod', ['sh', '-c', 'echo hello; sleep 0.5; echo end']);
  const end = async (when: 'before-101' | 'after-101' | 'after-status' | { afterBytes: number }) => {
    cluster.faults.onExec({ pod: 'pod', times: 1 }, { when, how: 'loud' });
    const { stdout, status, closeCode } = await client.openExec(path).ended;
    return { stdout, status: status?.status, closeCode };
  };
  expect(await end('before-101')).toStrictEqual({ stdout: '', status: undefined, closeCode: 1006 });
  expect(await end('after-101')).toStrictEqual({ stdout: '', status: undefined, closeCode: 1006 });
  expect(await end({ afterBytes: 6 })).toStrictEqual({ stdout: 'hello\n', status: undefined, closeCode: 1006 });
  expect(await end('after-status')).toStrictEqual({ stdout: 'hello\nend\n', status: 'Success', closeCode: 1006 });
});

test('an exec that is cut silently stays open and sends nothing', async () => {
  const exec = client.openExec(toExecPath('pod', ['sh', '-c', 'echo up; cat; echo more']));
  await exec.waitForStdout('up');
  expect(cluster.faults.cutExecs('silent')).toBe(1);
  exec.socket.send(Buffer.of(255, 0));
  // The program would read the end of its input only through the dead connection: another exec sees that it waits.
  const other = await client.openExec(toExecPath('pod', ['sh', '-c', 'cat /proc/[0-9]*/cmdline'])).ended;
  expect(other.stdout).toContain('cat; echo more');
  expect(exec.socket.readyState).toBe(exec.socket.OPEN);
  exec.socket.terminate();
  expect(await exec.ended).toMatchObject({ stdout: 'up\n', status: undefined });
});

test('a false Success arrives while the program continues', async () => {
  const exec = client.openExec(toExecPath('pod', ['sh', '-c', 'echo up; sleep 1000']));
  await exec.waitForStdout('up');
  cluster.faults.cutExecs('false-success');
  expect(await exec.ended).toMatchObject({ closeCode: 1000, status: { status: 'Success' } });
  const other = await client.openExec(toExecPath('pod', ['sh', '-c', 'cat /proc/[0-9]*/cmdline'])).ended;
  expect(other.stdout).toContain('sleep\u00001000');
});

test('the API server stops and starts again on its port with its Pods and their processes', async () => {
  const exec = client.openExec(
    toExecPath('pod', ['sh', '-c', 'echo up; while [ ! -e /c3/go ]; do sleep 0.01; done; echo done > /c3/fine']),
  );
  await exec.waitForStdout('up');
  await cluster.faults.stopServer();
  expect((await exec.ended).closeCode).toBe(1006);
  await expect(client.call('GET', '/version')).rejects.toThrow('ECONNREFUSED');
  await cluster.faults.startServer();
  const script = 'touch /c3/go; while [ ! -s /c3/fine ]; do sleep 0.01; done; cat /c3/fine';
  expect((await client.openExec(toExecPath('pod', ['sh', '-c', script])).ended).stdout).toBe('done\n');
});

test('a watch gets bookmarks, ends, is cut, and gets 410 from an old version', async () => {
  const first = client.watch(`${PODS}?watch=1&allowWatchBookmarks=true`)[Symbol.asyncIterator]();
  const added = await first.next();
  const version = (added.value as { object: { metadata: { resourceVersion: string } } }).object.metadata
    .resourceVersion;
  cluster.faults.dropWatches('normal');
  const types = [];
  for (let line = await first.next(); line.done !== true; line = await first.next()) types.push(line.value.type);
  expect(types.at(-1)).toBe('BOOKMARK');

  const second = client.watch(`${PODS}?watch=1`)[Symbol.asyncIterator]();
  await second.next();
  cluster.faults.dropWatches('cut');
  const drain = async () => {
    while ((await second.next()).done !== true);
  };
  await expect(drain()).rejects.toThrow('other side closed');

  cluster.faults.compact();
  const late = await client.watch(`${PODS}?watch=1&resourceVersion=${version}`)[Symbol.asyncIterator]().next();
  expect(late.value).toMatchObject({ type: 'ERROR', object: { code: 410, reason: 'Expired' } });
});

test('a Pod is evicted, and a container of another one is killed for memory', async () => {
  await client.create(toTestPod('evicted'));
  await client.waitForPod('evicted', isReady);
  await cluster.faults.evict('evicted', 'The node was low on resource: memory.');
  const status = { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' };
  expect(cluster.pods().find((pod) => pod.metadata.name === 'evicted')?.status).toMatchObject(status);
  await client.create(toTestPod('greedy'));
  await client.waitForPod('greedy', isReady);
  cluster.faults.oomKill('greedy', 'main');
  const pod = await client.waitForPod('greedy', (entry) => entry.status.phase === 'Failed');
  expect(pod?.status.containerStatuses?.[0]?.state).toMatchObject({
    terminated: { reason: 'OOMKilled', exitCode: 137 },
  });
});

test('no Pod is scheduled until scheduling is allowed again', async () => {
  cluster.faults.unschedulable('1 Insufficient cpu.');
  await client.create(toTestPod('waiting'));
  const waiting = await client.waitForPod('waiting', (pod) => pod.status.conditions !== undefined);
  expect(waiting?.status.conditions?.[0]?.message).toBe('0/1 nodes are available: 1 Insufficient cpu.');
  cluster.faults.unschedulable(undefined);
  expect((await client.waitForPod('waiting', isReady))?.status.phase).toBe('Running');
});

test('the Pods of a disconnected node are not ready, and the node catches up when it is connected again', async () => {
  await client.create(toTestPod('silent'));
  await client.waitForPod('silent', isReady);
  const open = client.openExec(toExecPath('silent', ['sh', '-c', 'echo up; sleep 1000']));
  await open.waitForStdout('up');
  cluster.faults.stopNode();
  const unready = await client.waitForPod('silent', (pod) => !isReady(pod));
  const conditions = unready?.status.conditions?.map(({ type, status }) => [type, status]);
  expect(conditions).toContainEqual(['Ready', 'False']);
  expect(conditions).toContainEqual(['ContainersReady', 'True']);
  const { status } = await client.openExec(toExecPath('silent', ['true'])).ended;
  expect(status).toMatchObject({ status: 'Failure', message: expect.stringContaining('no route to host') as string });
  await client.call('DELETE', `${PODS}/silent`, { body: { gracePeriodSeconds: 5 } });
  expect(await client.call('GET', `${PODS}/silent`)).toMatchObject({ code: 200 });
  const gone = client.waitForPod('silent', () => false);
  cluster.faults.startNode();
  expect(await gone).toBeUndefined();
  open.socket.terminate();
});

test('a Pod whose emptyDir exceeds its limit is evicted with the name of the volume', async () => {
  const volumes = [{ name: 'c3', emptyDir: { sizeLimit: '64Ki' } }];
  await client.create(toTestPod('full', { volumes }));
  await client.waitForPod('full', isReady);
  await client.openExec(toExecPath('full', ['sh', '-c', 'head -c 100000 /dev/zero > /c3/big'])).ended;
  const pod = await client.waitForPod('full', (entry) => entry.status.phase === 'Failed');
  expect(pod?.status).toMatchObject({
    reason: 'Evicted',
    message: 'Usage of EmptyDir volume "c3" exceeds the limit "64Ki". ',
  });
});

test('a Pod that is evicted by the API reports it before it is deleted', async () => {
  await client.create(toTestPod('drained', { terminationGracePeriodSeconds: 600 }));
  await client.waitForPod('drained', isReady);
  const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'drained' } };
  expect(await client.call('POST', `${PODS}/drained/eviction`, { body })).toMatchObject({ code: 201 });
  const pod = await client.waitForPod('drained', (entry) => entry.metadata.deletionTimestamp !== undefined);
  expect(pod?.status.conditions).toContainEqual(
    expect.objectContaining({ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }),
  );
  await client.call('DELETE', `${PODS}/drained`, { body: { gracePeriodSeconds: 0 } });
});

test('requests are counted by kind', async () => {
  const before = cluster.stats();
  await client.call('GET', PODS);
  await client.openExec(toExecPath('pod', ['true'])).ended;
  expect(cluster.stats()).toStrictEqual({ ...before, list: before.list + 1, exec: before.exec + 1 });
});
