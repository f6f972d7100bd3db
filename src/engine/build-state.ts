/** What is known of a build at one moment: what reporters render. Immutable; each change makes a new one. Times are epoch milliseconds. */
export interface BuildState {
  readonly id: string;
  readonly source: BuildSource;
  readonly phase: BuildPhase;
  /** Its end is what was noted in its Pod, where the build could write too, and the forge does not bear it out. */
  readonly isUnconfirmed?: true;
  /** Empty until c3.yaml is understood. */
  readonly steps: readonly StepState[];
  /** `c3.yaml:3:12 warning: …`, one text a problem; never a reason to fail. */
  readonly warnings: readonly string[];
  /** Whether the Pod was already there; undefined until it is known. */
  readonly isWarm: boolean | undefined;
  /** How the build before this one ended, of the same ref, as the forge tells; undefined: there was none, or it is not known. */
  readonly previous: 'passed' | 'failed' | undefined;
  /** Where people see it; undefined until the forge has confirmed the push, and where c3 has no page for it. */
  readonly links: BuildLinks | undefined;
  readonly startedAt: number;
  readonly endedAt: number | undefined;
}

/** Addresses of the build page. Whoever knows one has its right; in a Pod nobody may find them. */
export interface BuildLinks {
  /** To look. May be public: a commit status shows it. */
  readonly look: string;
  /** To look, to cancel, to run again. */
  readonly control: string;
}

export interface BuildSource {
  /** `host/owner/name`. */
  readonly scope: string;
  readonly repositoryUrl: string;
  readonly refKind: 'branch' | 'tag';
  readonly refName: string;
  readonly sha: string;
  readonly commitUrl: string;
  readonly subject: string;
  readonly author: string;
}

export type BuildPhase =
  | { readonly kind: 'queued' }
  /** Before the first step; `detail` says what is waited for: "pulling image …", "another build of this repository". */
  | { readonly kind: 'preparing'; readonly detail: string }
  | { readonly kind: 'running' }
  | { readonly kind: 'ended'; readonly ending: Ending };

/** How a build ended. None is ever reported as another. `message`: the sentence a user needs. */
export type Ending =
  /** `allowed`: names of the steps that failed and may, in order. */
  | { readonly kind: 'passed'; readonly allowed: readonly string[] }
  /** `when` leaves the whole build out; `message` is a clause: "branch "dev" does not match when.branch". */
  | { readonly kind: 'skipped'; readonly message: string }
  /** `message`: the cause alone, "exit code 3". */
  | { readonly kind: 'failed'; readonly step: string; readonly message: string }
  | { readonly kind: 'timed-out'; readonly message: string }
  | { readonly kind: 'cancelled'; readonly message: string }
  /** Cancelled for the sake of a newer build of the same ref. */
  | { readonly kind: 'superseded'; readonly message: string }
  /** c3.yaml, a sealed value in it, or the kubeconfig is wrong. `detail`: excerpt with caret, several lines. */
  | { readonly kind: 'config-error'; readonly message: string; readonly detail?: string }
  /** The forge did not confirm the push; nothing was opened, nothing ran. */
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'infrastructure-error'; readonly message: string };

export interface StepState {
  readonly name: string;
  readonly container: string;
  readonly phase: StepPhase;
  /** From 1; greater when it was run again after it failed. Times and tail are the newest attempt's. */
  readonly attempt: number;
  /** Whether its failure does not fail the build. */
  readonly isAllowed: boolean;
  /** Equal for the steps of one parallel stage; undefined for a step alone. */
  readonly group: number | undefined;
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  /** The end of the output, masked, raw bytes decoded as UTF-8: at most 8 KiB, cut at a line's start. */
  readonly tail: string;
}

export type StepPhase =
  | { readonly kind: 'pending' }
  | { readonly kind: 'running' }
  | { readonly kind: 'passed' }
  /** Without an exit code it could not even start. */
  | { readonly kind: 'failed'; readonly exitCode: number | undefined }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'cancelled' }
  /** It was started, and how it ended cannot be known. */
  | { readonly kind: 'lost'; readonly message: string }
  /** `reason`: why `when` leaves it out; undefined when the build ended, or failed, before it. */
  | { readonly kind: 'skipped'; readonly reason: string | undefined };

/** Told of every change, in order, at once: `report` never blocks and never throws. `finish` resolves when the last state has arrived or been given up. */
export interface Reporter {
  report(state: BuildState): void;
  finish(): Promise<void>;
  /** There where logs of failed steps are wanted. Called once, after the last state; the Pod is kept until it resolves. Never rejects. */
  sendLog?(log: FailedLog): Promise<void>;
}

/** The log of the step that failed a build, still in its Pod. */
export interface FailedLog {
  /** Its name. */
  readonly step: string;
  /** As it was written. */
  readonly bytes: number;
  /**
   * Reads it from the Pod, masked, `maxBytes` of its end or a secret more; tells whether it came to the end. May be called again.
   * Never rejects; the promise of `onBytes` slows the reading.
   */
  copy(onBytes: (bytes: Uint8Array) => Promise<void> | void, options: LogCopyOptions): Promise<boolean>;
  /** Aborted: there is no more time for it. */
  readonly signal: AbortSignal;
}

export interface LogCopyOptions {
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}
