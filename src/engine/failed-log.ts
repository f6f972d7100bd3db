import { copyLog, type PartReader } from '../agent/index.ts';
import type { BuildState, FailedLog, LogCopyOptions, StepState } from '../build/index.ts';
import { MASK_REACH_BYTES, type Masking } from '../sealing/index.ts';

/** The log that the newest attempt of a step has left in the workspace. */
export interface WrittenLog {
  readonly container: string;
  readonly stepId: string;
  /** Its size, raw. */
  readonly bytes: number;
}

export interface FailedLogOptions {
  /** Of the build that has ended. */
  readonly state: BuildState;
  /** By the index of the step. */
  readonly logs: ReadonlyMap<number, WrittenLog>;
  readonly reader: PartReader;
  readonly masking: Masking;
  readonly signal: AbortSignal;
}

/**
 * Opens the log of the first step whose failure failed the build. Returns undefined if there is none, or if its log
 * is empty.
 */
export function openFailedLog(options: FailedLogOptions): FailedLog | undefined {
  const { state, logs, signal } = options;
  const index = state.steps.findIndex(hasFailed);
  const [step, log] = [state.steps[index], logs.get(index)];
  if (step === undefined || log === undefined || log.bytes === 0) return undefined;
  return {
    step: step.name,
    bytes: log.bytes,
    copy: (onBytes, copyOptions) => copyMasked({ ...options, log }, onBytes, copyOptions),
    signal,
  };
}

function hasFailed({ phase, isAllowed }: StepState): boolean {
  return !isAllowed && (phase.kind === 'failed' || phase.kind === 'timed-out' || phase.kind === 'lost');
}

async function copyMasked(
  { log, reader, masking }: FailedLogOptions & { readonly log: WrittenLog },
  onBytes: (bytes: Uint8Array) => Promise<void> | void,
  { maxBytes, signal }: LogCopyOptions,
): Promise<boolean> {
  const cut = Math.max(0, log.bytes - maxBytes);
  // The bytes before the cut are read too, and not passed on: a secret is not found by its end alone.
  const offset = Math.max(0, cut - MASK_REACH_BYTES);
  const masker = masking.createMasker(cut - offset);
  async function pass(bytes: Uint8Array): Promise<void> {
    if (bytes.length > 0) await onBytes(bytes);
  }
  try {
    const reading = await copyLog(reader, {
      container: log.container,
      stepId: log.stepId,
      offset,
      signal,
      isAwaited: () => false,
      isOver: () => true,
      onBytes: async (raw) => await pass(masker.push(raw)),
    });
    if (reading.kind !== 'whole') return false;
    await pass(masker.flush());
    return true;
  } catch {
    // The receiver needs no more bytes.
    return false;
  }
}
