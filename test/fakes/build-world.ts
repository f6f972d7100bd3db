import { afterEach } from 'vitest';
import {
  type Build,
  type BuildLinks,
  type BuildState,
  type CommitStatus,
  type Ending,
  type Reporter,
  UNKNOWN_COMMIT,
} from '../../src/build/index.ts';
import { createBuild } from './sample-build.ts';
import { runBuild } from '../../src/engine/build.ts';
import type { TelegramOptions } from '../../src/engine/build-request.ts';
import type { BuildLook, RunningBuild } from '../../src/logs/build-view.ts';
import type {
  FindAnswer,
  WorkspaceQuery,
  WorkspaceAnswer,
  OpenWorkspaceOptions,
  WorkspaceRequest,
} from '../../src/engine/cluster.ts';
import { createConnectionPool } from '../../src/agent/step-agent.ts';
import { openView } from '../../src/logs/open-view.ts';
import { DEFAULT_STEP_LIMITS } from '../../src/agent/step.ts';
import { C3Error } from '../../src/errors.ts';
import type { FileContent, Proof, PullFacts, Repository } from '../../src/forges/forge.ts';
import { formatPurpose, parseScope } from '../../src/sealing/index.ts';
import { createLocalWorkspace, toLocalBuildId, type LocalWorkspace } from './local-workspace.ts';
import { getSourceRepository } from './source-repository.ts';

type Order = WorkspaceRequest & Pick<OpenWorkspaceOptions, 'startTimeoutMs'>;

/** Everything around a build except a cluster: the responses of each part, and the recorded calls. */
export interface World {
  /** What happened, in order: `prove`, `status pending`, `open k8s`, `pod`, … */
  readonly events: string[];
  readonly states: BuildState[];
  /** The target URL of each status. */
  readonly targets: (string | undefined)[];
  readonly orders: Order[];
  readonly looks: WorkspaceQuery[];
  readonly released: boolean[];
  readonly workspace: LocalWorkspace;
  /** The commit to build. */
  readonly sha: string;
  run(part?: Partial<Answers>): Promise<Ending>;
  /** Opens the view of the build `id`, as a reader with its link does. */
  look(part: Partial<LookAnswers> & Pick<Answers, 'id'>): Promise<BuildLook>;
  close(): void;
}

export interface Answers {
  /** The state of the commit's status before this build. */
  before: CommitStatus['state'] | undefined | C3Error;
  /** The outcome of the previous commit. */
  /** The statuses of the previous commit. */
  listStatuses: Repository['listStatuses'];
  /** The statuses of the build's commit, the newest first. */
  ownStatuses(): AsyncIterable<CommitStatus>;
  paths: readonly string[] | undefined;
  /** What the forge says about the pull request. */
  pull(): PullFacts | undefined;
  /** `C3_FORKS`. */
  forks: 'off' | 'approve';
  /** Called with each commit whose c3.yaml is read. */
  onRead(sha: string): void;
  faults: readonly string[];
  id: string;
  build: Partial<Build>;
  isOldKey: boolean;
  isResumed: boolean;
  cancel: AbortController;
  halt: AbortController;
  /** Called with every state. */
  onState(state: BuildState): void;
  /** The reporter's. */
  sendLog: Reporter['sendLog'];
  finish: Reporter['finish'];
  onOver(ending: Ending): void;
  /** Called with the Telegram options of c3.yaml. */
  onReporter(telegram: TelegramOptions | undefined): void;
  links: BuildLinks | undefined;
  /** Called with the request for links. */
  onLinks(build: Build): void;
  proof: Proof | C3Error;
  file: FileContent;
  status: C3Error | undefined;
  /** Whether no other build of the commit and the ref runs in this process. */
  claim(): boolean;
  /** The forge answers a new status when this settles. */
  statusSet: Promise<unknown>;
  /** Why the token may not push. */
  access: string | undefined;
  open: C3Error | undefined;
  /** The plaintext of sealed values; default: "opened " and the value. */
  opened: string | undefined;
  cluster: C3Error | undefined;
  workspace: WorkspaceAnswer | undefined;
  /** What the cluster answers before it has a workspace. */
  failures: Extract<WorkspaceAnswer, { kind: 'failed' }>[];
  /** The forge's log of pushes. */
  push: { readonly before: string | undefined } | undefined;
  /** How often the forge does not show c3.yaml, at first. */
  missing: number;
  /** Whether the first workspace served another build before. */
  isWarm: boolean;
}

