import { randomBytes } from 'node:crypto';
import type { Cluster, ExecAnswer, ExecEnd } from '../../src/engine/cluster.ts';
import type { JsonObject } from '../../src/pipeline/pipeline.ts';
import type { Pod } from '../../src/kube/api-types.ts';
import { createClient, type KubeAnswer, type KubeClient } from '../../src/kube/client.ts';
import { createExecClient, type ExecClient } from '../../src/kube/exec.ts';
import { parseKubeconfig, type ClusterAccess } from '../../src/kube/kubeconfig.ts';
import { createKubernetesCluster, type ClusterLimits } from '../../src/kube/kubernetes-cluster.ts';
import { toPodsPath, watchPod } from '../../src/kube/watch.ts';
import { WAIT_MS } from '../time-limits.ts';

export interface ContractTarget {
  readonly kubeconfig: string;
  /** An image with a POSIX shell, dd, head and sleep that the cluster has or pulls fast. */
  readonly image: string;
  readonly faults?: ContractFaults;
}

/** Faults that the API alone cannot cause. Tests are skipped if the cluster cannot cause their fault. */
export interface ContractFaults {
  /** Makes the kernel kill the container for memory. Default: its program uses up memory when /c3/eat exists. */
  oomKill?(pod: string, container: string): Promise<void>;
  /** Makes the node of all Pods unreachable. Resolves with the function that brings it back. */
  silenceNode?(): Promise<() => Promise<void>>;
  /** Stops updates of Pods' statuses, as between two reports of a node. Returns the function that ends it. */
  holdStatuses?(): () => void;
  /** Forbids the account to watch Events. Returns the function that ends it. */
  refuseEvents?(): () => void;
}

export const NEVER: AbortSignal = new AbortController().signal;

/**
 * The shared parts of the contract's tests: connections, and Pods with the random name of the run, which are deleted
 * at its end.
 */
export interface ContractFixture {
  /** Connects and starts the Pod "main" with containers "a" and "b" that share /c3. */
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly cluster: () => Cluster;
  /**
   * Creates another c3 on the same cluster, with its own connections. A close during a build is like a crash: nothing
   * is released.
   */
  readonly createOther: (limits?: ClusterLimits) => Cluster;
  readonly faults: () => ContractFaults;
  readonly client: () => KubeClient;
  readonly namespace: () => string;
  /** Marks a Pod for deletion at the end. */
  readonly adopt: (pod: string) => void;
  /** Creates a container that sleeps, with the volume "shared" at /c3. */
  readonly sleeper: (container: string, changes?: JsonObject) => JsonObject;
  /** Creates a spec of one such container, "a". */
  readonly alone: (changes?: JsonObject) => JsonObject;
  readonly podName: (stem: string) => string;
  readonly create: (stem: string, spec: JsonObject) => Promise<KubeAnswer>;
  readonly remove: (pod: string, preconditions?: JsonObject) => Promise<KubeAnswer>;
  readonly read: (stem: string) => Promise<KubeAnswer>;
  /** Follows the Pod until it matches. Fails with its last state. */
  readonly until: (stem: string, matches: (pod: Pod | undefined) => boolean) => Promise<Pod | undefined>;
  readonly startPod: (stem: string, spec: JsonObject) => Promise<Pod>;
  readonly openExec: (container: string, argv: readonly string[], stem?: string) => Promise<OpenedExec>;
  /** Runs a program in Pod "main" to its end. The output is latin1. */
  readonly exec: (container: string, argv: readonly string[], input?: string | Uint8Array) => Promise<EndedExec>;
  readonly shell: (script: string, container?: string) => Promise<EndedExec>;
}

export interface OpenedExec {
  readonly answer: ExecAnswer;
  readonly output: () => { stdout: Buffer; stderr: Buffer };
}

export interface EndedExec {
  readonly end: ExecEnd;
  readonly stdout: string;
  readonly stderr: string;
}

