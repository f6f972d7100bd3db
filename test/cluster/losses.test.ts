import { describe, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import { toPodsPath } from '../../src/kube/watch.ts';
import type { JsonObject } from '../../src/pipeline/pipeline.ts';
import { startBuild } from '../faults/build-run.ts';
import { toManifest, useRealCluster, type RealCluster } from './real-cluster.ts';

const real = useRealCluster();

interface Loss {
  readonly what: string;
  readonly manifest?: ReturnType<typeof toManifest>;
  /** Called when the step runs. */
  act(workspace: Workspace): Promise<unknown>;
  /** The message of the build. */
  readonly words: RegExp;
}

/** Makes the main process of a container wait for a file, then run the command. */
const onSign = (command: string): JsonObject => ({
  command: ['sh', '-c', `until [ -e /c3/sign ]; do sleep 0.1; done; ${command}`],
});
const giveSign = async (workspace: Workspace): Promise<unknown> => await real.look(workspace.name, 'echo > /c3/sign');

const LOSSES: readonly Loss[] = [
  {
    what: 'whose container runs out of memory',
    manifest: toManifest({ ...onSign('exec tail /dev/zero'), resources: { limits: { memory: '64Mi' } } }),
    act: giveSign,
    words: /container "main" ran out of memory \(its limit is 64Mi\) and was killed$/,
  },
  {
    what: 'whose container dies',
    manifest: toManifest(onSign('exit 3')),
    act: giveSign,
    words: /container "main" ended in the middle of the build \(exit code 3\)$/,
  },
  {
    what: 'whose container dies and is started again',
    manifest: toManifest(onSign('rm /c3/sign; exit 4'), { restartPolicy: 'Always' }),
    act: giveSign,
    words: /container "main" (?:ended in the middle of the build|restarted).*$/,
  },
  {
    what: 'whose Pod is deleted',
    act: async ({ name }) => await send(real, 'DELETE', `${toPodsPath(real.namespace)}/${name}`),
    words: /Pod \S+ is being deleted$/,
  },
  {
    what: 'whose Pod is evicted by the API',
    act: async ({ name }) => {
      const body = { apiVersion: 'policy/v1beta1', kind: 'Eviction', metadata: { name, namespace: real.namespace } };
      return await send(real, 'POST', `${toPodsPath(real.namespace)}/${name}/eviction`, body);
    },
    words: /Pod \S+ (?:is being deleted|was evicted.*)$/,
  },
  {
    what: 'whose volume is fuller than it may be',
    manifest: toManifest({}, { volumes: [{ name: 'c3', emptyDir: { sizeLimit: '8Mi' } }] }),
    act: async ({ name }) => await real.look(name, 'dd if=/dev/zero of=/c3/big bs=1M count=32 2> /dev/null'),
    words: /Pod \S+ was stopped: Evicted: Usage of EmptyDir volume "c3" exceeds the limit "8Mi"/,
  },
  {
    what: 'that fills more of the disk than its container may',
    manifest: toManifest({ resources: { limits: { 'ephemeral-storage': '8Mi' } } }),
    act: async ({ name }) => await real.look(name, 'dd if=/dev/zero of=/tmp/big bs=1M count=32 2> /dev/null'),
    words: /Pod \S+ was stopped: Evicted: .*ephemeral.*8Mi/,
  },
];

/** Concurrent, because the tests mostly wait for the node, which measures its disks every ten seconds. */
describe.concurrent('a build on a real Kubernetes', () => {
  test.for(LOSSES)('$what ends as an infrastructure error with the reason of the cluster', async (loss, { expect }) => {
    const index = LOSSES.indexOf(loss);
    const order = { scope: `git.example.com/acme/loss${index}`, manifest: loss.manifest ?? toManifest() };
    const workspace = await real.openWorkspace(order);
    const build = startBuild(workspace, ['echo up > "/c3/up"; while :; do sleep 1; done', 'echo never']);
    await expect.poll(() => real.look(workspace.name, 'cat /c3/up')).toBe('up\n');
    await loss.act(workspace);
    const { ending, sweep } = await build.outcome;
    expect(ending).toMatchObject({ kind: 'infrastructure-error', message: expect.stringMatching(loss.words) });
    await workspace.release({ isClean: await sweep() });
    const next = await real.openWorkspace(order);
    expect(next.id).not.toBe(workspace.id);
    await next.release({ isClean: false });
  });

  // Since Kubernetes 1.28 with cgroups of version 2, the kernel kills the whole container, and the build loses it.
  test.for([
    ['tail /dev/zero', 137],
    ['tail /dev/zero || exit 5', 5],
  ] as const)('whose `%s` is killed for memory fails with %i and the reason', async ([script, code], { expect }) => {
    const manifest = toManifest({ resources: { limits: { memory: '32Mi' } } });
    const workspace = await real.openWorkspace({ scope: `git.example.com/acme/hungry${code}`, manifest });
    const { ending, sweep } = await startBuild(workspace, ['true', script]).outcome;
    const words = `exit code ${code} (its container was out of memory, and the kernel killed a process there)`;
    expect(ending).toMatchObject({ kind: 'failed', message: words });
    await workspace.release({ isClean: await sweep() });
  });
});

async function send({ client }: RealCluster, method: 'POST' | 'DELETE', path: string, body?: object): Promise<void> {
  const answer = await client.request({ method, path, ...(body === undefined ? {} : { body }) });
  if (answer.kind === 'refused') throw new Error(answer.message);
}
