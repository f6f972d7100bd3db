import { runBuild } from '../../src/engine/build.ts';
import type { BuildState, Ending } from '../../src/engine/build-state.ts';
import type { WorkspaceAnswer, WorkspaceOrder } from '../../src/engine/cluster.ts';
import { createLinePool } from '../../src/engine/line-pool.ts';
import { DEFAULT_STEP_LIMITS } from '../../src/engine/step.ts';
import { C3Error } from '../../src/errors.ts';
import type { CommitStatus, FileAnswer, Proof, Push, Repository } from '../../src/forges/forge.ts';
import { formatPurpose } from '../../src/sealing/index.ts';
import { createLocalWorkspace, toLocalBuildId, type LocalWorkspace } from './local-workspace.ts';
import { createSourceRepository } from './source-repository.ts';

/** Everything around a build but a cluster: what each part of it answers, and what happened. */
export interface World {
  /** What happened, in order: `prove`, `status pending`, `open k8s`, `pod`, … */
  readonly events: string[];
  readonly states: BuildState[];
  readonly orders: WorkspaceOrder[];
  readonly released: boolean[];
  readonly workspace: LocalWorkspace;
  /** Of the commit that is built. */
  readonly sha: string;
  run(part?: Partial<Answers>): Promise<Ending>;
  close(): void;
}

export interface Answers {
  /** State of the commit's status for this build, before it. */
  before: CommitStatus['state'] | undefined | C3Error;
  paths: readonly string[] | undefined;
  faults: readonly string[];
  id: string;
  push: Partial<Push>;
  isOldKey: boolean;
  isResumed: boolean;
  cancel: AbortController;
  halt: AbortController;
  /** Told of every state. */
  onState(state: BuildState): void;
  proof: Proof | C3Error;
  file: FileAnswer;
  status: C3Error | undefined;
  open: C3Error | undefined;
  cluster: C3Error | undefined;
  workspace: WorkspaceAnswer | undefined;
}

/** A c3.yaml; the workspace's directory, which is the work tree's volume, is filled in when the build runs. */
export function toFile(steps: string, extra = ''): FileAnswer {
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

export function createWorld(): World {
  const events: string[] = [];
  const states: BuildState[] = [];
  const orders: WorkspaceOrder[] = [];
  const released: boolean[] = [];
  const source = createSourceRepository();
  const workspace: LocalWorkspace = createLocalWorkspace('dash');
  const lines = createLinePool();

  function fillIn(file: FileAnswer): FileAnswer {
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
      readFile: () => Promise.resolve(fillIn(answers.file)),
      async setStatus(_sha, status: CommitStatus) {
        events.push(`status ${status.state}`);
        if (answers.status) throw answers.status;
      },
      async findStatus() {
        if (answers.before instanceof C3Error) throw answers.before;
        return answers.before;
      },
      async listChangedPaths(before) {
        events.push(`compare ${before}`);
        return answers.paths;
      },
      gitAccess: () => ({
        url: `file://${source.path}`,
        urlPrefix: 'https://f.example/',
        header: 'X: y',
        secrets: ['tokentoken'],
      }),
      close: () => Promise.resolve(),
    };
  }

  return {
    events,
    states,
    orders,
    released,
    workspace,
    sha: source.sha,
    close(): void {
      lines.close();
      workspace.close();
      source.remove();
    },
    run(part = {}) {
      const answers: Answers = {
        proof: { kind: 'proven', isProtected: true },
        file: toFile('- main: echo hello'),
        status: undefined,
        open: undefined,
        cluster: undefined,
        workspace: undefined,
        before: undefined,
        paths: undefined,
        faults: [],
        id: toLocalBuildId(),
        push: {},
        isOldKey: false,
        isResumed: false,
        cancel: new AbortController(),
        halt: new AbortController(),
        onState: () => {},
        ...part,
      };
      const push: Push = {
        ref: 'refs/heads/main',
        refKind: 'branch',
        refName: 'main',
        sha: source.sha,
        subject: 's',
        author: 'a',
        commitUrl: 'u',
        ...answers.push,
      };
      const buildSource = { scope: 'f.example/a/b', repositoryUrl: 'https://f.example/a/b', ...push };
      return runBuild(
        {
          id: answers.id,
          source: buildSource,
          push,
          repository: repositoryOf(answers),
          isOldKey: answers.isOldKey,
          isResumed: answers.isResumed,
          signal: answers.cancel.signal,
          haltSignal: answers.halt.signal,
        },
        {
          async open(token, purpose) {
            events.push(`open ${formatPurpose(purpose)}`);
            if (answers.open) throw answers.open;
            return { plaintext: `opened ${token}`, isOldKey: false };
          },
          openCluster() {
            if (answers.cluster) throw answers.cluster;
            return {
              async openWorkspace(order) {
                events.push('pod');
                orders.push(order);
                const ready = {
                  ...workspace,
                  exec: workspace.exec,
                  async release({ isClean }: { isClean: boolean }) {
                    released.push(isClean);
                  },
                };
                return answers.workspace ?? { kind: 'ready', workspace: ready };
              },
              close: () => Promise.resolve(),
            };
          },
          checkJob: () => answers.faults,
          cancelPrevious: () => void events.push('cancel previous'),
          openReporter: () => ({
            report(state) {
              states.push(state);
              answers.onState(state);
            },
            finish: () => Promise.resolve(),
          }),
          lines,
          now: Date.now,
          onFault: (error) => {
            throw error;
          },
          limits: { ...DEFAULT_STEP_LIMITS, startTimeoutMs: 1000 },
        },
      );
    },
  };
}
