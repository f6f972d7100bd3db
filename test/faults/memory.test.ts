import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/pipeline/pipeline.ts';
import { collectGarbage, countHeld } from '../fakes/memory.ts';
import { useFaultCluster } from './fault-cluster.ts';

const faults = useFaultCluster();

/** Of each build its own object, as of a c3.yaml that was read for it. */
function toManifest(): JsonObject {
  const container = { name: 'main', image: 'busybox', command: ['sleep', '100000'] };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'memory' }, spec: { containers: [container] } };
}

test('of builds that ran at the same time nothing is held once they are over', async () => {
  const scopes = Array.from({ length: 6 }, (_, index) => `forge.example/acme/memory-${index}`);
  const held: WeakRef<object>[] = [];
  async function open(scope: string) {
    const manifest = toManifest();
    const workspace = await faults.openWorkspace({ scope, manifest });
    held.push(new WeakRef(manifest), new WeakRef(workspace));
    return workspace;
  }
  async function visit(): Promise<void> {
    const workspaces = await Promise.all(scopes.map(open));
    // While they run: what is needed at their end must not be freed before.
    await collectGarbage();
    await Promise.all(workspaces.map(async (workspace) => await workspace.release({ isClean: true })));
  }
  await visit();
  await visit();
  // One that ended last is in the hands of whoever waited for it.
  expect(await countHeld(held)).toBeLessThanOrEqual(2);
});
