import type { BuildState, FailedLog, LogCopyOptions, StepState } from '../build/index.ts';
import { MASK_REACH_BYTES, type Masking } from '../sealing/index.ts';
import { type StepAgent, readLog } from '../agent/index.ts';

/** The log that the newest attempt of a step has left in the workspace. */
export interface WrittenLog {
  readonly container: string;
  readonly stepId: string;
  /** Raw. */
  readonly bytes: number;
}

export interface FailedLogOrder {
  readonly buildId: string;
  /** Of the build that has ended. */
  readonly state: BuildState;
  /** By the index of the step. */
  readonly logs: ReadonlyMap<number, WrittenLog>;
  /** A line into a container for the caller alone, who closes it. */
  openAgent(container: string): StepAgent;
  readonly masking: Masking;
  readonly signal: AbortSignal;
}

/** The log of the first step that failed and may not; undefined where there is none, or nothing in it. */
export function openFailedLog(order: FailedLogOrder): FailedLog | undefined {
  const { state, logs, signal } = order;
  const index = state.steps.findIndex(hasFailed);
  const [step, log] = [state.steps[index], logs.get(index)];
  if (step === undefined || log === undefined || log.bytes === 0) return undefined;
  return {
    step: step.name,
    bytes: log.bytes,
    copy: (onBytes, options) => copyLog({ ...order, log }, onBytes, options),
    signal,
  };
}

function hasFailed({ phase, isAllowed }: StepState): boolean {
  return !isAllowed && (phase.kind === 'failed' || phase.kind === 'timed-out' || phase.kind === 'lost');
}

async function copyLog(
  { buildId, log, openAgent, masking }: FailedLogOrder & { readonly log: WrittenLog },
  onBytes: (bytes: Uint8Array) => Promise<void> | void,
  { maxBytes, signal }: LogCopyOptions,
): Promise<boolean> {
  const stop = new AbortController();
  const cut = Math.max(0, log.bytes - maxBytes);
  // What is before the cut is read as well, and not handed on: a secret of which only the end is read is not known for one.
  const from = Math.max(0, cut - MASK_REACH_BYTES);
  const masker = masking.createMasker(cut - from);

  async function pass(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0 || stop.signal.aborted) return;
    try {
      await onBytes(bytes);
    } catch {
      stop.abort();
    }
  }

  const agent = openAgent(log.container);
  try {
    const reading = await readLog(
      agent,
      { buildId, stepId: log.stepId, from },
      { signal: AbortSignal.any([signal, stop.signal]), onOutput: (raw) => pass(masker.push(raw)) },
    );
    if (reading.kind !== 'whole') return false;
    await pass(masker.flush());
    return !stop.signal.aborted;
  } finally {
    agent.close();
  }
}
