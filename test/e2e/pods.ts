import { createClient } from '../../src/kube/client.ts';
import { createExecClient } from '../../src/kube/exec.ts';
import { parseKubeconfig } from '../../src/kube/kubeconfig.ts';
import { deadline } from '../time-limits.ts';

/** The Pods of a cluster's default namespace, over the API without c3's code for Pods. */
export interface Pods {
  names(): Promise<string[]>;
  /** Deletes the Pods that did not exist at the beginning. */
  clear(): Promise<void>;
  /** Runs a command in a container and returns its output. @throws when the exec is refused */
  run(pod: string, container: string, argv: readonly string[]): Promise<string>;
  close(): Promise<void>;
}

interface PodList {
  readonly items: readonly { readonly metadata: { readonly name: string; readonly deletionTimestamp?: string } }[];
}

export async function openPods(kubeconfig: string): Promise<Pods> {
  const access = parseKubeconfig(kubeconfig);
  const client = createClient(access);
  const path = `/api/v1/namespaces/${access.namespace}/pods`;
  async function names(): Promise<string[]> {
    const answer = await client.request({ method: 'GET', path });
    if (answer.kind === 'refused') throw new Error(answer.message);
    return (answer.body as PodList).items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => metadata.name);
  }
  const execs = createExecClient(access);
  const others = new Set(await names());
  return {
    names: async () => (await names()).filter((name) => !others.has(name)),
    async clear(): Promise<void> {
      for (const name of await names()) {
        if (!others.has(name))
          await client.request({ method: 'DELETE', path: `${path}/${name}`, query: { gracePeriodSeconds: '0' } });
      }
    },
    async run(pod, container, argv): Promise<string> {
      const chunks: Uint8Array[] = [];
      const answer = await execs.open(
        { namespace: access.namespace, pod, container, argv },
        { signal: deadline(), onStdout: (chunk) => void chunks.push(chunk), onStderr: () => {} },
      );
      if (answer.kind === 'refused') throw new Error(answer.message);
      await answer.session.done;
      return Buffer.concat(chunks).toString('utf8');
    },
    async close(): Promise<void> {
      execs.close();
      await client.close();
    },
  };
}
