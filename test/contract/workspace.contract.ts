import { describe, expect, test } from 'vitest';
import type { WorkspaceRequest } from '../../src/engine/cluster.ts';
import { toPod } from '../../src/kube/api-types.ts';
import { toPodsPath } from '../../src/kube/watch.ts';
import { NEVER, type ContractFixture } from './contract-fixture.ts';
import { createRequests, run } from './requests.ts';
import { WAIT_MS } from '../time-limits.ts';

/** Tests what the engine relies on: Pods as workspaces. */
export function describeWorkspaces(fixture: ContractFixture): void {
  const { cluster, createOther, client, namespace, alone, podName, remove } = fixture;
  describe('a workspace', () => {
    const { request, answerTo, open } = createRequests(fixture);
    async function failure(wanted: WorkspaceRequest, startTimeoutMs = WAIT_MS): Promise<string> {
      const { answer } = await answerTo(wanted, { startTimeoutMs });
      return answer.kind === 'failed' ? answer.message : `it is ${answer.kind}`;
    }

    test('is the same warm Pod for the next build, which waits for it', async () => {
      const first = await open(request('warm'));
      expect(first.isWarm).toBe(false);
      const second = answerTo(request('warm'));
      await first.release({ isClean: true });
      const { answer, reasons } = await second;
      expect(reasons).toContain('another build of this repository has the Pod');
      expect(answer).toMatchObject({ kind: 'ready', workspace: { id: first.id, name: first.name, isWarm: true } });
      if (answer.kind === 'ready') await answer.workspace.release({ isClean: false });
    });

    test('is another one for another trust class', async () => {
      const first = await open(request('mine'));
      await first.release({ isClean: true });
      const other = await open(request('mine', { owner: 'refs/heads/main' }));
      expect(other.id).not.toBe(first.id);
      await Promise.all([other.release({ isClean: false }), remove(first.name)]);
    });

    test('that was left unclean is not used again', async () => {
      const first = await open(request('dirty'));
      await first.release({ isClean: false });
      const second = await open(request('dirty'));
      expect(second.id).not.toBe(first.id);
      expect(second.isWarm).toBe(false);
      await second.release({ isClean: false });
    });

    test('that is too old for the build is not used again', async () => {
      const first = await open(request('old', { maxAgeMs: 60_000 }));
      await first.release({ isClean: true });
      const second = await open(request('old', { maxAgeMs: 60_000, neededMs: 60_001 }));
      expect(second.id).not.toBe(first.id);
      await second.release({ isClean: false });
    });

    test('without reuse is deleted after the build', async () => {
      const only = await open(request('once', { reuse: false }));
      await only.release({ isClean: true });
      const answer = await client().request({ method: 'GET', path: `${toPodsPath(namespace())}/${only.name}` });
      expect(answer.kind === 'refused' ? answer.code : toPod(answer.body).isDeleting).toBeOneOf([404, true]);
    });

    test('that is deleted during the build is lost', async () => {
      const workspace = await open(request('lost'));
      await remove(workspace.name);
      expect(await workspace.lost).toMatch(/ (?:is being|was) deleted$/);
      await workspace.release({ isClean: true });
    });

    test('fails with the message of the cluster', async () => {
      const bad = { metadata: { name: podName('w-bad') }, spec: alone({ name: 'Bad_Name' }) };
      expect(await failure(request('w-bad', { manifest: bad }))).toContain('spec.containers[0].name');
      const image = { metadata: { name: podName('w-image') }, spec: alone({ image: 'no-such.invalid/no-such:1' }) };
      expect(await failure(request('w-image', { manifest: image }))).toContain(
        'container "a" cannot pull image "no-such.invalid/no-such:1": ',
      );
      const nowhere = {
        metadata: { name: podName('w-nowhere') },
        spec: { ...alone(), nodeSelector: { nowhere: 'true' } },
      };
      expect(await failure(request('w-nowhere', { manifest: nowhere }), 1_000)).toMatch(
        /did not start within 1 s: no node accepts Pod .*: 0\/\d+ nodes are available/,
      );
    });

    test('whose container exits reports the exit code, whether or not it was seen running', async () => {
      const exits = { metadata: { name: podName('w-exits') }, spec: alone({ command: ['sh', '-c', 'exit 7'] }) };
      const { answer } = await answerTo(request('w-exits', { manifest: exits }));
      const sentence =
        answer.kind === 'ready' ? await answer.workspace.lost : answer.kind === 'failed' && answer.message;
      expect(sentence).toMatch(
        /^container "a" (?:exited with code 7|ended in the middle of the build \(exit code 7\))/,
      );
      if (answer.kind === 'ready') await answer.workspace.release({ isClean: false });
    });

    test('whose container exits reports its last output', async () => {
      // A runtime may change the order of two streams.
      const script = 'echo one >&2; echo exec format error >&2; exit 255';
      const spec = alone({ command: ['sh', '-c', script] });
      const exits = { metadata: { name: podName('w-words') }, spec };
      const { answer } = await answerTo(request('w-words', { manifest: exits }));
      const sentence =
        answer.kind === 'ready' ? await answer.workspace.lost : answer.kind === 'failed' && answer.message;
      expect(sentence).toMatch(/^container "a" .*255.*; its last output: one\nexec format error$/s);
      if (answer.kind === 'ready') await answer.workspace.release({ isClean: false });
    });

    test('of an aborted build is not kept', async () => {
      const abort = new AbortController();
      const answer = await cluster().openWorkspace(request('aborted'), {
        signal: abort.signal,
        startTimeoutMs: WAIT_MS,
        onWaiting: () => abort.abort(),
      });
      expect(answer).toEqual({ kind: 'aborted' });
    });

    test('is found with the same request, during a build and after it', async () => {
      const other = createOther();
      const wanted = request('find');
      expect(await other.findWorkspace(wanted, { signal: NEVER })).toMatchObject({ kind: 'gone' });
      const workspace = await open(wanted);
      const answers = [await other.findWorkspace(wanted, { signal: NEVER })];
      await workspace.release({ isClean: true });
      answers.push(await other.findWorkspace(wanted, { signal: NEVER }));
      for (const answer of answers) {
        if (answer.kind !== 'found') throw new Error(JSON.stringify(answer));
        const { workspace: seen } = answer;
        expect(seen).toMatchObject({ id: workspace.id, name: workspace.name });
        expect(await run(seen, 'printf read')).toBe('read');
        const ignore = (): void => undefined;
        const options = { signal: NEVER, onStdout: ignore, onStderr: ignore };
        const waiting = await seen.exec('a', ['sleep', '1000'], options);
        seen.close();
        expect(waiting.kind === 'open' && (await waiting.session.done).kind).toBe('cut');
      }
      for (const changes of [
        { scope: 'example.com/contract/other' },
        { owner: 'refs/heads/main' },
        { reuse: false },
      ] as const)
        expect(await other.findWorkspace({ ...wanted, ...changes }, { signal: NEVER })).toMatchObject({ kind: 'gone' });
      await (await open(wanted)).release({ isClean: false });
      const find = async (): Promise<string> => (await other.findWorkspace(wanted, { signal: NEVER })).kind;
      await expect.poll(find).toBe('gone');
    });

    test('of one build is found only for that build', async () => {
      const wanted = request('find-own', { reuse: false, buildId: 'b1' });
      const workspace = await open(wanted);
      expect(await cluster().findWorkspace(wanted, { signal: NEVER })).toMatchObject({
        kind: 'found',
        workspace: { id: workspace.id },
      });
      expect(await cluster().findWorkspace({ ...wanted, buildId: 'b2' }, { signal: NEVER })).toMatchObject({
        kind: 'gone',
      });
      await workspace.release({ isClean: true });
    });

    test('opens many execs at once', async () => {
      const workspace = await open(request('many'));
      const ends = Array.from({ length: 40 }, async (_, index) => {
        const options = { signal: NEVER, onStdout: () => undefined, onStderr: () => undefined };
        const answer = await workspace.exec('a', ['sh', '-c', `exit ${index}`], options);
        return answer.kind === 'open' ? await answer.session.done : answer;
      });
      expect((await Promise.all(ends)).map((end) => (end.kind === 'status' ? end.exitCode : end.message))).toEqual(
        Array.from({ length: 40 }, (_, index) => index),
      );
      await workspace.release({ isClean: false });
    });
  });
}
