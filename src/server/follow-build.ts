import type { BuildState } from '../build/index.ts';
import type { BuildView, LineReader, LogLine, LogPosition, LogReading, StepRun } from '../logs/index.ts';
import { toPageSteps } from '../show/index.ts';

/** Told of everything that is new in a build, as it comes. Promises slow the reading. */
export interface BuildFollower {
  onState(state: BuildState): void;
  onLines(run: StepRun, lines: readonly LogLine[], end: LogPosition): Promise<void> | void;
  /** What there is of the next line; empty: nothing. */
  onPartial(run: StepRun, text: string): void;
  onCut(run: StepRun, bytes: number): void;
  onRead(run: StepRun, reading: LogReading): void;
}

export interface FollowOrder {
  /** Where to begin in a log; `whole`: it is known. */
  from(run: StepRun): LogPosition | 'whole';
  readonly signal: AbortSignal;
}

/**
 * Parts of logs, a mebibyte each, that are in hand at a time: as many as a reader who takes nothing keeps in memory, however many steps
 * the build has. No fewer, so that the log of one step may be fetched while another's is handed over.
 */
const MAX_PARTS = 2;

/**
 * Follows the state and the logs of all steps that have begun, and of each that begins, its newest attempt, at the same time. Resolves
 * when no state and no line is to come. Never rejects, unless the follower does.
 */
export async function followBuild(
  view: BuildView,
  follower: BuildFollower,
  { from, signal }: FollowOrder,
): Promise<void> {
  /** By the step's index: the newest attempt that is, or will be, read, and the end of that. */
  const readings = new Map<number, { readonly attempt: number; readonly ended: Promise<void> }>();

  const within = createSlots(MAX_PARTS);

  async function read(run: StepRun, before: Promise<void> | undefined): Promise<void> {
    await before;
    const place = from(run);
    if (place === 'whole' || signal.aborted) return;
    const reading = await view.readLog(
      { ...run, from: place },
      {
        signal,
        within,
        onLines: (lines, end) => follower.onLines(run, lines, end),
        onPartial: (text) => follower.onPartial(run, text),
        onCut: (bytes) => follower.onCut(run, bytes),
      },
    );
    follower.onRead(run, reading);
  }

  for await (const state of view.changes(signal)) {
    follower.onState(state);
    for (const [index, step] of toPageSteps(state.steps).entries()) {
      const { attempt } = step.state;
      const earlier = readings.get(index);
      if (!step.hasLog || earlier?.attempt === attempt) continue;
      const ended = read({ index, attempt }, earlier?.ended);
      // Its failure is told at the end.
      ended.catch(() => {});
      readings.set(index, { attempt, ended });
    }
  }
  await Promise.all([...readings.values()].map(({ ended }) => ended));
}

/** Lets so much work be under way at a time; what comes later waits, in order. */
function createSlots(count: number): NonNullable<LineReader['within']> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}