export interface LookAnswers extends Answers {
  /** The build in the process that runs it. */
  running: RunningBuild;
  /** Where the build ran; default: the world's workspace. */
  looked(): FindAnswer | undefined;
  signal: AbortSignal;
}

/** Returns a c3.yaml. The build replaces DIRECTORY by the workspace's directory, which is the work tree's volume. */
export function toFile(steps: string, extra = ''): FileContent {
  const text = `k8s: sealed.k8s.value.here
${extra}checkout: {container: main, path: DIRECTORY/project}
job:
  apiVersion: v1
  kind: Pod
  metadata: {name: build}
  spec: {containers: [{name: main, image: busybox, command: [sleep, '100000'], volumeMounts: [{name: v, mountPath: DIRECTORY}]}], volumes: [{name: v, emptyDir: {}}]}
steps:
${steps}`;
  return { kind: 'found', text };
}

/** Returns a function that creates a world, which is closed after the test. */
export function useWorlds(): () => World {
  const worlds: World[] = [];
  afterEach(() => {
    for (const world of worlds.splice(0)) world.close();
  });
  return () => {
    const world = createWorld();
    worlds.push(world);
    return world;
  };
}

export function createWorld(): World {
  const events: string[] = [];
  const states: BuildState[] = [];
  const targets: (string | undefined)[] = [];
  const orders: Order[] = [];
  const looks: WorkspaceQuery[] = [];
  const released: boolean[] = [];
  const source = getSourceRepository();
  const workspace: LocalWorkspace = createLocalWorkspace('dash');
  const connections = createConnectionPool();

  function fillIn(file: FileContent): FileContent {
    if (file.kind !== 'found') return file;
    return { kind: 'found', text: file.text.replaceAll('DIRECTORY', workspace.directory) };
  }

  function repositoryOf(answers: Answers): Repository {
    return {
      async prove() {
        events.push('prove');
        if (answers.proof instanceof C3Error) throw answers.proof;
        return answers.proof;
      },
      async checkAccess() {
        events.push('access');
        return await Promise.resolve(answers.access);
      },
      async readFile(_path, sha) {
        answers.onRead(sha);
        const isLate = answers.missing > 0;
        answers.missing -= 1;
        return await Promise.resolve(isLate ? { kind: 'missing' } : fillIn(answers.file));
      },
      async setStatus(_sha, status: CommitStatus) {
        events.push(`status ${status.state}`);
        targets.push(status.targetUrl);
        await answers.statusSet;
        if (answers.status) throw answers.status;
      },
      async *listStatuses(sha, signal) {
        if (sha !== source.sha || answers.build.cause === 'rerun') yield* answers.listStatuses(sha, signal);
        if (sha !== source.sha) return;
        yield* answers.ownStatuses();
        if (answers.before instanceof C3Error) throw answers.before;
        if (answers.before)
          yield { context: 'c3/push', state: answers.before, description: `as it was (main, build ${answers.id})` };
      },
      readCommit: () => Promise.resolve({ subject: 's', author: 'a' }),
      readPush: () => Promise.resolve(answers.push),
      async changedPaths(before) {
        events.push(`compare ${before}`);
        return answers.paths;
      },
      readPull: () => Promise.resolve(answers.pull()),
      async pullPaths({ base }) {
        events.push(`compare with the merge base of ${base}`);
        return answers.paths;
      },
      mayApprove: () => Promise.resolve(undefined),
      gitAccess: (as) => ({
        url: `file://${source.path}`,
        urlPrefix: 'https://f.example/',
        ...(as === 'anonymous' ? { header: '', secrets: [] } : { header: 'X: y', secrets: ['tokentoken'] }),
      }),
      lineUrl: (path, _sha, line) => `https://f.example/${path}#L${line}`,
      urls: () => ({ repository: 'https://f.example/a/b', commit: 'u' }),
    };
  }

  function toBuild({ id, build }: Answers): ReturnType<typeof createBuild> {
    const commit = { subject: 's', author: 'a' };
    return createBuild({ id, scope: parseScope('f.example/a/b'), sha: source.sha, commit, ...build });
  }

  return {
    events,
    states,
    targets,
    orders,
    looks,
    released,
    workspace,
    sha: source.sha,
    close(): void {
      connections.close();
      workspace.close();
    },
    look({ running, looked, signal = new AbortController().signal, ...part }) {
      const answers = toAnswers(part);
      const { name, id, exec } = workspace;
      const seen = {
        kind: 'found',
        workspace: { name, id, exec, close: () => void events.push('close') },
      } as const;
      const order = {
        build: { ...toBuild(answers), commit: UNKNOWN_COMMIT },
        repository: repositoryOf(answers),
        running,
        signal,
      } as const;
      return openView(order, {
        open: async (token) => {
          if (answers.open) throw answers.open;
          return await Promise.resolve({ plaintext: answers.opened ?? `opened ${token}`, isOldKey: false });
        },
        openCluster() {
          if (answers.cluster) throw answers.cluster;
          return {
            findWorkspace: async (wanted) => {
              looks.push(wanted);
              return await Promise.resolve(looked?.() ?? seen);
            },
          };
        },
        checkJob: () => answers.faults,
        listSecrets: ({ kubeconfig }) => [kubeconfig],
        now: Date.now,
        onFault: (error) => {
          throw error;
        },
      });
    },
    run(part = {}) {
      const answers = toAnswers(part);
      return runBuild(
        {
          build: { ...toBuild(answers), ...('trust' in answers.build ? { trust: answers.build.trust } : {}) },
          repository: repositoryOf(answers),
          isOldKey: answers.isOldKey,
          isResumed: answers.isResumed,
          signal: answers.cancel.signal,
          haltSignal: answers.halt.signal,
        },
        {
          async open(token, { purpose, ref }) {
            events.push(`open ${formatPurpose(purpose)}${ref === undefined ? '' : ` for ${ref}`}`);
            if (answers.open) throw answers.open;
            return { plaintext: answers.opened ?? `opened ${token}`, isOldKey: false };
          },
          openCluster() {
            if (answers.cluster) throw answers.cluster;
            return {
              async openWorkspace(order, { startTimeoutMs }) {
                events.push('pod');
                orders.push({ ...order, startTimeoutMs });
                const ready = {
                  ...workspace,
                  exec: workspace.exec,
                  async release({ isClean }: { isClean: boolean }) {
                    released.push(isClean);
                  },
                };
                const failure = answers.failures.shift();
                const isWarm = answers.isWarm && orders.length === 1;
                return failure ?? answers.workspace ?? { kind: 'ready', workspace: { ...ready, isWarm } };
              },
              close: () => Promise.resolve(),
            };
          },
          ...(answers.links && {
            async createLinks(build) {
              events.push('links');
              answers.onLinks(build);
              return answers.links ?? { view: '', control: '' };
            },
          }),
          checkJob: () => answers.faults,
          claim: () => answers.claim(),
          cancelPrevious: () => void events.push('cancel previous'),
          openReporter(_request, telegram) {
            answers.onReporter(telegram);
            return {
              report(state) {
                states.push(state);
                answers.onState(state);
              },
              finish: answers.finish,
              ...(answers.sendLog === undefined ? {} : { sendLog: answers.sendLog }),
            };
          },
          onOver: (ending) => answers.onOver(ending),
          connections,
          now: Date.now,
          onFault: (error) => {
            throw error;
          },
          forks: answers.forks,
          limits: { ...DEFAULT_STEP_LIMITS, lagPausesMs: [1, 1] },
        },
      );
    },
  };
}

function toAnswers(part: Partial<Answers>): Answers {
  return {
    proof: { kind: 'proven', trust: 'protected', isHead: true },
    file: toFile('- main: echo hello'),
    status: undefined,
    access: undefined,
    open: undefined,
    opened: undefined,
    cluster: undefined,
    workspace: undefined,
    failures: [],
    push: undefined,
    missing: 0,
    isWarm: false,
    before: undefined,
    statusSet: Promise.resolve(),
    claim: () => true,
    async *listStatuses() {},
    async *ownStatuses() {},
    paths: undefined,
    pull: () => undefined,
    forks: 'approve',
    onRead: () => {},
    faults: [],
    id: toLocalBuildId(),
    build: {},
    isOldKey: false,
    isResumed: false,
    cancel: new AbortController(),
    halt: new AbortController(),
    onState: () => {},
    finish: () => Promise.resolve(),
    onOver: () => {},
    sendLog: undefined,
    onReporter: () => {},
    links: undefined,
    onLinks: () => {},
    ...part,
  };
}
