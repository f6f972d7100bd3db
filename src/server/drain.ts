import { setTimeout as sleep } from 'node:timers/promises';
import { toLogFields, type Build } from '../build/index.ts';
import { untilAborted } from '../limiter.ts';
import type { Log } from '../log.ts';

interface RunningBuild {
  readonly build: Build;
  readonly cancel: AbortController;
  readonly over: PromiseWithResolvers<void>;
  readonly isOver: boolean;
  readonly ended: Promise<void>;
}

const NOT_REPORTED =
  'the build has ended, but its reports are not delivered yet; c3 tries for up to ten minutes, and a second signal ends c3 without them';

export interface DrainOptions {
  readonly log: Log;
  /** Aborting cancels all builds. */
  readonly signal: AbortSignal;
  /** Aborting also ends the wait for `finally`. */
  readonly halt: AbortSignal;
  /** How long a cancelled build's reports are awaited, in milliseconds. */
  readonly patience: number;
}

/** Resolves when every build that runs now has ended and is reported, or given up. */
export async function drain(running: ReadonlyMap<string, RunningBuild>, options: DrainOptions): Promise<void> {
  const { log, signal } = options;
  function cancelAll(): void {
    for (const { cancel } of running.values()) cancel.abort();
  }
  if (signal.aborted) cancelAll();
  signal.addEventListener('abort', cancelAll, { once: true });
  const builds = [...running.values()];
  for (const { build, isOver } of builds) if (isOver) log.warn(toLogFields(build), NOT_REPORTED);
  await Promise.all(builds.map(async (build) => await untilGivenUp(build, options)));
  for (const { build } of running.values()) log.warn(toLogFields(build), 'gave up the reports of the build');
}

/** Resolves when the build is reported; also some time after its end, if `signal` is aborted, or after `halt`. */
async function untilGivenUp({ over, ended }: RunningBuild, { signal, halt, patience }: DrainOptions): Promise<void> {
  async function giveUp(): Promise<void> {
    await untilAborted(Promise.all([over.promise, untilAborted(new Promise(() => {}), signal)]), halt);
    await sleep(patience);
  }
  await Promise.race([ended, giveUp()]);
}
