import { afterAll, beforeAll, expect, test } from 'vitest';

import { type Client, createClient, isReady, toExecPath, toTestPod } from './client.ts';
import type { EmbeddedCluster } from './embedded-cluster.ts';
import { getSharedCluster } from '../../test/fakes/shared-cluster.ts';

let cluster: EmbeddedCluster;
let client: Client;

beforeAll(async () => {
  cluster = await getSharedCluster();
  client = createClient(cluster.kubeconfig);
});
afterAll(async () => await client.close());

async function run(pod: string, script: string): Promise<{ stdout: string; code: number }> {
  const { stdout, status } = await client.openExec(toExecPath(pod, ['sh', '-c', script])).ended;
  const cause = status?.details?.causes?.find((entry) => entry.reason === 'ExitCode');
  return { stdout, code: status?.status === 'Success' ? 0 : Number(cause?.message ?? NaN) };
}

test('an exec reads stdin to its end, which only v5 transmits, and all its output arrives', async () => {
  await client.create(toTestPod('streams'));
  await client.waitForPod('streams', isReady);
  const exec = client.openExec(toExecPath('streams', ['sh', '-c', 'cat; seq 1 200000; echo done >&2']));
  exec.socket.once('open', () => {
    exec.socket.send(Buffer.from('\0input\n'));
    exec.socket.send(Buffer.of(255, 0));
  });
  const result = await exec.ended;
  expect(result.stdout).toHaveLength('input\n'.length + 1_288_895);
  expect(result).toMatchObject({ stderr: 'done\n', closeCode: 1000, status: { metadata: {}, status: 'Success' } });
});

test('forty execs at once each end with their own exit code and all of their output', async () => {
  await client.create(toTestPod('crowd'));
  await client.waitForPod('crowd', isReady);
  // The output exceeds a socket's buffer, so that some programs end with unread output, and the programs end at once.
  const script = (index: number): string => `printf '%0${100_000 + index}d' 0; printf end >&2; exit ${index}`;
  const results = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const { stdout, stderr, status } = await client.openExec(toExecPath('crowd', ['sh', '-c', script(index)])).ended;
      return [stdout.length, stderr, status?.status === 'Success' ? '0' : status?.details?.causes?.[0]?.message];
    }),
  );
  expect(results).toStrictEqual(Array.from({ length: 40 }, (_, index) => [100_000 + index, 'end', String(index)]));
});

test('a client that does not read blocks the program, and gets all output when it reads again', async () => {
  await client.create(toTestPod('slow'));
  await client.waitForPod('slow', isReady);
  const blocks = 160;
  const script = `i=0; while [ $i -lt ${blocks} ]; do head -c 262144 /dev/zero; i=$((i+1)); echo $i > /c3/count; done`;
  const exec = client.openExec(toExecPath('slow', ['sh', '-c', `echo up; ${script}`]));
  await exec.waitForStdout('up');
  exec.socket.pause();
  // The program is blocked when its count stays the same during some other execs.
  const counts: number[] = [];
  do counts.push(Number((await run('slow', 'cat /c3/count')).stdout));
  while (counts.length < 5 || counts.slice(-5).some((count) => count !== counts.at(-1)));
  expect(counts.at(-1)).toBeLessThan(blocks / 3);
  exec.socket.resume();
  const { stdout, status } = await exec.ended;
  expect(stdout).toHaveLength('up\n'.length + blocks * 262_144);
  expect(status?.status).toBe('Success');
});

test('an exec whose client disconnects before the program starts reads the end of its input', async () => {
  await client.create(toTestPod('hasty'));
  await client.waitForPod('hasty', isReady);
  const exec = client.openExec(toExecPath('hasty', ['sh', '-c', 'mkfifo /c3/f; cat; echo ended > /c3/f']));
  exec.socket.once('open', () => exec.socket.terminate());
  await exec.ended;
  expect((await run('hasty', 'while [ ! -p /c3/f ]; do :; done; cat /c3/f')).stdout).toBe('ended\n');
});

