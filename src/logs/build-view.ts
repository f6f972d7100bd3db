import type { Build, BuildState, CommitStatus, ConfigProblem, ForgeUrls, ReadStatus } from '../build/index.ts';
import type { LogReading } from '../agent/index.ts';

/**
 * What a reader with a link to a build can see. While the build runs in this process, that is its current state.
 * Otherwise it is what the Pod and the forge have recorded. This file contains only types: `open-view.ts` creates
 * their values, and the page shows them.
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
export interface RunningBuild {
  /** The newest. */
  readonly state: BuildState;
  /**
   * Yields the current state, then each newer one, or only the newest of several. Ends after the last, or when
   * aborted.
   */
  changes(signal: AbortSignal): AsyncIterable<BuildState>;
}

export interface StepRun {
  /** Of `BuildState.steps`. */
  readonly index: number;
  /** From 1. */
  readonly attempt: number;
}

export interface LogRequest extends StepRun {
  readonly from: LogPosition;
}

/** A position between two lines of a log. */
export interface LogPosition {
  /** Bytes of the raw log before the line. */
  readonly offset: number;
  /** For a line that comes in pieces: how many of them came before. */
  readonly pieces: number;
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

/** UTF-16 units. */
export const MAX_LINE_CHARACTERS = 16_384;
