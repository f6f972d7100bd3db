import type { BuildState } from '../build/index.ts';
import { toMessage } from '../errors.ts';
import type { Masking } from '../sealing/index.ts';
import type { BuildView, LineReader, LogCopier, LogLine, LogRequest, StepRun } from './build-view.ts';
import { copyLog, followParts, type LogReading, type PartReader } from '../agent/index.ts';
import { toStepId, yieldToEventLoop } from '../engine/index.ts';
import { createLogLines, toLeadIn, type PlacedLine } from './log-lines.ts';
import { maskShownLines, maskShownPartial } from '../terminal/shown-text.ts';

/** A build as a reader sees it, and the access to its logs. */
export interface SeenBuild extends Pick<BuildView, 'state' | 'isLed' | 'changes' | 'close'> {
  /** Called for each log. Never rejects. */
  openLogs(): Promise<LogSource | { readonly kind: 'failed'; readonly message: string }>;
  now(): number;
}

export interface LogSource {
  readonly kind: 'open';
  readonly reader: PartReader;
  /** What no line may show. */
  readonly masking: Masking;
}

type OpenedLog = LogSource & { readonly container: string; readonly signal: AbortSignal };

/** Creates the view of a build: its state, and its logs in the Pod. */
export function createBuildView(build: SeenBuild): BuildView {
  const closed = new AbortController();

  /** Opens the log of a step, once the step has begun, and reads it. */
  async function withLog(
    run: StepRun,
    { signal: wanted, to }: { readonly signal: AbortSignal; readonly to: number },
    read: (log: OpenedLog) => Promise<LogReading>,
  ): Promise<LogReading> {
    const signal = AbortSignal.any([wanted, closed.signal]);
    try {
      const hindrance = await findHindrance(build, run, signal);
      if (signal.aborted) return { kind: 'aborted' };
      if (hindrance !== undefined) return { kind: 'failed', to, message: hindrance };
      const opened = await build.openLogs();
      if (opened.kind === 'failed') return { ...opened, to };
      const container = build.state.steps[run.index]?.container ?? '';
      return await read({ ...opened, container, signal });
    } catch (error) {
      // The functions of a reader may throw.
      return { kind: 'failed', to, message: toMessage(error) };
    }
  }

  return {
    get state() {
      return build.state;
    },
    isLed: build.isLed,
    changes: (signal) => build.changes(AbortSignal.any([signal, closed.signal])),
    async readLog(request, reader) {
      const { signal } = reader;
      const read = async (log: OpenedLog): Promise<LogReading> => await readLines(build, log, { request, reader });
      return await withLog(request, { signal, to: request.from.offset }, read);
    },
    async copyLog(run, copier) {
      const { signal } = copier;
      return await withLog(run, { signal, to: 0 }, async (log) => await copyBytes(build, log, { run, copier }));
    },
    close(): void {
      closed.abort();
      build.close();
    },
  };
}

/**
 * Returns why a step has no log; undefined if it may have one. Waits for a step that has not started, if this process
 * runs its build.
 */
async function findHindrance(build: SeenBuild, run: StepRun, signal: AbortSignal): Promise<string | undefined> {
  let last = build.state;
  // The journal may be incomplete if the build continues, or if its c3 process ended. Its Pod has more.
  if (!build.isLed && last.phase.kind !== 'ended' && last.steps[run.index]) return undefined;
  for await (const state of build.changes(signal)) {
    last = state;
    if (!isAwaited(state, run)) break;
  }
  return describeAbsence(last, run);
}

function isAwaited(state: BuildState, { index, attempt }: StepRun): boolean {
  const step = state.steps[index];
  if (state.phase.kind === 'ended') return false;
  return step === undefined ? state.steps.length === 0 : step.phase.kind === 'pending' || step.attempt < attempt;
}

function describeAbsence({ steps }: BuildState, { index, attempt }: StepRun): string | undefined {
  const step = steps[index];
  if (!step) return 'the build has no such step';
  if (step.phase.kind === 'pending' || step.phase.kind === 'skipped') return `step "${step.name}" did not run`;
  return step.attempt < attempt ? `step "${step.name}" was not tried so often` : undefined;
}

/** While this process leads the build, a step that runs may not have begun to write. */
function watchEnd(build: SeenBuild): { isAwaited(): boolean; isOver(): boolean } {
  const isOver = (): boolean => build.state.phase.kind === 'ended';
  return { isOver, isAwaited: () => build.isLed && !isOver() };
}

/** How much of a part becomes lines at a time: lines take many times the memory of their bytes. */
const SLICE_BYTES = 32_768;

function* toSlices(bytes: Uint8Array, signal: AbortSignal): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length && !signal.aborted; at += SLICE_BYTES) yield bytes.subarray(at, at + SLICE_BYTES);
}

