import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { killApiServer, podGateway, startKubernetes } from './kubernetes.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'c3-kubernetes-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('the real Kubernetes', () => {
  it('is the cluster KUBECONFIG names, which is never stopped', async () => {
    const kubeconfig = join(directory, 'mine');
    await writeFile(kubeconfig, 'apiVersion: v1\nkind: Config\n');
    // Without HOME a script would fail if it ran.
    const cluster = await startKubernetes({ registry: true, env: { KUBECONFIG: kubeconfig } });
    await cluster.stop();
    expect(cluster).toMatchObject({ kubeconfig, podGateway: undefined });
  });

  it('is refused when KUBECONFIG names no file', async () => {
    const kubeconfig = join(directory, 'missing');
    await expect(startKubernetes({ env: { KUBECONFIG: kubeconfig } })).rejects.toMatchObject({
      code: 'KUBECONFIG_INVALID',
      message: `Read the cluster's KUBECONFIG "${kubeconfig}": no readable file`,
    });
  });

  it('has the gateway that its scripts set up', async () => {
    const settings = await readFile(join(import.meta.dirname, 'settings.sh'), 'utf8');
    expect(/^pod_gateway=(\S+)/m.exec(settings)?.[1]).toBe(podGateway);
  });

  it('names the failed script when it kills a program that does not run', async () => {
    const env = { ...process.env, C3_CLUSTER_DIR: directory };
    await expect(killApiServer({ env })).rejects.toMatchObject({
      code: 'CLUSTER_UNREACHABLE',
      message: 'Run dev/kubernetes/program.sh kill apiserver: it ended with exit code 1',
    });
  });
});
