import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDocument } from 'yaml';
import { createClient, type KubeClient } from '../../src/kube/client.ts';
import { parseKubeconfig } from '../../src/kube/kubeconfig.ts';

/** A namespace of its own for one suite, so that suites may run at the same time and none sees another's Pods. */
export interface OwnNamespace {
  readonly name: string;
  /** As the one it was made with, but in this namespace. */
  readonly kubeconfig: string;
  /** Takes everything in it along; does not wait for that. */
  remove(): Promise<void>;
}

/** A controller gives each new namespace the account of its Pods, which are refused before that. */
const ACCOUNT_MS = 30_000;
const LOOK_EVERY_MS = 50;

/** Resolves when it takes Pods. @throws when the cluster refuses the namespace, or takes no Pod there in time */
export async function createNamespace(kubeconfig: string, stem: string): Promise<OwnNamespace> {
  const name = `${stem}-${randomBytes(3).toString('hex')}`;
  const client = createClient(parseKubeconfig(kubeconfig));
  const path = `/api/v1/namespaces/${name}`;
  try {
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    const answer = await client.request({ method: 'POST', path: '/api/v1/namespaces', body });
    if (answer.kind === 'refused') throw new Error(answer.message);
    await waitUntilPodsAreTaken(client, path);
  } finally {
    await client.close();
  }
  const document = parseDocument(kubeconfig);
  document.setIn(['contexts', 0, 'context', 'namespace'], name);
  return {
    name,
    kubeconfig: document.toString(),
    async remove(): Promise<void> {
      const closing = createClient(parseKubeconfig(kubeconfig));
      await closing.request({ method: 'DELETE', path });
      await closing.close();
    },
  };
}

async function waitUntilPodsAreTaken(client: KubeClient, namespace: string): Promise<void> {
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'probe' },
    spec: { containers: [{ name: 'a', image: 'a' }] },
  };
  const probe = { method: 'POST', path: `${namespace}/pods`, query: { dryRun: 'All' }, body } as const;
  const deadline = Date.now() + ACCOUNT_MS;
  let answer = await client.request(probe);
  while (answer.kind === 'refused') {
    if (Date.now() > deadline) throw new Error(answer.message);
    await sleep(LOOK_EVERY_MS);
    answer = await client.request(probe);
  }
}
