import { createEmbeddedCluster, type EmbeddedCluster } from '../../dev/cluster/index.ts';
import { onWorkerEnd } from '../worker.ts';
import type { Target } from '../e2e/target.ts';

let made: Promise<EmbeddedCluster> | undefined;

/**
 * Returns the embedded cluster that the test files of this process share, one after the other. It ends with the
 * process. A file deletes its Pods and clears its faults at its end.
 */
export function getSharedCluster(): Promise<EmbeddedCluster> {
  if (made === undefined) {
    made = createEmbeddedCluster();
    onWorkerEnd(async () => await (await made)?.close());
  }
  return made;
}

/**
 * The shared cluster for the end-to-end suites. With any image, its containers have the machine's own programs,
 * including git.
 */
export async function openSharedTarget(): Promise<Target> {
  const { kubeconfig } = await getSharedCluster();
  return { kubeconfig, forgeHost: '127.0.0.1', images: { git: 'alpine/git', main: 'ubuntu' } };
}
