import { afterAll } from 'vitest';
import { REFUSALS } from '../../dev/cluster/faults.ts';
import { createEmbeddedCluster, type EmbeddedCluster } from '../../dev/cluster/index.ts';
import { describeClusterContract } from './cluster.contract.ts';
import type { ContractTarget } from './contract-fixture.ts';

let embedded: EmbeddedCluster | undefined;

async function getTarget(): Promise<ContractTarget> {
  const cluster = await createEmbeddedCluster({ backoffMs: 100 });
  embedded = cluster;
  const { faults, kubeconfig } = cluster;
  return {
    kubeconfig,
    // Its images are the programs of this machine, whatever their name.
    image: 'busybox:1',
    faults: {
      oomKill: async (pod, container) => await Promise.resolve(faults.oomKill(pod, container)),
      silenceNode: async () => {
        faults.stopNode();
        return await Promise.resolve(async () => await Promise.resolve(faults.startNode()));
      },
      holdStatuses: () => {
        faults.holdStatuses();
        return faults.releaseStatuses;
      },
      refuseEvents: () => faults.onRequest({ kind: 'event-watch' }, REFUSALS.forbidden).remove,
    },
  };
}

describeClusterContract('The embedded cluster', getTarget);

afterAll(async () => await embedded?.close());
