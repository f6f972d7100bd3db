import { beforeAll, expect, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import { startStep, useFaultCluster } from './fault-cluster.ts';

/**
 * A volume replaces the container's own cgroup: steps write there what the kernel would write.
 */
const CGROUP = '/sys/fs/cgroup';
const faults = useFaultCluster();
let workspace: Workspace;

beforeAll(async () => {
  const mounts = ['/c3', CGROUP].map((mountPath, index) => ({ name: `v${index}`, mountPath }));
  const main = { name: 'main', image: 'busybox', command: ['sleep', '100000'], volumeMounts: mounts };
  const volumes = mounts.map(({ name }) => ({ name, emptyDir: {} }));
  const manifest = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'memory' },
    spec: { volumes, containers: [main] },
  };
  workspace = await faults.openWorkspace({ manifest });
});

const FILES = {
  'version 1': ['memory/memory.oom_control', String.raw`oom_kill_disable 0\nunder_oom 0\noom_kill `],
  'version 2': ['memory.events', String.raw`low 0\nhigh 0\nmax 7\noom 3\noom_kill `],
} as const;

test.each(['version 1', 'version 2'] as const)(
  'a step that fails says so when the kernel has killed a process meanwhile, by cgroups of %s',
  async (version) => {
    const [file, text] = FILES[version];
    const count = (kills: number): string =>
      `mkdir -p ${CGROUP}/memory; printf '${text}${kills}\\noom_group_kill 9\\n' > ${CGROUP}/${file}`;
    const exited = { kind: 'exited', exitCode: 7 };
    await startStep(workspace, count(4)).ended;
    expect(await startStep(workspace, 'true').ended).toEqual(exited);
    expect(await startStep(workspace, count(4)).ended).toEqual(exited);
    expect(await startStep(workspace, count(5)).ended).toEqual({ ...exited, isOutOfMemory: true });
    expect(await startStep(workspace, 'true').ended).toEqual(exited);
  },
);
