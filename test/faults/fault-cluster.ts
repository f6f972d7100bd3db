import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, vi } from 'vitest';
import type { EmbeddedCluster } from '../../dev/cluster/index.ts';
import type {
  Cluster,
  FoundWorkspace,
  Workspace,
  WorkspaceAnswer,
  WorkspaceRequest,
} from '../../src/engine/cluster.ts';
import { createStepAgent, type StepAgent } from '../../src/agent/step-agent.ts';
import { createPartReader } from '../../src/agent/part-reader.ts';
import { copyLog } from '../../src/agent/read-log.ts';
import { runStep, type StepLimits, type StepResult } from '../../src/agent/step.ts';
import type { ExecLimits } from '../../src/kube/exec.ts';
import { createClusterPool, type ClusterPool } from '../../src/kube/index.ts';
import { openPods, type Pods } from '../e2e/pods.ts';
import { createCuttingProxy, type CuttingProxy } from './cutting-proxy.ts';
import type { JsonObject } from '../../src/pipeline/pipeline.ts';
import { getSharedCluster } from '../fakes/shared-cluster.ts';
import { WAIT_MS } from '../time-limits.ts';

/** An embedded cluster and a connection to it with the production code of `kube` and `engine`. */
export interface FaultCluster {
  readonly embedded: EmbeddedCluster;
  readonly cluster: Cluster;
  openWorkspace(changes?: Partial<WorkspaceRequest>): Promise<Workspace>;
  answerTo(changes?: Partial<WorkspaceRequest>, onWaiting?: (reason: string) => void): Promise<WorkspaceAnswer>;
  /** Opens the workspace as a reader does, by c3's own client. */
  see(): Promise<FoundWorkspace>;
  /**
   * The directory of this machine that is /c3 in the workspace's container. It exists even when the API server is
   * down.
   */
  volumeOf(workspace: Workspace): string;
  /** Returns what a shell prints in a Pod's only container. It uses another client, which has no planned faults. */
  look(pod: string, script: string): Promise<string>;
}

interface FaultClusterOptions {
  /** Returns c3's kubeconfig, made from the cluster's own. */
  route?(embedded: EmbeddedCluster): Promise<string>;
  /** The time limits of connections. Default: those of production. */
  readonly execs?: Partial<ExecLimits>;
}

/** With these limits c3 notices a silent cut in seconds. In production it takes a minute. */
export const QUICK_EXECS: Partial<ExecLimits> = {
  pingEveryMs: 200,
  silenceMs: 3000,
  stalledInputMs: 5000,
  closeMs: 200,
  handshakeMs: 10_000,
};

/** As in production, but with quick reconnects and a short grace. */
export const STEP_LIMITS: StepLimits = {
  outOfReachMs: 60_000,
  reconnectMs: 20,
  graceSeconds: 1,
  answerMs: 60_000,
};

const SILENCE_MS = 45_000;

/** Registers the hooks that set it up; its members exist when the tests run. */
export function useFaultCluster(options: FaultClusterOptions = {}): FaultCluster {
  let made: { embedded: EmbeddedCluster; pool: ClusterPool; cluster: Cluster; pods: Pods } | undefined;

  function get(): { embedded: EmbeddedCluster; cluster: Cluster; pods: Pods } {
    if (!made) throw new Error('the cluster does not exist before the tests run');
    return made;
  }
  beforeAll(async () => {
    const embedded = await getSharedCluster();
    const pool = createClusterPool({ allowNets: ['127.0.0.0/8'], execs: options.execs ?? {} });
    const cluster = pool.getCluster((await options.route?.(embedded)) ?? embedded.kubeconfig);
    made = { embedded, pool, cluster, pods: await openPods(embedded.kubeconfig) };
  });
  afterAll(async () => {
    await made?.pool.close();
    made?.embedded.faults.clear();
    await made?.pods.clear();
    await made?.pods.close();
  });

  async function answerTo(
    changes: Partial<WorkspaceRequest> = {},
    onWaiting: (reason: string) => void = () => {},
  ): Promise<WorkspaceAnswer> {
    const order = { ...WORKSPACE_REQUEST, buildId: toBuildId(), ...changes };
    return await get().cluster.openWorkspace(order, {
      signal: new AbortController().signal,
      startTimeoutMs: WAIT_MS,
      onWaiting,
    });
  }
  return {
    get embedded() {
      return get().embedded;
    },
    get cluster() {
      return get().cluster;
    },
    async openWorkspace(changes): Promise<Workspace> {
      const { embedded } = get();
      const lists = embedded.stats()['lease-list'];
      const answer = await answerTo(changes);
      if (answer.kind !== 'ready') throw new Error(JSON.stringify(answer));
      // After a new Pod c3 cleans up, maybe over a new connection: later planned cuts must not hit that one.
      if (!answer.workspace.isWarm)
        await vi.waitUntil(() => embedded.stats()['lease-list'] > lists, { timeout: WAIT_MS });
      return answer.workspace;
    },
    answerTo,
    async see(): Promise<FoundWorkspace> {
      const answer = await get().cluster.findWorkspace(
        { ...WORKSPACE_REQUEST, buildId: '' },
        { signal: new AbortController().signal },
      );
      if (answer.kind !== 'found') throw new Error(JSON.stringify(answer));
      return answer.workspace;
    },
    volumeOf(workspace): string {
      return join(get().embedded.directory, 'pods', workspace.id, 'volumes', 'c3');
    },
    look: async (pod, script) => await get().pods.run(pod, 'main', ['sh', '-c', script]),
  };
}

