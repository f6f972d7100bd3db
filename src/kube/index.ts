/** The only room that uses the Kubernetes API. It turns a kubeconfig into a `Cluster`. */
export { checkCredentials } from './credential-expiry.ts';
export { createClusterPool, type ClusterPool } from './cluster-pool.ts';
export { listKubeconfigSecrets } from './kubeconfig.ts';
export { checkPodSecurity } from './pod-security.ts';
export { planPod } from './pod.ts';
