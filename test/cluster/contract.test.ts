import { describeClusterContract } from '../contract/cluster.contract.ts';
import { REPLACE_POD_MS } from './patience.ts';
import { openTarget } from './target.ts';

describeClusterContract(
  'a real Kubernetes',
  async () => {
    const { kubeconfig, images } = await openTarget();
    return { kubeconfig, image: images.main };
  },
  { patienceMs: REPLACE_POD_MS },
);
