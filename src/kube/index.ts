/** The only room that speaks Kubernetes: kubeconfig in, {@link Cluster} out. */
export { createClusterPool, type ClusterPool } from './cluster-pool.ts';
export { listKubeconfigSecrets } from './kubeconfig.ts';
export { checkPodPolicy, type PodPolicy } from './pod-security.ts';
export { planPod } from './pod.ts';
