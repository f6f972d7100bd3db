import { afterAll } from 'vitest';
import { createEmbeddedCluster, type EmbeddedCluster } from '../../dev/cluster/index.ts';
import { describeBuilds } from './builds.e2e.ts';

let cluster: EmbeddedCluster | undefined;

describeBuilds('the embedded cluster', async () => {
  cluster = await createEmbeddedCluster();
  // Its containers have the machine's own programs, git among them, whatever the image.
  return { kubeconfig: cluster.kubeconfig, forgeHost: '127.0.0.1', images: { git: 'alpine/git', main: 'ubuntu' } };
});

afterAll(async () => await cluster?.close());
