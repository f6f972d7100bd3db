import { spawn } from 'node:child_process';
import { createClient } from '../src/kube/client.ts';
import { createExecClient } from '../src/kube/exec.ts';
import { parseKubeconfig } from '../src/kube/kubeconfig.ts';

/** The bare measures: what anyone pays who talks to the cluster without c3. */
export interface Bare {
  /** A `kubectl exec POD -c CONTAINER -- true`, from start to exit. */
  kubectlExec(pod: string, container: string): Promise<number>;
  /** A WebSocket exec of a program, from the request to its status. */
  exec(pod: string, container: string, argv: readonly string[]): Promise<number>;
  /** Creates a Pod and waits until its containers run. */
  createPod(manifest: Manifest): Promise<void>;
  deletePod(name: string): Promise<void>;
  close(): Promise<void>;
}

export interface Manifest {
  readonly metadata: { readonly name: string };
}

export function createBare(options: { kubeconfig: string; kubeconfigPath: string; kubectl: string }): Bare {
  const access = parseKubeconfig(options.kubeconfig);
  const client = createClient(access);
  const execs = createExecClient(access);
  const path = `/api/v1/namespaces/${access.namespace}/pods`;

  async function isReady(name: string): Promise<boolean> {
    const answer = await client.request({ method: 'GET', path: `${path}/${name}` });
    if (answer.kind === 'refused') throw new Error(answer.message);
    const { status } = answer.body as { status: { conditions?: { type: string; status: string }[] } };
    return status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
  }

  return {
    kubectlExec: (pod, container) =>
      time(() =>
        run(options.kubectl, ['--kubeconfig', options.kubeconfigPath, 'exec', pod, '-c', container, '--', 'true']),
      ),
    exec: (pod, container, argv) =>
      time(async () => {
        const answer = await execs.open(
          { namespace: access.namespace, pod, container, argv },
          { signal: AbortSignal.timeout(60_000), onStdout: () => {}, onStderr: () => {} },
        );
        if (answer.kind === 'refused') throw new Error(answer.message);
        const end = await answer.session.done;
        if (end.kind === 'cut') throw new Error(end.message);
      }),
    async createPod(manifest): Promise<void> {
      const answer = await client.request({ method: 'POST', path, body: manifest });
      if (answer.kind === 'refused') throw new Error(answer.message);
      while (!(await isReady(manifest.metadata.name))) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    async deletePod(name): Promise<void> {
      await client.request({ method: 'DELETE', path: `${path}/${name}`, query: { gracePeriodSeconds: '0' } });
    },
    async close(): Promise<void> {
      execs.close();
      await client.close();
    },
  };
}

export async function time(act: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}

function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${program} ended with exit code ${code}`)),
    );
  });
}
