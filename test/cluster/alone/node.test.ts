import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { continueKubelet, kubectlPath, stopKubelet } from '../../../dev/kubernetes/kubernetes.ts';
import type { Workspace } from '../../../src/engine/cluster.ts';
import { startBuild, type BuildRun } from '../../faults/build-run.ts';
import { toManifest, useRealCluster } from '../real-cluster.ts';
import { isOurs } from '../target.ts';

/** As in production, because c3 detects the silence of the node long before. */
const PATIENT = { outOfReachMs: 300_000 };

const execute = promisify(execFile);

interface Condition {
  readonly type: string;
  readonly status: string;
}

describe.runIf(isOurs)('a build on a node of a real Kubernetes', () => {
  const real = useRealCluster();

  async function isNodeReady(): Promise<boolean> {
    const { stdout } = await execute(kubectlPath(), ['get', 'node', 'localhost', '--output', 'json']);
    const node = JSON.parse(stdout) as { spec: { taints?: unknown[] }; status: { conditions: Condition[] } };
    return (
      node.spec.taints === undefined &&
      node.status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
    );
  }

  async function begin(workspace: Workspace, script = 'while :; do sleep 1; done'): Promise<BuildRun> {
    const build = startBuild(workspace, [`echo up > /c3/up\n${script}`, 'echo never'], { limits: PATIENT });
    await expect.poll(() => real.look(workspace.name, 'cat /c3/up')).toBe('up\n');
    return build;
  }

  async function kubectl(...argv: string[]): Promise<void> {
    await execute(kubectlPath(), argv);
  }
  /** Waits until the node has reported that the Pod runs. */
  async function untilNoticed({ name }: Workspace): Promise<void> {
    await kubectl('wait', '--for=condition=Ready', '--timeout=20s', '-n', real.namespace, `pod/${name}`);
  }

  test('that is drained ends as an infrastructure error with the reason of the cluster', async () => {
    const manifest = { ...toManifest(), metadata: { name: 'real', labels: { 'c3.test': 'drained' } } };
    const workspace = await real.openWorkspace({ manifest });
    const build = await begin(workspace);
    // The deletion of a Pod that the node has not noticed takes a minute, and the drain would wait for it.
    await untilNoticed(workspace);
    try {
      await kubectl('drain', 'localhost', '--pod-selector=c3.test=drained', '--force', '--delete-emptydir-data');
    } finally {
      await kubectl('uncordon', 'localhost');
    }
    const { ending, sweep } = await build.outcome;
    expect(ending).toMatchObject({
      kind: 'infrastructure-error',
      message: expect.stringMatching(/Pod \S+ (?:is being deleted|was deleted|was evicted.*)$/),
    });
    await workspace.release({ isClean: await sweep() });
  });

  test('that is disconnected ends as an infrastructure error that names the node', async () => {
    const workspace = await real.openWorkspace();
    const build = await begin(workspace);
    await untilNoticed(workspace);
    await stopKubelet();
    try {
      const { ending, sweep } = await build.outcome;
      expect(ending).toMatchObject({ kind: 'infrastructure-error', message: expect.stringMatching(/node/i) });
      await workspace.release({ isClean: await sweep() });
    } finally {
      await continueKubelet();
    }
    await expect.poll(isNodeReady).toBe(true);
    // The Pod of the silent node is not used again.
    const next = await real.openWorkspace();
    expect(next.id).not.toBe(workspace.id);
    expect((await startBuild(next, ['true']).outcome).ending).toMatchObject({ kind: 'passed' });
    await next.release({ isClean: false });
  });

  test('whose disk is full does not pass and does not hang', async () => {
    const disk = await mkdtemp(join(tmpdir(), 'c3-disk-'));
    await execute('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'c3-test', disk]);
    try {
      const volumes = [{ name: 'c3', hostPath: { path: disk, type: 'Directory' } }];
      const workspace = await real.openWorkspace({ manifest: toManifest({}, { volumes }) });
      // One step fills the disk, and the other one writes output that has no room.
      const full = startBuild(workspace, ['dd if=/dev/zero of=/c3/big bs=64k', 'echo never']);
      const first = await full.outcome;
      expect(first.ending.kind).toBeOneOf(['failed', 'infrastructure-error']);
      expect(JSON.stringify(first.ending)).toMatch(/exit code|No space|full/i);
      const isClean = await first.sweep();
      const second = await startBuild(workspace, ['echo output', 'echo more']).outcome;
      expect(second.ending.kind).toBe('infrastructure-error');
      await workspace.release({ isClean: isClean && (await second.sweep()) });
      await expect.poll(async () => (await real.podNames()).includes(workspace.name)).toBe(false);
    } finally {
      await execute('umount', ['--lazy', disk]);
      await rm(disk, { recursive: true, force: true });
    }
  });
});
