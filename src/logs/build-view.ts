import { copyLog, followParts, type LogReading, type PartReader } from '../agent/index.ts';
import type { Build, BuildState, CommitStatus, ConfigProblem, ForgeUrls, ReadStatus } from '../build/index.ts';
import { toStepId } from '../engine/index.ts';
import { toMessage } from '../errors.ts';
import { yieldToEventLoop } from '../limiter.ts';
import type { Masking } from '../sealing/index.ts';
import { maskShownLines, maskShownPartial } from '../terminal/shown-text.ts';
import { createLogLines, readLogTimes, toLeadIn, type LogPosition, type PlacedLine } from './log-lines.ts';

export type { LogPosition };

/**
 * What a reader with a link to a build can see. While the build runs in this process, that is its current state.
 * Otherwise it is what the Pod and the forge have recorded. `open-view.ts` opens it, and the page shows it.
 */
export type BuildLook =
  | { readonly kind: 'seen'; readonly view: BuildView }
  /** This process does not run the build, and no Pod has its logs. */
  | { readonly kind: 'outcome'; readonly outcome: BuildOutcome }
  /** The forge or the cluster did not answer. `message` is a sentence. */
  | { readonly kind: 'failed'; readonly message: string };

/** The outcome of a build according to the forge and to its c3.yaml. */
export interface BuildOutcome {
  readonly build: Build;
  readonly urls: ForgeUrls;
  /** The commit status of the build; undefined when the forge has none. */
  readonly status: (ReadStatus & Pick<CommitStatus, 'state'>) | undefined;
  /** Why there is no more to see: "its Pod was deleted, and its logs with it". */
  readonly message: string;
  /** The problems of c3.yaml, or the rules of the operator that it breaks. */
  readonly problems: readonly ConfigProblem[];
}

export interface BuildView {
  /** The newest. */
  readonly state: BuildState;
  /**
   * Whether this process leads the build, so that its state changes. False for a build that has not ended: no known
   * c3 leads it.
   */
  readonly isLed: boolean;
  /** Yields the current state, then each newer one, or only the newest of several. Ends after the last. */
  changes(signal: AbortSignal): AsyncIterable<BuildState>;
  /**
   * Reads the log of a step, masked, line by line, from a position to its end. While the step runs it reads lines as
   * they are written. Never rejects. The promises of the reader slow the reading, never the step.
   */
  readLog(log: LogRequest, reader: LineReader): Promise<LogReading>;
  /** Copies the whole log as bytes, masked. Never rejects. */
  copyLog(step: StepRun, copier: LogCopier): Promise<LogReading>;
  /** Ends everything that is read through it. */
  close(): void;
}

/** A build that this process leads, as a reader sees it. */
export type RunningBuild = Pick<BuildView, 'state' | 'changes'>;

export interface StepRun {
  /** The index in `BuildState.steps`. */
  readonly index: number;
  /** From 1. */
  readonly attempt: number;
}

export interface LogRequest extends StepRun {
  readonly from: LogPosition;
}

export interface LogLine {
  /**
   * Masked, without its line end, decoded as UTF-8, with all its control characters. A longer line comes in pieces of
   * {@link MAX_LINE_CHARACTERS}.
   */
  readonly text: string;
  /** Whole seconds after the step's start at which it was written. Undefined: not known. */
  readonly seconds: number | undefined;
}

export interface LineReader {
  /** Aborted: no more is wanted. */
  readonly signal: AbortSignal;
  /**
   * Fetches and handles a part of the log, at most 256 KiB, at once or when there is room for it. Default: at once.
   */
  readonly within?: <T>(work: () => Promise<T>) => Promise<T>;
  /** Gets whole lines, a few dozen KiB at a time. `end`: the position after them. */
  onLines(lines: readonly LogLine[], end: LogPosition): Promise<void> | void;
  /**
   * Gets the start of the next line, masked, as far as it is written. Empty: nothing. Called a few times a second at
   * most.
   */
  onPartial(text: string): Promise<void> | void;
  /** Called where so many bytes in the middle of a huge log are left out. Its end follows. */
  onCut(bytes: number): void;
}

export interface LogCopier {
  readonly signal: AbortSignal;
  onBytes(bytes: Uint8Array): Promise<void> | void;
}

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

interface OpenedLog extends LogSource {
  readonly container: string;
  readonly stepId: string;
  readonly signal: AbortSignal;
}

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
      return await read({ ...opened, container, stepId: toStepId(run.index, run.attempt), signal });
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
    readLog: async (request, reader) =>
      await withLog(
        request,
        { signal: reader.signal, to: request.from.offset },
        async (log) => await readLines(build, log, { request, reader }),
      ),
    copyLog: async (run, copier) =>
      await withLog(run, { signal: copier.signal, to: 0 }, async (log) => await copyBytes(build, log, copier)),
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
  if (step.phase.kind === 'skipped') return `step "${step.name}" was skipped`;
  if (step.phase.kind === 'pending') return `step "${step.name}" has not started`;
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

async function readLines(
  build: SeenBuild,
  log: OpenedLog,
  { request, reader }: { readonly request: LogRequest; readonly reader: LineReader },
): Promise<LogReading> {
  const { container, stepId, signal } = log;
  const lines = createLogLines(request.from, log.masking);
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
    offset: toLeadIn(request.from),
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
  { reader, container, stepId }: OpenedLog,
  { index, attempt }: StepRun,
): Promise<(line: PlacedLine) => number | undefined> {
  const told = await reader.readFiles(container, `${stepId}.times`);
  const findTime = readLogTimes(told.kind === 'answered' ? told.value.lines : []);
  function findLast(): number | undefined {
    const step = build.state.steps[index];
    if (step?.startedAt === undefined || step.attempt !== attempt) return undefined;
    const end = step.endedAt ?? (build.isLed ? build.now() : undefined);
    return end === undefined ? undefined : Math.max(0, Math.floor((end - step.startedAt) / 1000));
  }
  return ({ offset }) => findTime(offset) ?? findLast();
}

async function copyBytes(build: SeenBuild, log: OpenedLog, copier: LogCopier): Promise<LogReading> {
  const masker = log.masking.createMasker();
  async function send(bytes: Uint8Array): Promise<void> {
    if (bytes.length > 0) await copier.onBytes(bytes);
  }
  const reading = await copyLog(log.reader, {
    container: log.container,
    stepId: log.stepId,
    offset: 0,
    signal: log.signal,
    ...watchEnd(build),
    onBytes: async (bytes) => await send(masker.push(bytes)),
  });
  if (reading.kind === 'whole') await send(masker.flush());
  return reading;
}
