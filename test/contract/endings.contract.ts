import { describe, expect, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import { toPodsPath } from '../../src/kube/watch.ts';
import type { JsonObject } from '../../src/pipeline/pipeline.ts';
import type { ContractFixture } from './contract-fixture.ts';
import { createRequests, run } from './requests.ts';

/** The kubelet measures volumes every 10 s, and reports an eviction two rounds later. */

/**
 * Tests how a build loses its Pod: each way has its own message, in bounded time, and no other build gets the Pod.
 */
export function describeEndings(fixture: ContractFixture): void {
  const { client, namespace, podName, alone, sleeper, faults, createOther } = fixture;
  const { request, open } = createRequests(fixture);

  async function openPod(stem: string, spec: JsonObject = alone(), changes = {}): Promise<Workspace> {
    const manifest = { metadata: { name: podName(stem) }, spec };
    return await open(request(stem, { manifest, ...changes }));
  }
  /** Returns the message, and checks that the next build of the same job gets another Pod. */
  async function endOf(workspace: Workspace, stem: string, spec?: JsonObject): Promise<string> {
    const sentence = await workspace.lost;
    await workspace.release({ isClean: true });
    const next = await openPod(stem, spec);
    expect(next.id).not.toBe(workspace.id);
    await next.release({ isClean: false });
    return sentence;
  }

  describe('a build whose Pod ends', () => {
    test('because its node is drained gets the reason', async () => {
      const workspace = await openPod('e-drain');
      const path = `${toPodsPath(namespace())}/${workspace.name}/eviction`;
      for (const apiVersion of ['policy/v1', 'policy/v1beta1']) {
        const metadata = { name: workspace.name, namespace: namespace() };
        const body = { apiVersion, kind: 'Eviction', metadata, deleteOptions: { gracePeriodSeconds: 1 } };
        if ((await client().request({ method: 'POST', path, body })).kind === 'ok') break;
      }
      expect(await endOf(workspace, 'e-drain')).toMatch(
        /^Pod \S+ (?:was evicted: EvictionByEvictionAPI: Eviction API: evicting|is being deleted)$/,
      );
    });

    test('because a volume is full gets the name of the volume', async () => {
      const spec = { ...alone(), volumes: [{ name: 'shared', emptyDir: { sizeLimit: '1Mi' } }] };
      const workspace = await openPod('e-full', spec);
      await run(workspace, 'head -c 3000000 /dev/zero > /c3/big');
      expect(await endOf(workspace, 'e-full', spec)).toMatch(
        /^Pod \S+ was (?:stopped: Evicted|evicted: \w+): Usage of EmptyDir volume "shared" exceeds the limit "1Mi"\.$/,
      );
    });

    test('because a container ends gets its exit code', async () => {
      const spec = alone({ command: ['sh', '-c', 'while [ ! -e /c3/end ]; do sleep 0.1; done; exit 5'] });
      const workspace = await openPod('e-exit', spec);
      await run(workspace, 'touch /c3/end');
      expect(await endOf(workspace, 'e-exit', spec)).toBe(
        'container "a" ended in the middle of the build (exit code 5)',
      );
    });

    test('because a container restarts gets the reason', async () => {
      const command = ['sh', '-c', 'while [ ! -e /c3/end ]; do sleep 0.1; done; rm /c3/end; exit 6'];
      const spec = { ...alone({ command }), restartPolicy: 'Always' };
      const workspace = await openPod('e-restart', spec);
      await run(workspace, 'touch /c3/end');
      expect(await endOf(workspace, 'e-restart', spec)).toBe(
        'container "a" ended in the middle of the build (exit code 6)',
      );
    });

    test('because it reached its age limit gets the reason', async () => {
      const changes = { maxAgeMs: 8_000, neededMs: 1_000 };
      const workspace = await openPod('e-aged', alone(), changes);
      expect(await workspace.lost).toMatch(/^Pod \S+ reached its age limit \(activeDeadlineSeconds\) and was stopped$/);
      await workspace.release({ isClean: true });
    });

    test('because a container exceeds its memory gets the limit', async () => {
      const { oomKill } = faults();
      const eater = 'while [ ! -e /c3/eat ]; do sleep 0.1; done; exec tail /dev/zero';
      const resources = { limits: { memory: '32Mi' } };
      const spec = alone({ command: ['sh', '-c', eater], resources });
      const workspace = await openPod('e-memory', spec);
      await (oomKill ? oomKill(workspace.name, 'a') : run(workspace, 'touch /c3/eat'));
      expect(await endOf(workspace, 'e-memory', spec)).toBe(
        'container "a" ran out of memory (its limit is 32Mi) and was killed',
      );
    });

    test('with its node gets the reason while the cluster still waits for the node', async (context) => {
      const { silenceNode } = faults();
      if (!silenceNode) return context.skip();
      const by = createOther({ silentNodeMs: 500 });
      const workspace = await open(request('e-node'), { by });
      const bring = await silenceNode();
      // An exec detects it before the cluster does.
      await run(workspace, 'true');
      expect(await workspace.lost).toMatch(
        /^node "\S+" of Pod \S+ has been out of reach for 1 s \(.+\): what runs there is unknown$/,
      );
      await workspace.release({ isClean: true });
      await bring();
      const next = await open(request('e-node'), { by });
      expect(next.id).not.toBe(workspace.id);
      await next.release({ isClean: false });
    });

    test('does not lose it when one process is killed: that has its exit code, and the Pod continues', async () => {
      const spec = { volumes: [{ name: 'shared', emptyDir: {} }], containers: [sleeper('a')] };
      const workspace = await openPod('e-process', spec);
      expect(await run(workspace, 'sh -c "kill -9 \\$\\$"; echo $?')).toBe('137\n');
      await workspace.release({ isClean: true });
      const next = await openPod('e-process', spec);
      expect(next.id).toBe(workspace.id);
      await next.release({ isClean: false });
    });
  });
}
