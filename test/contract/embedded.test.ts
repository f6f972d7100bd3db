import { afterAll } from 'vitest';
import { createEmbeddedCluster, type EmbeddedCluster } from '../../dev/cluster/index.ts';
import { describeClusterContract } from './cluster.contract.ts';
import type { ContractTarget } from './contract-fixture.ts';

let embedded: EmbeddedCluster | undefined;

async function getTarget(): Promise<ContractTarget> {
  embedded = await createEmbeddedCluster();
  // Its images are the machine's own programs, whatever the name.
  return { kubeconfig: embedded.kubeconfig, image: 'busybox:1' };
}

describeClusterContract('The embedded cluster', getTarget, { patienceMs: 10_000 });

afterAll(async () => await embedded?.close());
