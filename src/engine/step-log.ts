import { copyLog, type LogEnd, type PartReader, type StepResult } from '../agent/index.ts';
import type { BuildState, FailedLog, StepState } from '../build/index.ts';
import { MASK_REACH_BYTES, type Masking } from '../sealing/index.ts';
import { maskShown } from '../terminal/shown-text.ts';
import { readLine } from '../terminal/text.ts';

/** What leaves the Pod of the output of steps, always masked: the end, what is written now, the log of a failed step. */

/** The log that an attempt of a step has left in the workspace. */
export interface WrittenLog {
  readonly container: string;
  readonly stepId: string;
  /** Its size, raw. */
  readonly bytes: number;
}

/** What the logs of a build are read with. */
export interface LogContext {
  readonly reader: PartReader;
  readonly masking: Masking;
  /** What the newest attempts have left in the workspace, by the index of the step. */
  readonly logs: Map<number, WrittenLog>;
}

/** The output of an attempt, for a reader while the attempt runs. */
export interface Output {
  /** Adds output that is not in a log in the workspace. */
  push(bytes: Uint8Array): void;
  /** Resolves when all of it has been passed on. */
  finish(result: StepResult): Promise<void>;
}

/** The time limit for reading the log of a lost step. */
const LOST_LOG_MS = 5_000;

/** Passes on what an attempt writes, masked, until it is finished. */
export function openOutput(
  { container, stepId }: Omit<WrittenLog, 'bytes'>,
  { reader, masking }: LogContext,
  onOutput: (bytes: Uint8Array) => void,
): Output {
  let masker = masking.createMasker();
  function pass(bytes: Uint8Array): void {
    if (bytes.length > 0) onOutput(bytes);
  }
  const [ended, enough] = [new AbortController(), new AbortController()];
  const copied = copyLog(reader, {
    container,
    stepId,
    offset: 0,
    signal: enough.signal,
    wake: ended.signal,
    isAwaited: () => !ended.signal.aborted,
    isOver: () => ended.signal.aborted,
    onBytes: (bytes) => pass(masker.push(bytes)),
    onSkip(bytes) {
      // What the masker holds may be the start of a secret that continues in the gap.
      masker = masking.createMasker(MASK_REACH_BYTES);
      pass(Buffer.from(`\n… ${bytes} bytes left out …\n`));
    },
  });
  return {
    push: (bytes) => pass(masker.push(bytes)),
    async finish({ kind }): Promise<void> {
      ended.abort();
      const timer = kind === 'lost' ? setTimeout(() => enough.abort(), LOST_LOG_MS) : undefined;
      await copied;
      clearTimeout(timer);
      pass(masker.flush());
    },
  };
}

/**
 * Opens the log of the first step whose failure failed the build. Returns undefined if there is none, or if its log
 * is empty.
 */
export function openFailedLog(
  { reader, masking, logs }: LogContext,
  { steps }: BuildState,
  signal: AbortSignal,
): FailedLog | undefined {
  const index = steps.findIndex(hasFailed);
  const [step, log] = [steps[index], logs.get(index)];
  if (step === undefined || log === undefined || log.bytes === 0) return undefined;
  const { container, stepId, bytes } = log;
  return {
    step: step.name,
    bytes,
    signal,
    async copy(onBytes, { maxBytes, signal: wanted }): Promise<boolean> {
      const cut = Math.max(0, bytes - maxBytes);
      // The bytes before the cut are read too, and not passed on: a secret is not found by its end alone.
      const offset = Math.max(0, cut - MASK_REACH_BYTES);
      const masker = masking.createMasker(cut - offset);
      async function pass(masked: Uint8Array): Promise<void> {
        if (masked.length > 0) await onBytes(masked);
      }
      try {
        const reading = await copyLog(reader, {
          container,
          stepId,
          offset,
          signal: wanted,
          isAwaited: () => false,
          isOver: () => true,
          onBytes: async (raw) => await pass(masker.push(raw)),
        });
        if (reading.kind === 'whole') await pass(masker.flush());
        return reading.kind === 'whole';
      } catch {
        // The receiver needs no more bytes.
        return false;
      }
    },
  };
}

function hasFailed({ phase, isAllowed }: StepState): boolean {
  return !isAllowed && (phase.kind === 'failed' || phase.kind === 'timed-out' || phase.kind === 'lost');
}

/** How much of a step's output a build's state keeps for people to see. */
const MAX_TAIL_BYTES = 8 * 1024;

/** Converts the end of a log to the text that people see: masked, at most 8 KiB, and from the start of a line. */
export function toShownTail({ size, bytes }: LogEnd, masking: Masking): string {
  const shown = Math.min(bytes.length, MAX_TAIL_BYTES);
  const isCut = size > shown;
  // The cut may go through a secret. The bytes before the cut are masked too, and not shown: the rest of a secret
  // alone is not found.
  const cut = isCut ? Math.max(bytes.length - shown, MASK_REACH_BYTES) : 0;
  const masker = masking.createPieceMasker();
  const pieces = [...masker.push(bytes), ...masker.flush()].map((piece) => {
    if (piece.offset >= cut) return piece.bytes;
    return piece.isMask ? new Uint8Array(0) : piece.bytes.subarray(cut - piece.offset);
  });
  const text = Buffer.concat(pieces).toString('utf8');
  return maskShown(isCut ? fromLineStart(text) : text, masking);
}

/**
 * Drops the line in which the cut is. When there is only one line, drops its first characters: the cut may go through
 * a secret that was written in colours, which is not found by its rest.
 */
function fromLineStart(text: string): string {
  const start = text.indexOf('\n') + 1;
  if (start > 0 && start < text.length) return text.slice(start);
  const [line = '', ...rest] = text.split('\n');
  return [readLine(line).slice(MASK_REACH_BYTES), ...rest].join('\n');
}
