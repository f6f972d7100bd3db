import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkspaceRequest } from '../src/engine/cluster.ts';
import { createClient } from '../src/kube/client.ts';
import { createExecClient } from '../src/kube/exec.ts';
import { parseKubeconfig } from '../src/kube/kubeconfig.ts';
import { planPod } from '../src/kube/pod.ts';
import { toPodsPath, watchPod } from '../src/kube/watch.ts';

/** Measures what a client of the cluster takes without c3. All times are in milliseconds. */
export interface Bare {
  /** Runs `kubectl exec POD -c CONTAINER -- true`; the time from its start to its exit. */
  kubectlExec(pod: string, container: string): Promise<number>;
  /** Runs a program in a WebSocket exec; the time from the request to the status, with the complete output. */
  exec(pod: string, container: string, argv: readonly string[]): Promise<{ ms: number; bytes: number }>;
  /** Creates a new Pod of this job, with everything that c3 adds, and waits for its containers. Returns its name. */
  createPod(manifest: WorkspaceRequest['manifest']): Promise<string>;
  /**
   * Deletes a Pod as c3 deletes a used one, without waiting for the end. It first waits until the status shows that
   * the Pod runs: a node may take a minute to delete a Pod that it has not noticed.
   */
  deletePod(name: string): Promise<void>;
  /** Waits until only these Pods exist and none is being deleted, so that one run does not slow the next. */
  settle(keep?: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

const GRACE_SECONDS = '1';
const EXEC_MS = 300_000;
const LOOK_EVERY_MS = 100;
const SETTLE_MS = 180_000;

export function createBare(options: { kubeconfig: string; kubeconfigPath: string; kubectl: string }): Bare {
  const access = parseKubeconfig(options.kubeconfig);
  const { namespace } = access;
  const client = createClient(access);
  const execs = createExecClient(access);
  const path = toPodsPath(namespace);
  let number = 0;

  async function listPods(): Promise<string[]> {
    const answer = await client.request({ method: 'GET', path });
    if (answer.kind === 'refused') throw new Error(answer.message);
    return (answer.body as { items: { metadata: { name: string } }[] }).items.map(({ metadata }) => metadata.name);
  }

  async function untilItRuns(name: string): Promise<void> {
    const watch = new AbortController();
    for await (const pod of watchPod(client, { namespace, name, signal: watch.signal })) {
      const running = pod?.containers.filter(({ state }) => state.kind === 'running').length;
      if (!pod || (pod.phase === 'Running' && running === pod.containerNames.length)) break;
    }
    watch.abort();
  }

  return {
    async kubectlExec(pod, container): Promise<number> {
      const { kubeconfigPath, kubectl } = options;
      const argv = ['--kubeconfig', kubeconfigPath, '-n', namespace, 'exec', pod, '-c', container, '--', 'true'];
      return await time(() => run(kubectl, argv));
    },
    async exec(pod, container, argv): Promise<{ ms: number; bytes: number }> {
      let bytes = 0;
      const ms = await time(async () => {
        const answer = await execs.open(
          { namespace, pod, container, argv },
          {
            signal: AbortSignal.timeout(EXEC_MS),
            onStdout: (chunk) => void (bytes += chunk.length),
            onStderr: () => {},
          },
        );
        if (answer.kind === 'refused') throw new Error(answer.message);
        const end = await answer.session.done;
        if (end.kind === 'cut' || end.exitCode !== 0) throw new Error(end.message);
      });
      return { ms, bytes };
    },
    async createPod(manifest): Promise<string> {
      number += 1;
      const plan = planPod(toOrder(manifest), { namespace, suffix: `bare${number}` });
      const answer = await client.request({ method: 'POST', path, body: plan.manifest });
      if (answer.kind === 'refused') throw new Error(answer.message);
      await untilItRuns(plan.name);
      return plan.name;
    },
    async deletePod(name): Promise<void> {
      await untilItRuns(name);
      await client.request({ method: 'DELETE', path: `${path}/${name}`, query: { gracePeriodSeconds: GRACE_SECONDS } });
    },
    async settle(keep = []): Promise<void> {
      const deadline = Date.now() + SETTLE_MS;
      for (;;) {
        const left = (await listPods()).filter((name) => !keep.includes(name));
        if (left.length === 0) return;
        if (Date.now() > deadline) throw new Error(`These Pods were not removed in time: ${left.join(', ')}`);
        await sleep(LOOK_EVERY_MS);
      }
    },
    async close(): Promise<void> {
      execs.close();
      await client.close();
    },
  };
}

/** Creates the request that c3 makes for a build. */
function toOrder(manifest: WorkspaceRequest['manifest']): WorkspaceRequest {
  return {
    manifest,
    scope: 'git.example.com/acme/bare',
    owner: 'refs/heads/main',
    root: '/c3/.c3',
    buildId: 'bare',
    isResumed: false,
    reuse: false,
    idleMs: 3_600_000,
    maxAgeMs: 43_200_000,
    neededMs: 3_600_000,
  };
}

export async function time(act: () => Promise<unknown>): Promise<number> {
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
