import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { C3Error } from '../../src/errors.ts';
import { type ApiServer, createApiServer } from './api/server.ts';
import { createCertificate } from './certificate.ts';
import { createFaultGate, type ExecBreak, type FaultPlan, type RequestKind } from './faults.ts';
import { existsByDefault, type ImageOracle } from './node/images.ts';
import { createKubelet, type Kubelet } from './node/kubelet.ts';
import { startSandbox } from './node/sandbox.ts';
import { JANITOR_SCRIPT, writeRootScript } from './node/scripts.ts';
import { ALTERNATIVE, findTools, type Tools } from './node/tools.ts';
import { type KubeObject, type Pod, toTimestamp } from './objects.ts';
import { createStore, type Store } from './store.ts';

export interface EmbeddedClusterOptions {
  /** The parent of the cluster's directory; default: the system's directory for temporary files. */
  readonly root?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** An IP address; default: 127.0.0.1. The certificate names it and `localhost`. */
  readonly host?: string;
  /** Default: default, kube-system. */
  readonly namespaces?: readonly string[];
  /** Whether an image exists; default: all but those with `no-such` in the name or a registry under `.invalid`. */
  readonly images?: ImageOracle;
  /** First back-off of restarts and pulls; default: the kubelet's 10 s. */
  readonly backoffMs?: number;
}

export interface EmbeddedCluster {
  /** `https://127.0.0.1:PORT` */
  readonly url: string;
  /** YAML with one context, `embedded`: the authority's certificate and a bearer token. */
  readonly kubeconfig: string;
  /** Where its files are; the volumes of a Pod are in `pods/UID/volumes`. */
  readonly directory: string;
  readonly faults: ClusterFaults;
  /** All Pods as they are stored now. */
  pods(): Pod[];
  /** The number of requests of each kind. */
  stats(): Record<RequestKind, number>;
  /** Kills every container, removes every directory, cuts every connection. */
  close(): Promise<void>;
}

/** Faults on demand. A Pod is named `NAMESPACE/NAME`, or `NAME` in the namespace default. */
export interface ClusterFaults extends FaultPlan {
  /** Breaks the open execs; returns their number. */
  cutExecs(how: ExecBreak): number;
  /** Ends the open watches, with a last bookmark as after a timeout or with a cut. Returns their number. */
  dropWatches(how: 'normal' | 'cut'): number;
  /** Sends a bookmark on each watch that asked for them. */
  sendBookmarks(): void;
  /** Forgets past changes: a watch from an older version gets 410 Expired. */
  compact(): void;
  /** Stops the API server: it cuts every connection and refuses new ones. Containers keep running. */
  stopServer(): Promise<void>;
  /** Starts the API server again on the same port, with all its state. */
  startServer(): Promise<void>;
  /** Kills the Pod's containers; the Pod stays as Failed with the reason Evicted. */
  evict(pod: string, message?: string): Promise<void>;
  /** Kills a container; its status says OOMKilled, 137. */
  oomKill(pod: string, container: string): void;
  /** Stops scheduling Pods, with this message; undefined starts it again. */
  unschedulable(message: string | undefined): void;
  /**
   * Disconnects the node: its Pods become not ready, execs hang or fail, and no Pod starts or ends. Containers keep
   * running.
   */
  stopNode(): void;
  /** Connects the node again; it catches up with the changes. */
  startNode(): void;
  /** Holds all updates of Pod statuses until `releaseStatuses`, as between two syncs of a kubelet. */
  holdStatuses(): void;
  releaseStatuses(): void;
}

/**
 * Starts a cluster of one node in this process. Its containers share the machine's network and programs, have their
 * own file tree, processes and host name, and ignore `resources`. They die with this process, whatever signal ends
 * it. An exec's streams are socket pairs, not pipes: a program cannot open /dev/stdin and /dev/stdout again.
 *
 * @throws {C3Error} CLUSTER_UNREACHABLE when this machine cannot make namespaces; the hint names the alternative
 */