interface LineOptions {
  readonly request: LogRequest;
  readonly reader: LineReader;
}

async function readLines(build: SeenBuild, log: OpenedLog, { request, reader }: LineOptions): Promise<LogReading> {
  const { index, attempt, from } = request;
  const { container, signal } = log;
  const stepId = toStepId(index, attempt);
  const lines = createLogLines(from, log.masking);
  const toSeconds = await createStamp(build, log, request);
  let partial = '';

  async function deliver(): Promise<void> {
    for (let slice = lines.drain(); slice.lines.length > 0; slice = lines.drain()) {
      await yieldToEventLoop();
      if (signal.aborted) return;
      const shown = maskShownLines(slice.lines, log.masking);
      const told = slice.lines.map((line, index): LogLine => ({ text: shown[index] ?? '', seconds: toSeconds(line) }));
      await reader.onLines(told, slice.end);
      partial = '';
    }
  }
  async function reportPartial(): Promise<void> {
    const now = maskShownPartial(lines.partial(), log.masking);
    if (now === partial) return;
    partial = now;
    await reader.onPartial(partial);
  }

  return await followParts(log.reader, {
    container,
    stepId,
    offset: toLeadIn(from),
    signal,
    within: reader.within,
    ...watchEnd(build),
    async onPart(part, isCaughtUp): Promise<void> {
      if (part.skipped) {
        lines.breakOff();
        await deliver();
        if (signal.aborted) return;
        reader.onCut(part.skipped.to - part.skipped.from);
        lines.goOn(part.skipped.to);
      }
      for (const slice of toSlices(part.bytes, signal)) {
        lines.push(slice);
        await deliver();
      }
      if (part.isLast) lines.end();
      await deliver();
      if (isCaughtUp) await reportPartial();
    },
  });
}

/**
 * Creates a function that returns when a line was written. A line that the watch has not recorded was written in the
 * last second of the step, or in the current second.
 */
async function createStamp(
  build: SeenBuild,
  { reader, container }: OpenedLog,
  { index, attempt }: StepRun,
): Promise<(line: PlacedLine) => number | undefined> {
  const told = await reader.readFiles(container, `${toStepId(index, attempt)}.times`);
  const times = readLogTimes(told.kind === 'answered' ? told.value.lines : []);
  function findLast(): number | undefined {
    const step = build.state.steps[index];
    if (step?.startedAt === undefined || step.attempt !== attempt) return undefined;
    const end = step.endedAt ?? (build.isLed ? build.now() : undefined);
    return end === undefined ? undefined : Math.max(0, Math.floor((end - step.startedAt) / 1000));
  }
  return ({ offset }) => times.find(offset) ?? findLast();
}

interface CopyOptions {
  readonly run: StepRun;
  readonly copier: LogCopier;
}

async function copyBytes(build: SeenBuild, log: OpenedLog, { run, copier }: CopyOptions): Promise<LogReading> {
  const masker = log.masking.createMasker();
  async function send(bytes: Uint8Array): Promise<void> {
    if (bytes.length > 0) await copier.onBytes(bytes);
  }
  const reading = await copyLog(log.reader, {
    container: log.container,
    stepId: toStepId(run.index, run.attempt),
    offset: 0,
    signal: log.signal,
    ...watchEnd(build),
    onBytes: async (bytes) => await send(masker.push(bytes)),
  });
  if (reading.kind === 'whole') await send(masker.flush());
  return reading;
}

/** When each part of a step's log was written, as the watch in its container noted it (agent/shell/watch.sh). */
export interface LogTimes {
  /**
   * Finds how many whole seconds after the step's start the byte at an offset of the raw log was written. Returns
   * undefined for a byte that was written in the last second that is noted, or later.
   */
  find(offset: number): number | undefined;
}

/**
 * Reads notes of the form `SECONDS BYTES`: the log's size after so many seconds of the step. Every program in the
 * container can write them, so notes that make no sense are ignored (A12).
 */
export function readLogTimes(lines: readonly string[]): LogTimes {
  const notes: { readonly seconds: number; readonly size: number }[] = [];
  for (const line of lines) {
    const [, seconds, size] = /^(\d{1,9}) (\d{1,15})$/.exec(line) ?? [];
    const last = notes.at(-1);
    const note = { seconds: Number(seconds), size: Number(size) };
    // A log that was emptied starts again; its offsets go on.
    if (size !== undefined && (!last || (note.seconds > last.seconds && note.size > last.size))) notes.push(note);
  }
  return {
    find(offset) {
      let [low, high] = [0, notes.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((notes[middle]?.size ?? 0) > offset) high = middle;
        else low = middle + 1;
      }
      // The watch notes a second when it is over.
      const found = notes[low];
      return found && Math.max(0, found.seconds - 1);
    },
  };
}
