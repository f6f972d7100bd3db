import type { EventEmitter } from 'node:events';
import { join, resolve } from 'node:path';
import { type ConnectionPool, createConnectionPool } from '../agent/index.ts';
import { formatRef } from '../build/index.ts';
import type { Cluster } from '../engine/index.ts';
import { C3Error, type ErrorCode } from '../errors.ts';
import { type ClusterPool, createClusterPool } from '../kube/index.ts';
import { formatProblem, parsePipeline, type Pipeline, summarizeProblem } from '../pipeline/index.ts';
import { chooseSteps } from './run/adjust-pipeline.ts';
import { createMachine, findMissing } from './run/find-missing.ts';
import { openTarget, type Target, type TargetFlags } from './run/open-target.ts';
import { runAtChanges } from './run/watch-tree.ts';
import { type EventFlags, runOnce, toPipelineEvent } from './run/run-build.ts';
import { CANCELLED, type View } from './run/run-event.ts';
import { createPodPrinter, formatPlan } from './run/show-plan.ts';
import { addVariables, fillSecrets, readVariables } from './run/adjust-pipeline.ts';
import { createView } from './run/view.ts';
import { openWorkingTree, type Snapshot, type WorkingTree } from './run/working-tree.ts';
import { readUserFile, tellError, type Terminal } from './terminal.ts';

export interface RunFlags extends TargetFlags, EventFlags {
  readonly envFile?: string;
  readonly secretFile?: string;
  readonly dryRun?: boolean;
  readonly watch?: boolean;
  readonly json?: boolean;
  readonly fresh?: boolean;
}

export interface RunArguments {
  /** `[FILE] [STEP…]`. The first word is a file if it looks like a path. */
  readonly words: readonly string[];
  /** The working directory of the command. */
  readonly directory: string;
}

const DEFAULT_FILE = 'c3.yaml';

/** Every address is allowed: the machine and the kubeconfig belong to the user. */
const ANY_ADDRESS = ['0.0.0.0/0', '::/0'];

/** Faults that exit with {@link USAGE}. Any other fault exits with {@link INFRASTRUCTURE}. */
const USAGE_CODES: readonly ErrorCode[] = ['USAGE_INVALID', 'KUBECONFIG_INVALID'];
const USAGE = 2;
const INFRASTRUCTURE = 3;

/**
 * Runs `c3 run [FILE] [STEP…]`, which runs c3.yaml for the working tree. SIGINT, SIGTERM or SIGHUP cancels the run; a
 * second one ends the command at once.
 */
export async function run(terminal: Terminal, { words, directory }: RunArguments, flags: RunFlags): Promise<number> {
  const interruption = listenForSignals();
  try {
    const work = runInTree(terminal, { words, directory }, { flags, signal: interruption.signal });
    return await Promise.race([work, interruption.second.then(() => CANCELLED)]);
  } catch (error) {
    if (interruption.signal.aborted) return CANCELLED;
    tellError(terminal, error);
    return error instanceof C3Error && USAGE_CODES.includes(error.code) ? USAGE : INFRASTRUCTURE;
  } finally {
    interruption.close();
  }
}

/** What several runs share with `--watch`. */
interface Session {
  readonly terminal: Terminal;
  readonly flags: RunFlags;
  readonly file: string;
  readonly steps: readonly string[];
  readonly tree: WorkingTree;
  readonly clusters: ClusterPool;
  readonly connections: ConnectionPool;
  /** Opens the target at the first call. */
  target(): Promise<Target>;
}

async function runInTree(
  terminal: Terminal,
  { words, directory }: RunArguments,
  { flags, signal }: { readonly flags: RunFlags; readonly signal: AbortSignal },
): Promise<number> {
  const [first = '', ...rest] = words;
  const isFile = /\.ya?ml$|\//.test(first);
  const tree = await openWorkingTree(directory, { ...terminal.env });
  const clusters = createClusterPool({ allowNets: ANY_ADDRESS });
  const connections = createConnectionPool();
  let target: Promise<Target> | undefined;
  const session: Session = {
    terminal,
    flags,
    file: isFile ? resolve(directory, first) : join(tree.root, DEFAULT_FILE),
    steps: isFile ? rest : words,
    tree,
    clusters,
    connections,
    target: () =>
      (target ??= openTarget(terminal, flags).catch((error: unknown) => {
        target = undefined; // with --watch, the next run tries again
        throw error;
      })),
  };
  try {
    if (flags.watch !== true) return await runNow(session, await tree.takeSnapshot(), signal);
    await runAtChanges({ terminal, tree, signal }, (snapshot, stop) => runNow(session, snapshot, stop));
    return CANCELLED;
  } finally {
    connections.close();
    await clusters.close();
    await target?.then((opened) => opened.close()).catch(() => {}); // the run that opened it has reported the error
    await tree.close();
  }
}

