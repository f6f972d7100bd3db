import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDocument } from 'yaml';
import { createClient, type KubeClient } from '../../src/kube/client.ts';
import { parseKubeconfig } from '../../src/kube/kubeconfig.ts';

/** A namespace for one suite, so that concurrent suites do not see each other's Pods. */
export interface OwnNamespace {
  readonly name: string;
  /** The given kubeconfig, with this namespace. */
  readonly kubeconfig: string;
  /** Deletes the namespace and its content, without waiting for the end. */
  remove(): Promise<void>;
}

/** A controller creates the account of a new namespace. Before that, Pods are refused. */
const ACCOUNT_MS = 30_000;
const LOOK_EVERY_MS = 50;

/**
 * Creates a namespace; resolves when it accepts Pods. @throws when the cluster refuses it, or accepts no Pod in time
 */
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
