export {
  type ClusterFaults,
  createEmbeddedCluster,
  type EmbeddedCluster,
  type EmbeddedClusterOptions,
} from './embedded-cluster.ts';
export {
  type ExecBreak,
  type ExecMoment,
  type ExecRule,
  type Fault,
  type RequestFault,
  type RequestKind,
  type RequestRule,
} from './faults.ts';
