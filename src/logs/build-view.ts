import type { Build, BuildState, CommitStatus, ConfigProblem, ForgeUrls, ReadStatus } from '../build/index.ts';
import type { LogReading } from '../agent/index.ts';

/**
 * What can be seen of a build by whoever has a link to it: while it runs in this process its state as it changes; of any other what
 * its Pod and the forge know. Types alone: `open-view.ts` makes one, the page shows it.
 */
export type BuildLook =
  | { readonly kind: 'seen'; readonly view: BuildView }
  /** Neither this process nor a Pod knows of it any more, or no Pod ever did. */
  | { readonly kind: 'outcome'; readonly outcome: BuildOutcome }
  /** The forge or the cluster would not tell, in a sentence. */
  | { readonly kind: 'failed'; readonly message: string };

/** What the forge knows of a build, and what can be worked out anew. */
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
  /** Whether this process leads the build, so that its state changes. False of one that has not ended: no c3 that is known here does. */
  readonly isLed: boolean;
  /** The state as it is, then each newer one, the newest only if several came meanwhile; ends after the last. */
  changes(signal: AbortSignal): AsyncIterable<BuildState>;
  /**
   * Reads the log of a step, masked, line by line, from a place to its end; while the step runs, as it is written. Never rejects.
   * The promises of the reader slow the reading, never the step.
   */
  readLog(log: LogRequest, reader: LineReader): Promise<LogReading>;
  /** The whole log as it was written, but for what is masked, as bytes. Never rejects. */
  copyLog(step: StepRun, copier: LogCopier): Promise<LogReading>;
  /** Ends what is read from it. */
  close(): void;
}

/** A build that this process leads, as whoever looks at it sees it. */
export interface RunningBuild {
  /** The newest. */
  readonly state: BuildState;
  /** The state as it is, then each newer one, the newest only if several came meanwhile; ends after the last, or when aborted. */
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

/** A place between two lines of a log. */
export interface LogPosition {
  /** Bytes of the raw log before the line. */
  readonly offset: number;
  /** Of that line, when it is too long for one: how many pieces of it came before. */
  readonly pieces: number;
}

export interface LogLine {
  /** Masked, without its line end, decoded as UTF-8, with all its control characters; a longer line comes in pieces of {@link MAX_LINE_CHARACTERS}. */
  readonly text: string;
  /** Seconds after the step's start at which it was written, to the second; undefined: not known. */
  readonly seconds: number | undefined;
}

export interface LineReader {
  /** Aborted: no more is wanted. */
  readonly signal: AbortSignal;
  /** Lets a part of the log, about a mebibyte, be fetched and handed over, now or when there is room for it; by default now. */
  readonly within?: <T>(work: () => Promise<T>) => Promise<T>;
  /** Whole lines, of a few dozen kibibytes at a time. `end`: the place after them, to go on from. */
  onLines(lines: readonly LogLine[], end: LogPosition): Promise<void> | void;
  /** What there is of the next line, masked, from its beginning; empty: nothing any more. At most a few times a second. */
  onPartial(text: string): void;
  /** So many bytes in the middle of a huge log are left out here; what comes next is its end. */
  onCut(bytes: number): void;
}

export interface LogCopier {
  readonly signal: AbortSignal;
  onBytes(bytes: Uint8Array): Promise<void> | void;
}

/** UTF-16 units. */
export const MAX_LINE_CHARACTERS = 16_384;