test('an exec outlives its connection, and dies with its container', async () => {
  await client.create(toTestPod('orphan'));
  await client.waitForPod('orphan', isReady);
  const exec = client.openExec(toExecPath('orphan', ['sh', '-c', 'mkfifo /c3/f; echo up; cat /c3/f > /c3/got']));
  await exec.waitForStdout('up');
  exec.socket.terminate();
  await exec.ended;
  await run('orphan', 'echo late > /c3/f; while [ ! -s /c3/got ]; do :; done');
  expect(await run('orphan', 'cat /c3/got')).toStrictEqual({ stdout: 'late\n', code: 0 });
  const second = client.openExec(toExecPath('orphan', ['sh', '-c', 'echo up; exec sleep 1000']));
  await second.waitForStdout('up');
  cluster.faults.oomKill('orphan', 'main');
  expect((await second.ended).status?.details?.causes?.[0]?.message).toBe('137');
});

test('refuses an exec with the text of Kubernetes', async () => {
  await client.create(toTestPod('words'));
  await client.waitForPod('words', isReady);
  const refused = async (path: string, protocols?: string[]) => (await client.openExec(path, protocols).ended).refused;
  expect(await refused(toExecPath('absent', ['true']))).toMatchObject({ code: 404, body: { reason: 'NotFound' } });
  expect(await refused(toExecPath('words', ['true'], 'bad'))).toMatchObject({
    code: 400,
    body: { message: 'container bad is not valid for pod words' },
  });
  const missing = await client.openExec(toExecPath('words', ['no-such-program'])).ended;
  expect(missing.status).toMatchObject({ status: 'Failure', reason: 'InternalError', code: 500 });
  expect(missing.status?.message).toContain('executable file not found in $PATH');
  const plain = await client.call('GET', toExecPath('words', ['true']));
  expect(plain).toMatchObject({ code: 400, body: { message: 'Upgrade request required' } });
});

test('reports a missing container before 101 with v4, and in a status after 101 with v5', async () => {
  await client.create(toTestPod('done', { containers: [{ name: 'main', image: 'a', command: ['true'] }] }));
  await client.waitForPod('done', (pod) => pod.status.phase === 'Succeeded');
  const message = 'Internal error occurred: unable to upgrade connection: container not found ("main")';
  const old = await client.openExec(toExecPath('done', ['true']), ['v4.channel.k8s.io']).ended;
  expect(old.refused).toMatchObject({ code: 500, body: { message } });
  const current = await client.openExec(toExecPath('done', ['true'])).ended;
  expect(current).toMatchObject({ refused: undefined, status: { message, code: 500 } });
});

test.runIf(process.getuid?.() === 0)('runs a container and its execs as the user that the Pod names', async () => {
  const securityContext = { runAsUser: 1234, runAsGroup: 5678 };
  await client.create(toTestPod('user', { securityContext }));
  await client.waitForPod('user', isReady);
  expect(await run('user', 'id -u; id -g; touch /c3/mine')).toStrictEqual({ stdout: '1234\n5678\n', code: 0 });
  const missing = await client.openExec(toExecPath('user', ['no-such-program'])).ended;
  expect(missing.status?.message).toContain('"no-such-program": executable file not found in $PATH');
});

test.each([
  ['/no/such', 'stat /no/such: no such file or directory'],
  ['/etc/passwd', 'permission denied'],
  ['cd', 'executable file not found in $PATH'],
])('an exec of %s fails with the reason', async (file, why) => {
  const name = `refuses-${file.replaceAll('/', '')}`;
  await client.create(toTestPod(name));
  await client.waitForPod(name, isReady);
  const { status, stderr } = await client.openExec(toExecPath(name, [file])).ended;
  expect(status).toMatchObject({ status: 'Failure', reason: 'InternalError', code: 500 });
  expect(status?.message).toContain(`unable to start container process: exec: "${file}": ${why}: unknown`);
  expect(stderr).toBe('');
});
