import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/pipeline/pipeline.ts';
import { toPod } from '../../src/kube/api-types.ts';
import { createClient } from '../../src/kube/client.ts';
import { toPodsPath } from '../../src/kube/watch.ts';
import { createContractFixture, type ContractFixture, type ContractTarget } from './contract-fixture.ts';
import { describeEndings } from './endings.contract.ts';
import { describeLeases } from './lease.contract.ts';
import { describeSharing } from './sharing.contract.ts';
import { describeStarts } from './starts.contract.ts';
import { describeWorkspaces } from './workspace.contract.ts';
import { WAIT_MS } from '../time-limits.ts';

/**
 * Tests what c3 relies on: first the Kubernetes API, then workspaces. It runs against the embedded cluster and
 * against real ones, so that both behave the same. The Pods that it creates have random names and are deleted.
 */
export function describeClusterContract(name: string, getTarget: () => Promise<ContractTarget>): void {
  describe(`${name} keeps the contract`, () => {
    const fixture = createContractFixture(getTarget);
    beforeAll(async () => await fixture.start());
    afterAll(async () => await fixture.stop());
    describeApi(fixture);
    describePods(fixture);
    describeExecs(fixture);
    describeLeases(fixture);
    describeStarts(fixture);
    describeWorkspaces(fixture);
    describeSharing(fixture);
    describeEndings(fixture);
  });
}

function describeApi(fixture: ContractFixture): void {
  const { client, namespace, podName, create, remove, read, until, startPod, alone } = fixture;
  describe('the API', () => {
    test('creates a Pod, with a UID and a resourceVersion, and reads it back', async () => {
      const answer = await read('main');
      expect(answer.kind).toBe('ok');
      const pod = toPod(answer.kind === 'ok' ? answer.body : undefined);
      expect(pod).toMatchObject({
        name: podName('main'),
        phase: 'Running',
        isDeleting: false,
        containerNames: ['a', 'b'],
      });
      expect(pod.uid).not.toBe('');
      expect(pod.resourceVersion).not.toBe('');
      expect(pod.startedAt).toBeTypeOf('number');
      expect(pod.conditions.find(({ type }) => type === 'Ready')?.status).toBe('True');
    });

    test('refuses a second Pod of the same name with AlreadyExists', async () => {
      expect(await create('main', alone())).toMatchObject({ kind: 'refused', code: 409, reason: 'AlreadyExists' });
    });

    test('refuses a bad spec with 422 and the field', async () => {
      const answer = await create('bad', alone({ name: 'Bad_Name' }));
      expect(answer).toMatchObject({ kind: 'refused', code: 422, reason: 'Invalid' });
      expect(answer.kind === 'refused' && answer.message).toContain('spec.containers[0].name');
    });

    test('refuses a field of the wrong type with 400 and the field', async () => {
      const answer = await create('typed', alone({ env: [{ name: 'A', value: 1 }] }));
      expect(answer).toMatchObject({ kind: 'refused', code: 400, reason: 'BadRequest' });
      expect(answer.kind === 'refused' && answer.message).toMatch(/EnvVar.*value/i);
    });

    test('answers 404 for a missing Pod', async () => {
      expect(await read('nothing')).toMatchObject({ kind: 'refused', code: 404, reason: 'NotFound' });
      expect(await remove(podName('nothing'))).toMatchObject({ kind: 'refused', code: 404, reason: 'NotFound' });
    });

    test('refuses credentials it does not know with 401', async () => {
      const { clientCertificate: _certificate, ...access } = client().access;
      const stranger = createClient({ ...access, token: 'nobody' });
      expect(await stranger.request({ method: 'GET', path: toPodsPath(namespace()) })).toMatchObject({ code: 401 });
      await stranger.close();
    });

    test('deletes only the Pod with the given UID, and reports it to the watch', async () => {
      const pod = await startPod('doomed', alone());
      expect(await remove(pod.name, { uid: 'another' })).toMatchObject({
        kind: 'refused',
        code: 409,
        reason: 'Conflict',
      });
      expect((await remove(pod.name, { uid: pod.uid })).kind).toBe('ok');
      await until('doomed', (state) => state === undefined || state.isDeleting);
    });

    test('lists by name, and only one of many with a limit of 1', async () => {
      const query = { fieldSelector: `metadata.name=${podName('main')}` };
      const path = toPodsPath(namespace());
      const answer = await client().request({ method: 'GET', path, query });
      expect(answer.kind === 'ok' && (answer.body as { items: unknown[] }).items).toHaveLength(1);
      await startPod('another', alone());
      const cut = await client().request({ method: 'GET', path, query: { limit: '1' } });
      expect(cut.kind === 'ok' && cut.body).toMatchObject({
        metadata: { resourceVersion: expect.stringMatching(/^\d+$/), continue: expect.stringMatching(/./) },
        items: [{ metadata: { namespace: namespace() } }],
      });
    });

    test('answers 410 for a watch from an old version, or starts where it can', async () => {
      const answer = await client().stream(
        {
          method: 'GET',
          path: toPodsPath(namespace()),
          query: { watch: 'true', resourceVersion: '1', timeoutSeconds: '1', fieldSelector: 'metadata.name=none' },
        },
        WAIT_MS,
      );
      const lines: string[] = [];
      if (answer.kind === 'ok') for await (const line of answer.lines) lines.push(line);
      const codes = lines.map((line) => (JSON.parse(line) as { object?: { code?: number } }).object?.code);
      expect([[], [410]]).toContainEqual(answer.kind === 'refused' ? [answer.code] : codes);
    });
  });
}

