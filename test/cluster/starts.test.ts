import { describe, test } from 'vitest';
import { toPod } from '../../src/kube/api-types.ts';
import { toPodsPath } from '../../src/kube/watch.ts';
import type { JsonObject } from '../../src/pipeline/pipeline.ts';
import { toManifest, useRealCluster } from './real-cluster.ts';

const real = useRealCluster();

/** A node checks its containers once a second: it notices some of a few new Pods only after c3 uses them. */
const TRIES = 5;

describe.concurrent('a new Pod of a real Kubernetes', () => {
  test('is used before its status shows that it runs', async ({ expect }) => {
    const phases: string[] = [];
    for (let count = 0; count < TRIES && !phases.includes('Pending'); count += 1) {
      const scope = `git.example.com/acme/early${count}`;
      const workspace = await real.openWorkspace({ scope, manifest: toManifest(), reuse: false });
      const path = `${toPodsPath(real.namespace)}/${workspace.name}`;
      const answer = await real.client.request({ method: 'GET', path });
      phases.push(toPod(answer.kind === 'ok' && answer.body).phase);
      expect(await real.look(workspace.name, 'echo in')).toBe('in\n');
      await workspace.release({ isClean: true });
    }
    expect(phases).toContain('Pending');
  });

  // Without a startupProbe: a kubelet of 1.20 may report its success a minute late.
  test.for<[string, JsonObject]>([
    [
      'readinessProbe',
      {
        command: ['sh', '-c', 'sleep 2; echo > /c3/ready; sleep 100000'],
        readinessProbe: { exec: { command: ['test', '-e', '/c3/ready'] }, periodSeconds: 1 },
      },
    ],
    ['postStart', { lifecycle: { postStart: { exec: { command: ['sh', '-c', 'sleep 2; echo > /c3/ready'] } } } }],
  ])('with a %s is used after its success', async ([what, changes], { expect }) => {
    const scope = `git.example.com/acme/${what.toLowerCase()}`;
    const workspace = await real.openWorkspace({ scope, manifest: toManifest(changes), reuse: false });
    expect(await real.look(workspace.name, 'ls /c3')).toContain('ready');
    await workspace.release({ isClean: true });
  });
});
