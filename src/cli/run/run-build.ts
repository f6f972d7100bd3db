import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { type EventKind, formatRef, type Ref, UNKNOWN_COMMIT } from '../../build/index.ts';
import { type ConnectionPool } from '../../agent/index.ts';
import {
  type BuildDependencies,
  type BuildRequest,
  type Cluster,
  DEFAULT_BUILD_LIMITS,
  runBuild,
} from '../../engine/index.ts';
import { C3Error, toMessage } from '../../errors.ts';
import type { Pipeline, PipelineEvent } from '../../pipeline/index.ts';
import { createOutputLines, type OutputLines } from './view.ts';
import { CANCELLED, toEvents, toExitCode, type View } from './run-event.ts';
import { createTreeCluster } from './send-tree.ts';
import { runGit, type Snapshot, type WorkingTree } from './working-tree.ts';

/** The event that a run simulates. */
export interface EventFlags {
  readonly event?: EventKind;
  readonly branch?: string;
  readonly tag?: string;
  /** The target branch of a pull request. */
  readonly base?: string;
  readonly draft?: boolean;
}

/** One run of a pipeline for one snapshot. */
export interface RunRequest {
  /** `k8s` and the secrets hold plain values. */
  readonly pipeline: Pipeline;
  readonly tree: WorkingTree;
  readonly snapshot: Snapshot;
  readonly event: PipelineEvent;
  readonly isFresh: boolean;
  readonly signal: AbortSignal;
}

/** The branch of a build when HEAD is detached. */
const DETACHED = 'detached';

/** @throws {C3Error} USAGE_INVALID when the flags contradict each other or the name is not valid for a ref */
export async function toPipelineEvent(
  flags: EventFlags,
  { branch }: Snapshot,
  tree: WorkingTree,
): Promise<PipelineEvent> {
  const event = flags.event ?? (flags.tag !== undefined ? 'tag' : flags.base !== undefined ? 'pull_request' : 'push');
  checkFlags(event, flags);
  const ref: Ref =
    event === 'tag'
      ? { kind: 'tag', name: flags.tag ?? '' }
      : { kind: 'branch', name: flags.branch ?? branch ?? DETACHED };
  await checkName(ref, tree);
  if (flags.base === undefined) return { event, ref };
  await checkName({ kind: 'branch', name: flags.base }, tree);
  const pull = { number: 0, base: flags.base, head: ref.name, isDraft: flags.draft === true, isFork: false };
  return { event, ref, pull };
}

function checkFlags(event: EventKind, { branch, tag, base, draft }: EventFlags): void {
  const mistakes: readonly (readonly [isMistaken: boolean, message: string])[] = [
    [event === 'tag' && tag === undefined, '--event tag needs --tag NAME'],
    [event !== 'tag' && tag !== undefined, '--tag is for --event tag'],
    [event === 'tag' && branch !== undefined, '--branch is for --event push and pull_request'],
    [event === 'pull_request' && base === undefined, '--event pull_request needs --base BRANCH'],
    [event !== 'pull_request' && base !== undefined, '--base is for --event pull_request'],
    [event !== 'pull_request' && draft === true, '--draft is for --event pull_request'],
  ];
  for (const [isMistaken, message] of mistakes) if (isMistaken) throw new C3Error('USAGE_INVALID', message);
}

async function checkName(ref: Ref, tree: WorkingTree): Promise<void> {
  await runGit(['check-ref-format', formatRef(ref)], tree.git).catch(() => {
    throw new C3Error('USAGE_INVALID', `"${ref.name}" is not a name for a ${ref.kind}`);
  });
}

/** Names the Pod of a run by user, machine and working tree. */
function toPodScope(tree: WorkingTree): string {
  return `c3-run/${userInfo().username}@${hostname()}${tree.root}`;
}

export interface RunParts {
  readonly view: View;
  openCluster(kubeconfig: string): Omit<Cluster, 'findWorkspace'>;
  readonly connections: ConnectionPool;
}

/**
 * Runs the same build as a server, with the working tree instead of the forge, and returns the exit code. Never
 * rejects.
 */
