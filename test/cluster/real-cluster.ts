import { afterAll, beforeAll } from 'vitest';
import type { Cluster, Workspace, WorkspaceRequest } from '../../src/engine/cluster.ts';
import { createClient, type KubeClient } from '../../src/kube/client.ts';
import { createExecClient, type ExecClient } from '../../src/kube/exec.ts';
import { createKubernetesCluster } from '../../src/kube/kubernetes-cluster.ts';
import { parseKubeconfig } from '../../src/kube/kubeconfig.ts';
import { toPodsPath } from '../../src/kube/watch.ts';
import type { JsonObject } from '../../src/pipeline/pipeline.ts';
import { openPods, type Pods } from '../e2e/pods.ts';
import { createCuttingProxy, type CuttingProxy } from '../faults/cutting-proxy.ts';
import { toBuildId, WORKSPACE_REQUEST } from '../faults/fault-cluster.ts';
import { openTarget } from './target.ts';
import { WAIT_MS } from '../time-limits.ts';

/** The real cluster, with a connection of the production code of `kube` and `engine`. */
export interface RealCluster {
  readonly cluster: Cluster;
  /** A proxy for the execs of {@link overRelay} only, so that a planned cut hits an exec. */
  readonly proxy: CuttingProxy;
  /** Changes the cluster for a test. */
  readonly client: KubeClient;
  readonly namespace: string;
  openWorkspace(changes?: Partial<WorkspaceRequest>): Promise<Workspace>;
  /** Returns the same workspace with its execs through the proxy. */
  overRelay(workspace: Workspace): Workspace;
  /**
   * Returns what a shell prints in the container `main`, without the proxy. @throws when the cluster refuses the exec
   */
  look(pod: string, script: string): Promise<string>;
  /** Returns the Pods of the namespace, also those that are being deleted. */
  podNames(): Promise<string[]>;
}

/** Short time limits, so that c3 detects a silent cut soon. In production it takes a minute. */
const QUICK_EXECS = { pingEveryMs: 300, silenceMs: 1500, stalledInputMs: 1500, closeMs: 500, handshakeMs: 3000 };

/** Two minutes in production, in case the node comes back with the step's end. */
const SILENT_NODE_MS = 5_000;

interface Made extends Pick<RealCluster, 'proxy' | 'client' | 'namespace' | 'cluster'> {
  readonly execs: ExecClient;
  readonly pods: Pods;
}

async function connect(): Promise<Made> {
  const { kubeconfig } = await openTarget();
  const access = parseKubeconfig(kubeconfig);
  const { namespace } = access;
  const proxy = await createCuttingProxy(Number(new URL(access.origin).port || 443));
  return {
    proxy,
    namespace,
    cluster: createKubernetesCluster(access, { ...QUICK_EXECS, silentNodeMs: SILENT_NODE_MS }),
    execs: createExecClient({ ...access, origin: `https://127.0.0.1:${proxy.port}` }, QUICK_EXECS),
    client: createClient(access),
    pods: await openPods(kubeconfig),
  };
}

/** Registers the hooks that set it up; its members exist when the tests run. */
export function useRealCluster(): RealCluster {
  let made: Made | undefined;

  function get(): Made {
    if (!made) throw new Error('the cluster does not exist before the tests run');
    return made;
  }
  beforeAll(async () => {
    made = await connect();
  });
  afterAll(async () => {
    await made?.cluster.close();
    made?.execs.close();
    await made?.pods.close();
    await made?.client.close();
    await made?.proxy.close();
  });

  return {
    get cluster() {
      return get().cluster;
    },
    get proxy() {
      return get().proxy;
    },
    get client() {
      return get().client;
    },
    get namespace() {
      return get().namespace;
    },
    async openWorkspace(changes = {}): Promise<Workspace> {
      const { cluster } = get();
      const answer = await cluster.openWorkspace(
        { ...ORDER, buildId: toBuildId(), ...changes },
        { signal: new AbortController().signal, startTimeoutMs: WAIT_MS, onWaiting: () => {} },
      );
      if (answer.kind !== 'ready') throw new Error(JSON.stringify(answer));
      return answer.workspace;
    },
    overRelay(workspace): Workspace {
      const { namespace, execs } = get();
      return {
        ...workspace,
        exec: async (container, argv, options) =>
          await execs.open({ namespace, pod: workspace.name, container, argv }, options),
      };
    },
    look: async (pod, script) => await get().pods.run(pod, 'main', ['sh', '-c', script]),
    async podNames(): Promise<string[]> {
      const { client, namespace } = get();
      const answer = await client.request({ method: 'GET', path: toPodsPath(namespace) });
      if (answer.kind === 'refused') throw new Error(answer.message);
      return (answer.body as { items: { metadata: { name: string } }[] }).items.map(({ metadata }) => metadata.name);
    },
  };
}

/** Creates a job of one container, `main`, that sleeps, with a volume at /c3. */
export function toManifest(container: JsonObject = {}, spec: JsonObject = {}): JsonObject {
  const main = {
    name: 'main',
    image: 'ubuntu',
    command: ['sleep', '100000'],
    volumeMounts: [{ name: 'c3', mountPath: '/c3' }],
    ...container,
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'real' },
    spec: {
      restartPolicy: 'Never',
      // A main process that ignores TERM is killed after this.
      terminationGracePeriodSeconds: 1,
      volumes: [{ name: 'c3', emptyDir: {} }],
      containers: [main],
      ...spec,
    },
  };
}

const ORDER: Omit<WorkspaceRequest, 'buildId'> = { ...WORKSPACE_REQUEST, manifest: toManifest() };
