import { isAbsolute, join } from 'node:path';
import { formatRef } from '../build/index.ts';
import { createConnectionPool, type ConnectionPool } from '../agent/index.ts';
import type { Cluster } from '../engine/index.ts';
import { C3Error, type ErrorCode } from '../errors.ts';
import { createClusterPool, type ClusterPool } from '../kube/index.ts';
import { formatProblem, parsePipeline, summarizeProblem, type Pipeline } from '../pipeline/index.ts';
import { chooseSteps } from './run/choose-steps.ts';
import { listenForSignals } from './run/listen-for-signals.ts';
import { openTarget, type Target, type TargetFlags } from './run/open-target.ts';
import { runAtChanges } from './run/run-at-changes.ts';
import { runOnce, toPipelineEvent, type EventFlags } from './run/run-build.ts';
import { CANCELLED, type View } from './run/run-event.ts';
import { createPodPrinter, formatPlan } from './run/show-plan.ts';
import { addVariables, fillSecrets, readVariables } from './run/variables.ts';
import { createView } from './run/view.ts';
import { openWorkingTree, type Snapshot, type WorkingTree } from './run/working-tree.ts';
import { tellError, type Terminal } from './terminal.ts';

export interface RunFlags extends TargetFlags, EventFlags {
  readonly envFile?: string;
  readonly secretFile?: string;
  readonly dryRun?: boolean;
  readonly watch?: boolean;
  readonly json?: boolean;
  readonly fresh?: boolean;
}

export interface RunArguments {
  /** `[FILE] [STEP…]`: the first is a file if it looks like one. */
  readonly words: readonly string[];
  /** Where the command was given. */
  readonly directory: string;
}

const DEFAULT_FILE = 'c3.yaml';

/** The user's own machine, the user's own kubeconfig: any address in it is meant. */
const ANY_ADDRESS = ['0.0.0.0/0', '::/0'];

/** Of what is no step's doing; a fault of c3 itself counts as the infrastructure's. */
const USAGE_CODES: readonly ErrorCode[] = ['USAGE_INVALID', 'KUBECONFIG_INVALID'];
const USAGE = 2;
const INFRASTRUCTURE = 3;

/**
 * `c3 run [FILE] [STEP…]`: runs c3.yaml for the working tree. SIGINT, SIGTERM and SIGHUP cancel the run; a second one ends the
 * command at once.
 */
export async function run(terminal: Terminal, { words, directory }: RunArguments, flags: RunFlags): Promise<number> {
  const interruption = listenForSignals();
  try {
    const work = runInTree(terminal, { words, directory, flags, signal: interruption.signal });
    return await Promise.race([work, interruption.second.then(() => CANCELLED)]);
  } catch (error) {
    if (interruption.signal.aborted) return CANCELLED;
    tellError(terminal, error);
    return error instanceof C3Error && USAGE_CODES.includes(error.code) ? USAGE : INFRASTRUCTURE;
  } finally {
    interruption.close();
  }
}

interface Request extends RunArguments {
  readonly flags: RunFlags;
  readonly signal: AbortSignal;
}

/** What outlives one run, with `--watch`. */
interface Session {
  readonly terminal: Terminal;
  readonly flags: RunFlags;
  readonly file: string;
  readonly steps: readonly string[];
  readonly tree: WorkingTree;
  readonly clusters: ClusterPool;
  readonly lines: ConnectionPool;
  /** Opened when first asked for. */
  target(): Promise<Target>;
}

async function runInTree(terminal: Terminal, { words, directory, flags, signal }: Request): Promise<number> {
  const [first = '', ...rest] = words;
  const isFile = /\.ya?ml$|\//.test(first);
  const tree = await openWorkingTree(directory, { ...terminal.env });
  const clusters = createClusterPool({ allowNets: ANY_ADDRESS });
  const lines = createConnectionPool();
  let target: Promise<Target> | undefined;
  const session: Session = {
    terminal,
    flags,
    file: isFile ? toPath(directory, first) : join(tree.root, DEFAULT_FILE),
    steps: isFile ? rest : words,
    tree,
    clusters,
    lines,
    target: () =>
      (target ??= openTarget(terminal, flags).catch((error: unknown) => {
        target = undefined; // with --watch it may be there the next time
        throw error;
      })),
  };
  try {
    if (flags.watch !== true) return await runNow(session, await tree.takeSnapshot(), signal);
    await runAtChanges({ terminal, tree, signal }, (snapshot, stop) => runNow(session, snapshot, stop));
    return CANCELLED;
  } finally {
    lines.close();
    await clusters.close();
    await target?.then((opened) => opened.close()).catch(() => {}); // whoever opened it has told
    await tree.close();
  }
}

async function runNow(session: Session, snapshot: Snapshot, signal: AbortSignal): Promise<number> {
  const { terminal, flags, tree, lines } = session;
  const view =
    flags.dryRun === true
      ? createWarner(terminal)
      : createView(terminal, { isJson: flags.json === true, now: Date.now });
  try {
    const asked = readPipeline(session, view);
    if (!asked) return USAGE;
    const event = await toPipelineEvent(flags, snapshot, tree);
    const order = { tree, snapshot, event, isFresh: flags.fresh === true, signal };
    if (flags.dryRun === true) {
      for (const line of formatPlan(asked, event)) terminal.print(line);
      const openCluster = (): Omit<Cluster, 'findWorkspace'> => createPodPrinter((text) => terminal.print(text));
      await runOnce({ ...order, pipeline: asked }, { view, openCluster, lines });
      return 0;
    }
    const target = await session.target();
    view.show({
      kind: 'started',
      sha: snapshot.sha,
      ref: formatRef(event.ref),
      changedFiles: snapshot.changedFiles,
      cluster: target.name,
    });
    const pipeline = { ...asked, k8s: target.kubeconfig };
    return await runOnce({ ...order, pipeline }, { view, openCluster: session.clusters.getCluster, lines });
  } finally {
    view.close();
  }
}

/** Standard output is the Pod's alone. */
function createWarner(terminal: Terminal): View {
  return {
    show(event): void {
      if (event.kind === 'warning') terminal.tell(`c3: warning: ${event.message}`);
    },
    close: () => {},
  };
}

/** The pipeline as it is to run; undefined when the file has errors, which were told. */
function readPipeline({ terminal, flags, file, steps, tree }: Session, view: View): Pipeline | undefined {
  let text: string;
  try {
    text = terminal.readFile(file);
  } catch (error) {
    throw new C3Error('USAGE_INVALID', `Cannot read "${file}"`, { cause: error, hint: 'name the file: c3 run FILE' });
  }
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
      message: `no value for the secrets ${filled.missing.join(', ')}: give them with --secret-file FILE, as NAME=value`,
    });
  }
  // Nobody is told of a run but who started it.
  const { telegram: _telegram, ...silent } = filled.pipeline;
  return silent;
}

function toPath(directory: string, path: string): string {
  return isAbsolute(path) ? path : join(directory, path);
}