function describePods(fixture: ContractFixture): void {
  const { create, remove, until, startPod, openExec, podName, alone, sleeper } = fixture;
  describe('a Pod', () => {
    test.each<[string, JsonObject, RegExp]>([
      [
        'an image that may not be pulled',
        { image: 'localhost/no-such:1', imagePullPolicy: 'Never' },
        /^ErrImageNeverPull$/,
      ],
      ['an image that does not exist', { image: 'no-such.invalid/no-such:1' }, /^(?:ErrImagePull|ImagePullBackOff)$/],
      ['an image whose name is none', { image: 'acme/UPPER' }, /^InvalidImageName$/],
    ])('with %s reports it', async (_what, changes, reason) => {
      const stem = `image-${reason.source
        .replaceAll(/[^A-Za-z]/g, '')
        .toLowerCase()
        .slice(0, 12)}`;
      await create(stem, alone(changes));
      const pod = await until(stem, (state) => {
        const container = state?.containers[0]?.state;
        return container?.kind === 'waiting' && reason.test(container.reason);
      });
      expect(pod?.phase).toBe('Pending');
    });

    test('that fits no node reports it', async () => {
      await create('nowhere', { ...alone(), nodeSelector: { 'c3.test/nowhere': 'true' } });
      const pod = await until(
        'nowhere',
        (state) => state?.conditions.some(({ reason }) => reason === 'Unschedulable') === true,
      );
      expect(pod?.conditions.find(({ type }) => type === 'PodScheduled')?.message).toContain('nodes are available');
    });

    test('whose container exits has its exit code', async () => {
      await create('exits', alone({ command: ['sh', '-c', 'exit 7'] }));
      const pod = await until('exits', (state) => state?.phase === 'Failed');
      expect(pod?.containers[0]?.state).toMatchObject({ kind: 'terminated', exitCode: 7, reason: 'Error' });
    });

    test('fails with DeadlineExceeded after its age limit', async () => {
      await create('aged', { ...alone(), activeDeadlineSeconds: 1 });
      const pod = await until('aged', (state) => state?.phase === 'Failed');
      expect(pod?.reason).toBe('DeadlineExceeded');
    });

    test('runs its init containers first', async () => {
      const init = sleeper('init', { command: ['sh', '-c', 'echo made > /c3/by-init'] });
      await startPod('init', { ...alone(), initContainers: [init] });
      const { answer, output } = await openExec('a', ['cat', '/c3/by-init'], 'init');
      if (answer.kind === 'open') await answer.session.done;
      expect(output().stdout.toString()).toBe('made\n');
    });

    test('gives its commands its environment and its working directory', async () => {
      const env = [
        { name: 'PLAIN', value: 'a b' },
        { name: 'COMPOSED', value: '<$(PLAIN)> $(ABSENT) $$(PLAIN)' },
        { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      ];
      await startPod('env', alone({ env, workingDir: '/c3/sub' }));
      const script = 'printf "%s|" "$PLAIN" "$COMPOSED" "$POD" "$HOSTNAME"; pwd';
      const { answer, output } = await openExec('a', ['sh', '-c', script], 'env');
      if (answer.kind === 'open') await answer.session.done;
      const name = podName('env');
      expect(output().stdout.toString()).toBe(`a b|<a b> $(ABSENT) $(PLAIN)|${name}|${name}|/c3/sub\n`);
    });

    test('that is deleted has a grace period: its programs get SIGTERM, and its execs run until it ends', async () => {
      const main =
        'trap "touch /c3/told; while [ ! -e /c3/go ]; do sleep 0.1; done; exit 0" TERM; echo up > /c3/up; while :; do sleep 0.1; done';
      const spec = { ...alone({ command: ['sh', '-c', main] }), terminationGracePeriodSeconds: 600 };
      const pod = await startPod('graceful', spec);
      const script = 'echo open; while [ ! -e /c3/told ]; do sleep 0.1; done; echo told; touch /c3/go';
      const { answer, output } = await openExec(
        'a',
        ['sh', '-c', `while [ ! -e /c3/up ]; do sleep 0.1; done; ${script}`],
        'graceful',
      );
      if (answer.kind === 'refused') throw new Error(answer.message);
      await expect.poll(() => output().stdout.toString()).toBe('open\n');
      const path = `${toPodsPath(fixture.namespace())}/${pod.name}`;
      expect((await fixture.client().request({ method: 'DELETE', path })).kind).toBe('ok');
      await answer.session.done;
      expect(output().stdout.toString()).toBe('open\ntold\n');
      expect(await until('graceful', (state) => state === undefined)).toBeUndefined();
    });

    test('that ignores SIGTERM is killed after its grace period', async () => {
      const pod = await startPod('stubborn', { ...alone(), terminationGracePeriodSeconds: 600 });
      const { answer } = await openExec('a', ['sleep', '1000'], 'stubborn');
      await remove(pod.name);
      const end = answer.kind === 'open' ? await answer.session.done : undefined;
      expect(end?.kind === 'status' && end.exitCode === 0).toBe(false);
      expect(await until('stubborn', (state) => state === undefined)).toBeUndefined();
    });

    test('sees a directory of its node', async () => {
      const volumes = [{ name: 'shared', hostPath: { path: '/etc' } }];
      await startPod('host', { volumes, containers: [sleeper('a')] });
      const { answer, output } = await openExec('a', ['ls', '/c3/passwd'], 'host');
      if (answer.kind === 'open') await answer.session.done;
      expect(output().stdout.toString()).toBe('/c3/passwd\n');
    });
  });
}

function describeExecs(fixture: ContractFixture): void {
  const { create, until, openExec, exec, shell, alone } = fixture;
  describe('an exec', () => {
    test('ends with the exit code', async () => {
      expect((await shell('exit 0')).end).toMatchObject({ kind: 'status', exitCode: 0 });
      expect((await shell('exit 3')).end).toMatchObject({ kind: 'status', exitCode: 3 });
      expect((await shell('kill -9 $$')).end).toMatchObject({ kind: 'status', exitCode: 137 });
    });

    test('has its own exit code and all its output when many run at once', async () => {
      const ends = Array.from({ length: 16 }, async (_, index) => {
        const { end, stdout, stderr } = await shell(
          `head -c 100000 /dev/zero; printf ${index}; printf end >&2; exit ${index}`,
        );
        return [end.kind === 'status' ? end.exitCode : end.message, stdout.length, stdout.slice(100_000), stderr];
      });
      expect(await Promise.all(ends)).toEqual(
        Array.from({ length: 16 }, (_, index) => [index, 100_000 + String(index).length, String(index), 'end']),
      );
    });

    test('that another process kills ends with 137', async () => {
      const { answer, output } = await openExec('a', ['sh', '-c', 'echo $$; exec sleep 1000']);
      if (answer.kind === 'refused') throw new Error(answer.message);
      await expect.poll(() => output().stdout.toString()).toMatch(/^\d+\n$/);
      await shell(`kill -9 ${output().stdout.toString()}`);
      expect(await answer.session.done).toMatchObject({ kind: 'status', exitCode: 137 });
    });

    test('keeps stdout and stderr apart', async () => {
      expect(await shell('echo one; echo two >&2')).toMatchObject({ stdout: 'one\n', stderr: 'two\n' });
    });

    test('passes each argument unchanged', async () => {
      const strange = ['a b', '', 'é', '$HOME', `'"&?#%`, 'line\nline'];
      const { stdout } = await exec('a', ['sh', '-c', 'printf "%s|" "$@"', 'sh', ...strange]);
      expect(Buffer.from(stdout, 'latin1').toString()).toBe(`${strange.join('|')}|`);
    });

    test('reads a mebibyte of input by its length, without end of file', async () => {
      const input = randomBytes(1024 * 1024);
      const { end, stdout } = await exec('a', ['head', '-c', String(input.length)], input);
      expect(end).toMatchObject({ kind: 'status', exitCode: 0 });
      expect(Buffer.from(stdout, 'latin1').equals(input)).toBe(true);
    });

    test('delivers every byte of ten mebibytes of output, in order', async () => {
      const script =
        'i=0; while [ $i -lt 40 ]; do dd if=/dev/zero bs=65536 count=4 2>/dev/null; printf "<%s>" $i; i=$((i+1)); done';
      const { end, stdout } = await shell(script);
      expect(end).toMatchObject({ kind: 'status', exitCode: 0 });
      const expected = Array.from({ length: 40 }, (_, index) => `${'\0'.repeat(4 * 65_536)}<${index}>`).join('');
      expect(stdout === expected).toBe(true);
    });

    test('of a program that does not exist ends with a failure', async () => {
      const { end } = await exec('a', ['no-such-program']);
      expect(end.kind).toBe('status');
      expect(end.kind === 'status' && end.exitCode).not.toBe(0);
    });

    test('shares the volume between containers', async () => {
      await shell('echo shared > /c3/shared', 'a');
      expect((await shell('cat /c3/shared', 'b')).stdout).toBe('shared\n');
    });

    test('into a container that is not in the Pod is refused', async () => {
      const { answer } = await openExec('nope', ['true']);
      expect(answer).toMatchObject({ kind: 'refused', isTransient: false });
      expect(answer.kind === 'refused' && answer.message).toContain('nope');
    });

    test('into a Pod that does not exist is refused', async () => {
      const { answer } = await openExec('a', ['true'], 'nothing');
      expect(answer).toMatchObject({ kind: 'refused', isTransient: false });
      expect(answer.kind === 'refused' && answer.message).toContain('not found');
    });

    test('into a Pod that has ended never succeeds', async () => {
      await create('ended', alone({ command: ['true'] }));
      await until('ended', (state) => state?.phase === 'Succeeded');
      const { answer } = await openExec('a', ['true'], 'ended');
      const end = answer.kind === 'open' ? await answer.session.done : undefined;
      expect(end?.kind === 'status' && end.exitCode === 0).toBe(false);
    });

    test('leaves its program running when the connection is closed', async () => {
      const { answer, output } = await openExec('a', [
        'sh',
        '-c',
        'echo up; while [ ! -e /c3/go ]; do sleep 0.1; done; echo lived > /c3/lived',
      ]);
      if (answer.kind === 'refused') throw new Error(answer.message);
      await expect.poll(() => output().stdout.toString()).toBe('up\n');
      answer.session.close();
      expect(await answer.session.done).toEqual({ kind: 'cut', message: 'closed by c3' });
      const { stdout } = await shell(
        'touch /c3/go; n=0; while [ ! -e /c3/lived ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done; cat /c3/lived',
      );
      expect(stdout).toBe('lived\n');
    });
  });
}
