import { createHash } from 'node:crypto';
import type { Cluster } from '../engine/cluster.ts';
import { createAddressPolicy } from './address-policy.ts';
import type { ExecLimits } from './exec.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { createKubernetesCluster } from './kubernetes-cluster.ts';
import type { KubernetesCluster } from './kubernetes-cluster.ts';

/** Clusters that outlive builds, so that connections, queues and idle times do. */
export interface ClusterPool {
  /**
   * The cluster of a kubeconfig's current context: the same one for the same text. The pool closes it, not the caller.
   *
   * @throws {C3Error} KUBECONFIG_INVALID, also for an address that may not be dialled; that of a name is told when it is dialled
   */
  getCluster(kubeconfig: string): Cluster;
  close(): Promise<void>;
}

/** A pushed repository is often pushed again within minutes; longer, credentials should not stay in memory for nothing. */
const IDLE_MS = 10 * 60_000;
const SWEEP_EVERY_MS = 60_000;
/** An idle one is some kilobytes and no socket; this bounds what strangers' kubeconfigs can pile up. */
const MAX_CLUSTERS = 500;

interface Entry {
  readonly cluster: KubernetesCluster;
  lastUsedAt: number;
}

/** `close` ends every cluster in it. */
export function createClusterPool({
  allowNets,
  idleMs = IDLE_MS,
  maxClusters = MAX_CLUSTERS,
  execs = {},
}: PoolOptions): ClusterPool {
  const policy = createAddressPolicy(allowNets);
  /** By hash of the kubeconfig; least recently used first. */
  const entries = new Map<string, Entry>();
  const sweeper = setInterval(sweep, Math.min(SWEEP_EVERY_MS, idleMs));
  sweeper.unref();

  function sweep(): void {
    for (const [key, { cluster, lastUsedAt }] of entries) {
      if (!cluster.isBusy && performance.now() - lastUsedAt > idleMs) drop(key, cluster);
    }
  }
  /** Makes room at the cost of whoever has waited longest; warm Pods it knew of live until their age limit. */
  function makeRoom(): void {
    for (const [key, { cluster }] of entries) {
      if (entries.size < maxClusters) return;
      // Those in use are bounded by the number of builds that run at a time.
      if (!cluster.hasBuilds) drop(key, cluster);
    }
  }
  function open(kubeconfig: string): KubernetesCluster {
    const access = parseKubeconfig(kubeconfig);
    policy.checkOrigin(access.origin);
    return createKubernetesCluster({ ...access, lookup: policy.lookup }, execs);
  }
  function drop(key: string, cluster: KubernetesCluster): void {
    entries.delete(key);
    // Closing only destroys sockets: there is nothing to report to anybody.
    void cluster.close().catch(() => undefined);
  }

  return {
    getCluster(kubeconfig) {
      const key = createHash('sha256').update(kubeconfig).digest('hex');
      const cluster = entries.get(key)?.cluster ?? open(kubeconfig);
      entries.delete(key);
      makeRoom();
      entries.set(key, { cluster, lastUsedAt: performance.now() });
      return cluster;
    },
    async close() {
      clearInterval(sweeper);
      const clusters = [...entries.values()];
      entries.clear();
      await Promise.all(clusters.map(async ({ cluster }) => await cluster.close()));
    },
  };
}

export interface PoolOptions {
  /** The networks beyond the public internet in which clusters may be, as `address/prefix`: {@link createAddressPolicy}. */
  readonly allowNets: readonly string[];
  readonly idleMs?: number;
  readonly maxClusters?: number;
  /** In place of the defaults of `exec.ts` and `exec-session.ts`. */
  readonly execs?: Partial<ExecLimits>;
}