export async function createEmbeddedCluster(options: EmbeddedClusterOptions = {}): Promise<EmbeddedCluster> {
  const host = options.host ?? '127.0.0.1';
  const tools = await findTools(process.env['PATH'] ?? '');
  const directory = await mkdtemp(join(await realpath(options.root ?? tmpdir()), 'c3-cluster-'));
  // Containers of other users traverse it. Its name cannot be guessed.
  await chmod(directory, 0o711);
  const dismissJanitor = startJanitor(directory, tools);
  try {
    await mkdir(join(directory, 'root'));
    const rootScript = writeRootScript(directory, join(directory, 'root'), process.getuid?.() === 0);
    await probe({ directory, rootScript, tools });
    const certificate = createCertificate(host);
    const token = randomBytes(24).toString('base64url');
    const store = createStore();
    for (const name of options.namespaces ?? ['default', 'kube-system']) store.put('namespaces', toNamespace(name));
    const kubelet = createKubelet({
      store,
      tools,
      directory,
      rootScript,
      imageExists: options.images ?? existsByDefault,
      backoffMs: options.backoffMs ?? 10_000,
    });
    const gate = createFaultGate();
    const server = createApiServer({ store, kubelet, gate, token, ...certificate });
    const port = await server.listen(host, options.port ?? 0);
    const url = `https://${host}:${port}`;
    return {
      url,
      directory,
      kubeconfig: toKubeconfig({ url, token, authority: certificate.authority }),
      faults: { ...gate, ...createClusterFaults({ store, kubelet, server, restart: () => server.listen(host, port) }) },
      pods: () => store.list('pods'),
      stats: () => server.stats(),
      close: async () => {
        gate.clear();
        await server.stop();
        await kubelet.close();
        await dismissJanitor();
      },
    };
  } catch (error) {
    await dismissJanitor();
    throw error;
  }
}

interface FaultParts {
  readonly store: Store;
  readonly kubelet: Kubelet;
  readonly server: ApiServer;
  restart(): Promise<number>;
}

function createClusterFaults({ store, kubelet, server, restart }: FaultParts): Omit<ClusterFaults, keyof FaultPlan> {
  const find = (path: string): Pod => {
    const [namespace, name] = path.includes('/') ? path.split('/') : ['default', path];
    const pod = store.get('pods', namespace ?? '', name ?? '');
    if (!pod) throw new C3Error('USAGE_INVALID', `There is no Pod "${path}" in the embedded cluster`);
    return pod;
  };
  return {
    cutExecs: (how) => {
      const sessions = server.execs();
      for (const session of sessions) session.break(how);
      return sessions.length;
    },
    dropWatches: (how) => {
      const watches = server.watches();
      for (const watch of watches) watch.end(how);
      return watches.length;
    },
    sendBookmarks: () => {
      for (const watch of server.watches()) watch.bookmark();
    },
    compact: store.compact,
    stopServer: () => server.stop(),
    startServer: async () => void (await restart()),
    evict: (path, message = 'The node was low on resource: ephemeral-storage.') =>
      kubelet.fail(find(path), { reason: 'Evicted', message }),
    oomKill: (path, container) => kubelet.runner(find(path), container)?.kill('OOMKilled'),
    unschedulable: kubelet.refuseScheduling,
    stopNode: () => {
      kubelet.silence();
      for (const session of server.execs()) session.break('silent');
    },
    startNode: kubelet.unsilence,
    holdStatuses: () => kubelet.holdStatuses(true),
    releaseStatuses: () => kubelet.holdStatuses(false),
  };
}

/** Starts and ends one container, so that a problem is reported now and not by the first Pod. */
async function probe({
  directory,
  rootScript,
  tools,
}: {
  directory: string;
  rootScript: string;
  tools: Tools;
}): Promise<void> {
  const answer = await startSandbox(
    {
      hostname: 'probe',
      argv: ['true'],
      environment: {},
      workingDirectory: '/',
      mounts: [],
      user: undefined,
      logFile: join(directory, 'probe.log'),
      rootScript,
    },
    tools,
  );
  if (answer.kind === 'running') {
    await answer.sandbox.exited;
    return;
  }
  throw new C3Error('CLUSTER_UNREACHABLE', `The embedded cluster cannot make a container here: ${answer.message}`, {
    hint: `allow user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns), or ${ALTERNATIVE}`,
  });
}

/** Starts a process that removes the directory after this process has died. Returns a function that does so now. */
function startJanitor(directory: string, tools: Tools): () => Promise<void> {
  const janitor = spawn(tools.sh, ['-c', JANITOR_SCRIPT, 'c3-janitor', directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: { PATH: tools.path },
  });
  janitor.unref();
  (janitor.stdin as unknown as { unref?: () => void }).unref?.();
  const ended = new Promise<void>((resolve) => {
    janitor.once('exit', () => resolve());
    janitor.once('error', () => resolve());
  });
  return async () => {
    janitor.ref();
    janitor.stdin.end();
    await ended;
    await rm(directory, { recursive: true, force: true });
  };
}

function toNamespace(name: string): KubeObject {
  const metadata = { name, namespace: '', uid: randomUUID(), resourceVersion: '', creationTimestamp: toTimestamp() };
  return { apiVersion: 'v1', kind: 'Namespace', metadata };
}

function toKubeconfig({ url, token, authority }: { url: string; token: string; authority: string }): string {
  return `apiVersion: v1
kind: Config
clusters:
- name: embedded
  cluster:
    server: ${url}
    certificate-authority-data: ${Buffer.from(authority).toString('base64')}
users:
- name: user
  user:
    token: ${token}
contexts:
- name: embedded
  context:
    cluster: embedded
    user: user
    namespace: default
current-context: embedded
`;
}
