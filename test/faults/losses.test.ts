import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import { createClient, type KubeClient } from '../../src/kube/client.ts';
import { parseKubeconfig } from '../../src/kube/kubeconfig.ts';
import { deletePod } from '../../src/kube/pod-reaper.ts';
import { startBuild } from './build-run.ts';
import { useFaultCluster } from './fault-cluster.ts';

const faults = useFaultCluster();
let client: KubeClient;

beforeAll(() => {
  client = createClient(parseKubeconfig(faults.embedded.kubeconfig));
});
afterAll(async () => await client.close());

async function remove({ name, id }: Workspace, graceSeconds: number): Promise<void> {
  await deletePod(client, { namespace: 'default', name, uid: id, graceSeconds });
}

const LOSSES: readonly [what: string, act: (workspace: Workspace) => Promise<void> | void, words: RegExp][] = [
  ['deleted, with a grace', async (workspace) => await remove(workspace, 30), /Pod .* is being deleted$/],
  ['deleted at once', async (workspace) => await remove(workspace, 0), /Pod .* (?:was|is being) deleted$/],
  [
    'evicted',
    async ({ name }) => await faults.embedded.faults.evict(name, 'The node was low on resource: memory.'),
    /Pod .* was stopped: Evicted: The node was low on resource: memory\.$/,
  ],
  [
    'robbed of its container for want of memory',
    ({ name }) => faults.embedded.faults.oomKill(name, 'main'),
    /container "main" ran out of memory \(its limit is 64Mi\) and was killed$/,
  ],
];

const SCRIPTS = [
  ['quiet', 'touch "/c3/up.$C3_BUILD_ID"; exec sleep 1000'],
  ['noisy', 'touch "/c3/up.$C3_BUILD_ID"; i=0; while :; do i=$((i + 1)); echo "line $i"; sleep 0.02; done'],
] as const;

describe.concurrent.each(SCRIPTS)('a build whose Pod is lost under a %s step', (kind, script) => {
  // Concurrent tests must use their own `expect`.
  test.for(LOSSES)(
    'because it is %s ends as an infrastructure error in the words of the cluster',
    async ([what, act, words], { expect }) => {
      // A Pod for each test: they run concurrently, because they mostly wait for Pods to end.
      const order = { scope: `git.example.com/acme/${kind}-${LOSSES.findIndex(([name]) => name === what)}` };
      const workspace = await faults.openWorkspace(order);
      const build = startBuild(workspace, [script, 'echo never']);
      await expect.poll(() => existsSync(join(faults.volumeOf(workspace), `up.${build.buildId}`))).toBe(true);
      await act(workspace);
      const { ending, sweep } = await build.outcome;
      expect(ending).toMatchObject({
        kind: 'infrastructure-error',
        message: expect.stringMatching(/^Step "1" could not be followed to its end: /),
      });
      expect('message' in ending && ending.message).toMatch(words);
      expect(await sweep()).toBe(false);
      // The next build never gets a lost Pod.
      await workspace.release({ isClean: true });
      const next = await faults.openWorkspace(order);
      expect(next.id).not.toBe(workspace.id);
      expect(next.isWarm).toBe(false);
      expect((await startBuild(next, ['true']).outcome).ending).toEqual({ kind: 'passed', allowed: [] });
      await next.release({ isClean: false });
    },
  );
});
