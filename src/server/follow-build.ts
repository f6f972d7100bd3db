import type { BuildState } from '../build/index.ts';
import { Semaphore } from '../limiter.ts';
import type { BuildView, LogLine, LogPosition, LogReading, StepRun } from '../logs/index.ts';
import { toPageSteps } from '../show/index.ts';

/** Receives everything new in a build. Its promises slow the reading, and must not reject. */
export interface BuildFollower {
  /** Where to begin in a log. `whole`: the log is known already. */
  from(run: StepRun): LogPosition | 'whole';
  onState(state: BuildState): Promise<void>;
  onLines(run: StepRun, lines: readonly LogLine[], end: LogPosition): Promise<void>;
  /** Receives the beginning of a line that has not ended; empty: there is none. */
  onPartial(run: StepRun, text: string): Promise<void>;
  onCut(run: StepRun, bytes: number): void;
  onRead(run: StepRun, reading: LogReading): void;
}

/**
 * Parts of logs that one reader holds at the same time, whatever the number of steps (A12). While one part is handed
 * over, the next one is fetched.
 */
const MAX_PARTS = 2;

/**
 * Follows the state of a build, and at the same time the log of each step that has begun: its newest attempt.
 * Resolves when there will be no other state and no other line. Never rejects.
 */
export async function followBuild(view: BuildView, follower: BuildFollower, signal: AbortSignal): Promise<void> {
  /** The newest attempt of each step that is being read, by the step's index. */
  const readings = new Map<number, { readonly attempt: number; readonly ended: Promise<void> }>();
  const parts = new Semaphore(MAX_PARTS);

  async function read(run: StepRun, before: Promise<void> | undefined): Promise<void> {
    await before;
    const from = follower.from(run);
    if (from === 'whole' || signal.aborted) return;
    const reading = await view.readLog(
      { ...run, from },
      {
        signal,
        within: (work) => parts.run(work),
        onLines: (lines, end) => follower.onLines(run, lines, end),
        onPartial: (text) => follower.onPartial(run, text),
        onCut: (bytes) => follower.onCut(run, bytes),
      },
    );
    follower.onRead(run, reading);
  }

  for await (const state of view.changes(signal)) {
    const shown = follower.onState(state);
    for (const [index, step] of toPageSteps(state.steps).entries()) {
      const { attempt } = step.state;
      const earlier = readings.get(index);
      if (!step.hasLog || earlier?.attempt === attempt) continue;
      readings.set(index, { attempt, ended: read({ index, attempt }, earlier?.ended) });
    }
    await shown;
  }
  await Promise.all([...readings.values()].map(({ ended }) => ended));
}