async function runNow(session: Session, snapshot: Snapshot, signal: AbortSignal): Promise<number> {
  const { terminal, flags, tree, connections } = session;
  const isDryRun = flags.dryRun === true;
  const view = createView(terminal, { isJson: flags.json === true, isDryRun });
  try {
    const asked = readPipeline(session, view);
    if (!asked) return USAGE;
    const event = await toPipelineEvent(flags, snapshot, tree);
    const order = { tree, snapshot, event, isFresh: flags.fresh === true, signal };
    if (isDryRun) {
      for (const line of formatPlan(asked, event)) terminal.print(line);
      const openCluster = (): Omit<Cluster, 'findWorkspace'> => createPodPrinter((text) => terminal.print(text));
      await runOnce({ ...order, pipeline: asked }, { view, openCluster, connections });
      return 0;
    }
    if (!canRunHere(session, asked, view)) return INFRASTRUCTURE;
    const target = await session.target();
    view.show({
      kind: 'started',
      sha: snapshot.sha,
      ref: formatRef(event.ref),
      changedFiles: snapshot.changedFiles,
      cluster: target.name,
    });
    const pipeline = { ...asked, k8s: { value: target.kubeconfig } };
    return await runOnce({ ...order, pipeline }, { view, openCluster: session.clusters.getCluster, connections });
  } finally {
    view.close();
  }
}

/** Reports what the embedded cluster lacks for the job. Returns whether it can run; on another cluster, it can. */
function canRunHere({ terminal, flags }: Session, { job }: Pipeline, view: View): boolean {
  if (flags.kubeconfig !== undefined || flags.context !== undefined) return true;
  const { errors, warnings } = findMissing(job.manifest, createMachine(terminal.env['PATH']));
  for (const message of warnings) view.show({ kind: 'warning', message });
  if (errors.length === 0) return true;
  const message = errors.join('\n');
  view.show({ kind: 'ended', outcome: 'infrastructure-error', message, exitCode: INFRASTRUCTURE, durationMs: 0 });
  return false;
}

/** Reads the pipeline to run. Prints the problems of the file and returns undefined if one is an error. */
function readPipeline({ terminal, flags, file, steps, tree }: Session, view: View): Pipeline | undefined {
  const text = readUserFile(terminal, file, { hint: 'name the file: c3 run FILE' });
  const shown = file.startsWith(`${tree.root}/`) ? file.slice(tree.root.length + 1) : file;
  const { pipeline, problems } = parsePipeline(text, { withoutSeals: true });
  for (const problem of problems) terminal.tell(`${formatProblem(problem, text, { file: shown })}\n`);
  if (!pipeline) {
    const first = problems.find(({ severity }) => severity === 'error');
    const message = first ? summarizeProblem(first, { file: shown }) : `${shown} cannot be read`;
    view.show({ kind: 'ended', outcome: 'config-error', message, exitCode: USAGE, durationMs: 0 });
    return undefined;
  }
  const variables = readVariables(terminal, flags.envFile);
  const filled = fillSecrets(
    addVariables(chooseSteps(pipeline, steps), variables),
    readVariables(terminal, flags.secretFile),
  );
  if (filled.missing.length > 0) {
    view.show({
      kind: 'warning',
      message: `no value for the secrets ${filled.missing.join(', ')}: pass them with --secret-file FILE, one NAME=value per line`,
    });
  }
  // A run reports only to the terminal.
  const { telegram: _telegram, ...silent } = filled.pipeline;
  return silent;
}

export interface Interruption {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Resolves at the second signal. */
  readonly second: Promise<void>;
  close(): void;
}

const NAMES = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * One Ctrl-C can arrive twice: the terminal sends it to the whole process group, and `npm run` forwards it. Nobody
 * presses a key twice within this time.
 */
const ECHO_MS = 100;

/** Listens for SIGINT, SIGTERM and SIGHUP. */
export function listenForSignals(source: EventEmitter = process, now: () => number = Date.now): Interruption {
  const first = new AbortController();
  const second = Promise.withResolvers<void>();
  let last: { name: string; at: number } | undefined;
  function onSignal(name: string): void {
    const isEcho = last?.name === name && now() - last.at < ECHO_MS;
    last = { name, at: now() };
    if (isEcho) return;
    if (first.signal.aborted) second.resolve();
    else first.abort();
  }
  for (const name of NAMES) source.on(name, onSignal);
  return {
    signal: first.signal,
    second: second.promise,
    close(): void {
      for (const name of NAMES) source.off(name, onSignal);
    },
  };
}
