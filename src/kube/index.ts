/** The only room that speaks Kubernetes: kubeconfig in, {@link Cluster} out. */
export { createClusterPool, type ClusterPool } from './cluster-pool.ts';