/** The same with a proxy between c3 and the cluster, which cuts connections as planned. */
export function useProxiedCluster(options: Pick<FaultClusterOptions, 'execs'> = {}): {
  faults: FaultCluster;
  readonly proxy: CuttingProxy;
} {
  let made: CuttingProxy | undefined;
  const faults = useFaultCluster({
    ...options,
    async route({ url, kubeconfig }): Promise<string> {
      made = await createCuttingProxy(Number(new URL(url).port));
      return kubeconfig.replace(url, `https://127.0.0.1:${made.port}`);
    },
  });
  afterAll(async () => await made?.close());
  return {
    faults,
    get proxy() {
      if (!made) throw new Error('the proxy does not exist before the tests run');
      return made;
    },
  };
}

/** Returns a Pod with the container `main`, which sleeps and has a volume at /c3. */
export function toManifest(name: string, container: JsonObject = {}): JsonObject {
  const main = {
    name: 'main',
    image: 'busybox',
    command: ['sleep', '100000'],
    volumeMounts: [{ name: 'c3', mountPath: '/c3' }],
    ...container,
  };
  const spec = { restartPolicy: 'Never', volumes: [{ name: 'c3', emptyDir: {} }], containers: [main] };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
}

export const WORKSPACE_REQUEST: Omit<WorkspaceRequest, 'buildId'> = {
  manifest: toManifest('faults', { resources: { limits: { memory: '64Mi' } } }),
  scope: 'git.example.com/acme/shop',
  owner: 'refs/heads/main',
  root: '/c3/.c3',
  isResumed: false,
  reuse: true,
  idleMs: 600_000,
  maxAgeMs: 3_600_000,
  neededMs: 60_000,
};

export function toBuildId(): string {
  return `b-${randomBytes(6).toString('hex')}`;
}

/** A step that runs in a workspace, as the engine runs it. */
export interface StepRun {
  readonly buildId: string;
  readonly ended: Promise<StepResult>;
  /** All of it, once the step has ended. */
  log(): Buffer;
  /** The size of its log, by the newest heartbeat. */
  size(): number;
  /** Resolves once a heartbeat brings the text. Rejects when the step ends without it. */
  seen(text: string): Promise<void>;
}

/**
 * Starts a step of a new build. Its script finds `$ID` in its environment; what `body` writes goes to the log and, by
 * `tee`, to /c3/wrote.$ID, and each run adds a line to /c3/ran.$ID. It ends with 7, which no exec status says by
 * mistake. Its log is read in parts once it has ended.
 */
export function startStep(workspace: Workspace, body: string, silenceMs: number = SILENCE_MS): StepRun {
  const buildId = toBuildId();
  const openAgent = (): StepAgent =>
    createStepAgent(workspace, 'main', { buildId, epoch: workspace.epoch, roots: ROOTS, silenceMs });
  const agent = openAgent();
  let log: Buffer = Buffer.alloc(0);
  let newest = '';
  let size = 0;
  const waiting = new Set<{ text: string; resolve: () => void }>();

  async function run(): Promise<StepResult> {
    const result = await runStep(
      agent,
      {
        buildId,
        stepId: 's0',
        proof: 'proof',
        workdir: '/c3/project',
        env: { C3_BUILD_ID: buildId, ID: buildId },
        script: `echo run >> "/c3/ran.$ID"\n{\n${body}\n} 2>&1 | tee "/c3/wrote.$ID"\nexit 7\n`,
        timeoutMs: 120_000,
      },
      {
        signal: new AbortController().signal,
        lost: workspace.lost,
        limits: STEP_LIMITS,
        openAgent,
        onLog(end): void {
          size = end.size;
          newest = Buffer.from(end.bytes).toString('latin1');
          for (const one of waiting) if (newest.includes(one.text)) one.resolve();
        },
      },
    );
    agent.close();
    if (result.kind === 'exited') log = await readWholeLog(workspace, buildId);
    return result;
  }
  const ended = run();
  return {
    buildId,
    ended,
    log: () => log,
    size: () => size,
    seen: (text) =>
      new Promise((resolve, reject) => {
        if (newest.includes(text)) resolve();
        else waiting.add({ text, resolve });
        const fail = (result: StepResult): void =>
          reject(new Error(`the step ended without "${text}": ${JSON.stringify(result)}`));
        void ended.then(fail, reject);
      }),
  };
}

const ROOTS = ['/c3/.c3', '/tmp/.c3'] as const;

async function readWholeLog(workspace: Workspace, buildId: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const reading = await copyLog(createPartReader({ workspace, buildId, roots: ROOTS }), {
    container: 'main',
    stepId: 's0',
    offset: 0,
    signal: new AbortController().signal,
    isAwaited: () => false,
    isOver: () => true,
    onBytes: (bytes) => void chunks.push(Buffer.from(bytes)),
  });
  const log = Buffer.concat(chunks);
  expect(reading).toEqual({ kind: 'whole', to: log.length });
  return log;
}

/** Expects that the step ran once, ended with its own exit code, and that its log is complete and in order. */
export async function expectWhole(
  faults: Pick<FaultCluster, 'look'>,
  { pod, step, what = 'the step' }: { pod: string; step: StepRun; what?: string },
): Promise<void> {
  expect({ what, result: await step.ended }).toEqual({ what, result: { kind: 'exited', exitCode: 7 } });
  const log = step.log();
  const { buildId } = step;
  const told = await faults.look(
    pod,
    `cat /c3/ran.${buildId}; wc -c < /c3/wrote.${buildId}; sha256sum < /c3/wrote.${buildId}`,
  );
  const wanted = `run\n${log.length}\n${createHash('sha256').update(log).digest('hex')}  -\n`;
  expect({ what, told }).toEqual({ what, told: wanted });
}