export function createContractFixture(getTarget: () => Promise<ContractTarget>): ContractFixture {
  const run = randomBytes(3).toString('hex');
  const made = new Set<string>();
  let image: string;
  let namespace: string;
  let client: KubeClient;
  let execs: ExecClient;
  let cluster: Cluster;
  let access: ClusterAccess;
  let faults: ContractFaults = {};
  const others: Cluster[] = [];

  function sleeper(container: string, changes: JsonObject = {}): JsonObject {
    return {
      name: container,
      image,
      imagePullPolicy: 'IfNotPresent',
      command: ['sleep', '100000'],
      ...(changes['volumeMounts'] === null ? {} : { volumeMounts: [{ name: 'shared', mountPath: '/c3' }] }),
      ...changes,
    };
  }
  function alone(changes: JsonObject = {}): JsonObject {
    return { volumes: [{ name: 'shared', emptyDir: {} }], containers: [sleeper('a', changes)] };
  }
  function podName(stem: string): string {
    return `contract-${run}-${stem}`;
  }
  async function create(stem: string, spec: JsonObject): Promise<KubeAnswer> {
    made.add(podName(stem));
    const metadata = { name: podName(stem), labels: { contract: run } };
    const body = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { restartPolicy: 'Never', ...spec } };
    return await client.request({ method: 'POST', path: toPodsPath(namespace), body });
  }
  async function remove(pod: string, preconditions?: JsonObject): Promise<KubeAnswer> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      gracePeriodSeconds: 1,
      ...(preconditions && { preconditions }),
    };
    return await client.request({ method: 'DELETE', path: `${toPodsPath(namespace)}/${pod}`, body });
  }
  async function removeLease(pod: string): Promise<void> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${pod}`;
    await client.request({ method: 'DELETE', path });
  }
  async function read(stem: string): Promise<KubeAnswer> {
    return await client.request({ method: 'GET', path: `${toPodsPath(namespace)}/${podName(stem)}` });
  }
  async function until(stem: string, matches: (pod: Pod | undefined) => boolean): Promise<Pod | undefined> {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), WAIT_MS);
    let last: Pod | undefined;
    try {
      for await (const pod of watchPod(client, { namespace, name: podName(stem), signal: stop.signal })) {
        last = pod;
        if (matches(pod)) return pod;
      }
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
    throw new Error(`Pod ${podName(stem)} did not reach the expected state: ${JSON.stringify(last)}`);
  }
  async function startPod(stem: string, spec: JsonObject): Promise<Pod> {
    const answer = await create(stem, spec);
    if (answer.kind === 'refused') throw new Error(answer.message);
    const pod = await until(
      stem,
      (state) => state?.containers.every(({ isReady }) => isReady) === true && state.phase === 'Running',
    );
    if (!pod) throw new Error('it is gone');
    return pod;
  }
  async function openExec(container: string, argv: readonly string[], stem = 'main'): Promise<OpenedExec> {
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    const answer = await execs.open(
      { namespace, pod: podName(stem), container, argv },
      {
        signal: NEVER,
        onStdout: (chunk) => void stdout.push(Buffer.from(chunk)),
        onStderr: (chunk) => void stderr.push(Buffer.from(chunk)),
      },
    );
    return { answer, output: () => ({ stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) }) };
  }
  async function exec(container: string, argv: readonly string[], input: string | Uint8Array = ''): Promise<EndedExec> {
    const { answer, output } = await openExec(container, argv);
    if (answer.kind === 'refused') throw new Error(answer.message);
    if (input.length > 0) await answer.session.write(input);
    const end = await answer.session.done;
    return { end, stdout: output().stdout.toString('latin1'), stderr: output().stderr.toString('latin1') };
  }
  async function shell(script: string, container = 'a'): Promise<EndedExec> {
    return await exec(container, ['sh', '-c', script]);
  }

  return {
    async start() {
      const target = await getTarget();
      access = parseKubeconfig(target.kubeconfig);
      [image, namespace, faults] = [target.image, access.namespace, target.faults ?? {}];
      client = createClient(access);
      execs = createExecClient(access);
      cluster = createKubernetesCluster(access);
      await startPod('main', { volumes: [{ name: 'shared', emptyDir: {} }], containers: [sleeper('a'), sleeper('b')] });
    },
    async stop() {
      await Promise.all([...made].map(async (pod) => await remove(pod)));
      await Promise.all([...made].map(async (pod) => await removeLease(pod)));
      await Promise.all([cluster, ...others].map(async (one) => await one.close()));
      execs.close();
      await client.close();
    },
    cluster: () => cluster,
    createOther(limits) {
      const other = createKubernetesCluster(access, limits);
      others.push(other);
      return other;
    },
    faults: () => faults,
    client: () => client,
    namespace: () => namespace,
    adopt: (pod) => void made.add(pod),
    sleeper,
    alone,
    podName,
    create,
    remove,
    read,
    until,
    startPod,
    openExec,
    exec,
    shell,
  };
}
