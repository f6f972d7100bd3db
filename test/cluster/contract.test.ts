import { describeClusterContract } from '../contract/cluster.contract.ts';
import { openTarget } from './target.ts';

describeClusterContract('a real Kubernetes', async () => {
  const { kubeconfig, images } = await openTarget();
  return { kubeconfig, image: images.main };
});
