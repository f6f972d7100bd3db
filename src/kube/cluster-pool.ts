import { createHash } from 'node:crypto';
import type { Cluster } from '../engine/cluster.ts';
import { createAddressPolicy } from './address-policy.ts';
import type { ExecLimits } from './exec.ts';
import { refuseExpired } from './credential-expiry.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { createKubernetesCluster, type KubernetesCluster } from './kubernetes-cluster.ts';

/** Keeps clusters between builds, and with them connections, queues and idle timers. */
export interface ClusterPool {
  /**
   * Returns the cluster of a kubeconfig's current context. Equal texts have the same cluster. The pool closes it.
   *
   * @throws {C3Error} KUBECONFIG_INVALID, also for a refused address. The addresses of a name are checked on
   * connection.
   */
  getCluster(kubeconfig: string): Cluster;
  close(): Promise<void>;
}

/** A repository is often pushed again within minutes. Credentials should not stay in memory longer. */
const IDLE_MS = 10 * 60_000;
const SWEEP_EVERY_MS = 60_000;
/**
 * An idle cluster is some kilobytes and no socket. The limit bounds what strangers' kubeconfigs can use (threat model
 * A12).
 */
const MAX_CLUSTERS = 500;

export interface PoolOptions {
  /**
   * The networks beyond the public internet in which clusters may be, as `address/prefix`. See {@link
   * createAddressPolicy}.
   */
  readonly allowNets: readonly string[];
  readonly maxClusters?: number;
  /** Replaces defaults of `exec.ts` and `exec-session.ts`. */
  readonly execs?: Partial<ExecLimits>;
}

/** Creates a pool. `close` closes every cluster in it. */
export function createClusterPool({ allowNets, maxClusters = MAX_CLUSTERS, execs }: PoolOptions): ClusterPool {
  const policy = createAddressPolicy(allowNets);
  /** By the hash of the kubeconfig, least recently used first. */
  const entries = new Map<string, { readonly cluster: KubernetesCluster; readonly usedAt: number }>();
  const sweeper = setInterval(() => {
    for (const [key, { cluster, usedAt }] of entries) {
      if (!cluster.isBusy && performance.now() - usedAt > IDLE_MS) drop(key, cluster);
    }
  }, SWEEP_EVERY_MS).unref();

  /** Drops the clusters that were used longest ago. Their warm Pods live until their age limit. */
  function makeRoom(): void {
    for (const [key, { cluster }] of entries) {
      if (entries.size < maxClusters) return;
      // Clusters in use are bounded by the limit on concurrent builds.
      if (!cluster.hasBuilds) drop(key, cluster);
    }
  }
  function open(kubeconfig: string): KubernetesCluster {
    const access = parseKubeconfig(kubeconfig);
    refuseExpired(access, Date.now());
    policy.checkOrigin(access.origin);
    return createKubernetesCluster({ ...access, lookup: policy.lookup }, execs);
  }
  function drop(key: string, cluster: KubernetesCluster): void {
    entries.delete(key);
    // Closing only destroys sockets, so there is nothing to report.
    void cluster.close().catch(() => undefined);
  }

  return {
    getCluster(kubeconfig) {
      const key = createHash('sha256').update(kubeconfig).digest('hex');
      const cluster = entries.get(key)?.cluster ?? open(kubeconfig);
      entries.delete(key);
      makeRoom();
      entries.set(key, { cluster, usedAt: performance.now() });
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
