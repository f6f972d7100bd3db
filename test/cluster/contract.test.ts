import { describeClusterContract } from '../contract/cluster.contract.ts';
import { openTarget } from './target.ts';

/**
 * A Pod is gone when its dead containers are. A kubelet removes them when it hears of their end; where it missed that, with its next
 * collection of garbage, once a minute (`ContainerGCPeriod` in Kubernetes' pkg/kubelet/kubelet.go).
 */
const PATIENCE_MS = 90_000;

describeClusterContract(
  'a real Kubernetes',
  async () => {
    const { kubeconfig, images } = await openTarget();
    return { kubeconfig, image: images.main };
  },
  { patienceMs: PATIENCE_MS },
);