export async function runOnce(request: RunRequest, { view, openCluster, connections }: RunParts): Promise<number> {
  const { pipeline, tree } = request;
  const outputs = new Map<number, OutputLines>();
  let exitCode = CANCELLED;
  const cluster = createTreeCluster(openCluster(pipeline.k8s.value), {
    pipeline,
    tree,
    sha: request.snapshot.sha,
    scope: toPodScope(tree),
    isFresh: request.isFresh,
  });

  function tellLines(step: number, texts: readonly string[]): void {
    const name = names[step] ?? '';
    for (const text of texts) view.show({ kind: 'output', step, name, text });
  }
  let names: readonly string[] = [];
  let before: Parameters<typeof toEvents>[0];
  const dependencies: BuildDependencies = {
    // The pipeline contains the plain value.
    open: (token) => Promise.resolve({ plaintext: token, isOldKey: false }),
    openCluster: () => cluster,
    openReporter: () => ({
      report(state): void {
        for (const event of toEvents(before, state)) {
          if (event.kind === 'planned') names = event.steps.map(({ name }) => name);
          if (event.kind === 'step-ended') tellLines(event.step, outputs.get(event.step)?.flush() ?? []);
          view.show(event);
        }
        before = state;
        if (state.phase.kind === 'ended') exitCode = toExitCode(state);
      },
      finish: () => Promise.resolve(),
    }),
    parse: () => ({ pipeline, problems: [] }),
    checkJob: () => [],
    cancelPrevious: () => {},
    onOutput(step, bytes): void {
      const lines = outputs.get(step) ?? createOutputLines();
      outputs.set(step, lines);
      tellLines(step, lines.push(bytes));
    },
    connections,
    now: Date.now,
    onFault: (error) => view.show({ kind: 'warning', message: toMessage(error) }),
    limits: DEFAULT_BUILD_LIMITS,
  };
  await runBuild(toRequest(request, cluster.treePath), dependencies);
  return exitCode;
}

function toRequest({ tree, snapshot, event, signal }: RunRequest, treePath: () => string): BuildRequest {
  const { sha, subject, author } = snapshot;
  return {
    build: {
      id: randomBytes(6).toString('hex'),
      scope: tree.scope,
      event: event.event,
      ref: event.ref,
      pull: event.pull,
      sha,
      before: undefined,
      cause: 'command-line',
      trust: undefined,
      commit: { subject, author },
    },
    repository: createTreeRepository(treePath, event.pull && { ...event.pull, sha, ...OPEN_PULL }),
    signal,
    isOldKey: false,
    isResumed: false,
  };
}

/** What no run tests of a pull request. */
const OPEN_PULL = { isOpen: true, isPublic: true, baseSha: undefined, commit: UNKNOWN_COMMIT } as const;

/** Creates a repository that represents the working tree. It has no forge. */
function createTreeRepository(
  treePath: () => string,
  pull: Awaited<ReturnType<BuildRequest['repository']['readPull']>>,
): BuildRequest['repository'] {
  return {
    prove: () => Promise.resolve({ kind: 'proven', trust: 'other', isHead: true }),
    checkAccess: () => Promise.resolve(undefined),
    readFile: () => Promise.resolve({ kind: 'found', text: '' }),
    setStatus: () => Promise.resolve(),
    // oxlint-disable-next-line require-yield -- there are no statuses
    async *listStatuses() {},
    readCommit: () => Promise.resolve(undefined),
    // Unknown, so that every condition on paths holds.
    readPush: () => Promise.resolve(undefined),
    changedPaths: () => Promise.resolve(undefined),
    pullPaths: () => Promise.resolve(undefined),
    readPull: () => Promise.resolve(pull),
    mayApprove: () => Promise.resolve('there is no forge'),
    gitAccess: () => ({ url: treePath(), urlPrefix: 'https://c3.invalid/', header: '', secrets: [] }),
    lineUrl: () => '',
    urls: () => ({ repository: '', commit: '' }),
  };
}
