import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/pipeline/pipeline.ts';
import { collectGarbage, countHeld } from '../fakes/memory.ts';
import { useFaultCluster } from './fault-cluster.ts';

const faults = useFaultCluster();

/** Returns a new object for each build, as if its c3.yaml was read. */
function toManifest(): JsonObject {
  const container = { name: 'main', image: 'busybox', command: ['sleep', '100000'] };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'memory' }, spec: { containers: [container] } };
}

test('nothing of concurrent builds is kept in memory after their end', async () => {
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
    // During the builds: objects that are needed at their end must not be freed.
    await collectGarbage();
    await Promise.all(workspaces.map(async (workspace) => await workspace.release({ isClean: true })));
  }
  await visit();
  await visit();
  // The last one may still be held by the code that waited for it.
  expect(await countHeld(held)).toBeLessThanOrEqual(2);
});
