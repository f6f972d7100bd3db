import type { Build } from './build.ts';

/**
 * The state of a build at one moment. Reporters render it. It is immutable: each change creates a new state. Times
 * are epoch milliseconds.
 */
export interface BuildState {
  readonly build: Build;
  /** Web pages of the forge. Both empty where there is no forge. */
  readonly urls: ForgeUrls;
  readonly phase: BuildPhase;
  /** The ending comes from the Pod, where the build itself could write, and the forge does not confirm it. */
  readonly isUnconfirmed?: true;
  /** Another c3 began the build, so steps may have run that this one does not know. */
  readonly isResumed?: true;
  /** Empty until c3.yaml has been read. */
  readonly steps: readonly StepState[];
  /** One text for each problem, `c3.yaml:3:12 warning: …`. A warning never fails a build. */
  readonly warnings: readonly string[];
  /** Whether the build reuses a warm Pod; undefined until this is known. */
  readonly isWarm: boolean | undefined;
  /** The result of the previous build of this ref, according to the forge. Undefined if the forge reports none. */
  readonly previous: 'passed' | 'failed' | undefined;
  /** Undefined until the forge has proven the push, and where c3 serves no page. */
  readonly links: BuildLinks | undefined;
  readonly startedAt: number;
  readonly endedAt: number | undefined;
}

/** Addresses of the build page. Knowing an address grants its right, so no Pod ever sees one. */
export interface BuildLinks {
  /** Grants the right to view. May be public: the commit status shows it. */
  readonly view: string;
  /** Grants the right to view, to cancel and to run again. */
  readonly control: string;
}

/** Addresses of the web pages for the repository and the commit. */
export interface ForgeUrls {
  readonly repository: string;
  readonly commit: string;
}

export type BuildPhase =
  | { readonly kind: 'queued' }
  /**
   * Before the first step. `detail` says why the build waits: "pulling image …", "another build of this repository".
   */
  | { readonly kind: 'preparing'; readonly detail: string }
  | { readonly kind: 'running' }
  | { readonly kind: 'ended'; readonly ending: Ending };

/** How a build ended. One ending is never reported as another. `message` is the sentence that a user needs. */
export type Ending =
  /** `allowed` names the steps whose failure is allowed and that failed, in order. */
  | { readonly kind: 'passed'; readonly allowed: readonly string[] }
  /**
   * `when` excludes the whole build. `message` is a clause: "branch "dev" does not match when.branch". Only a build
   * that its paths exclude has a commit status.
   */
  | { readonly kind: 'skipped'; readonly message: string; readonly by?: 'paths' }
  /** `message` is the cause only: "exit code 3". */
  | { readonly kind: 'failed'; readonly step: string; readonly message: string }
  | { readonly kind: 'timed-out'; readonly message: string }
  | { readonly kind: 'cancelled'; readonly message: string }
  /** A newer build of the same ref cancelled it. */
  | { readonly kind: 'superseded'; readonly message: string }
  /**
   * c3.yaml, a sealed value in it, or the kubeconfig is wrong. `message` is the first of `problems`, where there are
   * any.
   */
  | { readonly kind: 'config-error'; readonly message: string; readonly problems?: readonly ConfigProblem[] }
  /** A commit of a fork, which nobody with the right to push has approved. Nothing of it ran. */
  | { readonly kind: 'needs-approval'; readonly message: string }
  /** The forge did not confirm the push. c3 opened nothing and ran nothing. */
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'infrastructure-error'; readonly message: string };

/**
 * An error in c3.yaml, or a rule of the operator that its job breaks. Its texts quote no value of c3.yaml that can be
 * secret.
 */
export interface ConfigProblem {
  /** `c3.yaml:4:5`: the line and the column. Undefined for a rule. */
  readonly location?: string;
  /** The address of that line at the forge; empty where there is no forge. */
  readonly url?: string;
  readonly message: string;
  readonly hint?: string;
}

export interface StepState {
  readonly name: string;
  readonly container: string;
  /** What c3.yaml runs: masked, at most 4,000 characters. Undefined for the checkout. */
  readonly command?: string | undefined;
  readonly phase: StepPhase;
  /** Counts from 1; greater after a retry. Times and tail belong to the newest attempt. */
  readonly attempt: number;
  /** Whether the build passes although this step fails. */
  readonly isAllowed: boolean;
  /** Equal for the steps of one parallel stage; undefined for a single step. */
  readonly group: number | undefined;
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  /** The end of the output: masked, decoded as UTF-8, at most 8 KiB, starting at the beginning of a line. */
  readonly tail: string;
}

export type StepPhase =
  | { readonly kind: 'pending' }
  | { readonly kind: 'running' }
  | { readonly kind: 'passed' }
  /** Without an exit code, the step could not start. */
  | { readonly kind: 'failed'; readonly exitCode: number | undefined }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'cancelled' }
  /** The step started, but its ending is unknown. */
  | { readonly kind: 'lost'; readonly message: string }
  /** `reason` says why `when` excludes it; undefined when the build ended or failed before this step. */
  | { readonly kind: 'skipped'; readonly reason: string | undefined };

/**
 * Receives every state, in order. `report` never blocks and never throws. `finish` resolves when the last state was
 * delivered, or when the reporter has given up.
 */
export interface Reporter {
  report(state: BuildState): void;
  finish(): Promise<void>;
  /**
   * Present if the reporter sends the log of a failed step. Called once, after the last state. The Pod is kept until
   * the promise resolves. Never rejects.
   */
  sendLog?(log: FailedLog): Promise<void>;
}

/** The log of the step that failed a build. It is still in the Pod. */
export interface FailedLog {
  /** The step's name. */
  readonly step: string;
  /** The size of the raw log. */
  readonly bytes: number;
  /**
   * Reads the last `maxBytes` from the Pod, masked, plus at most the length of a secret. Resolves to whether it
   * reached the end. Can be called again. Never rejects. The promise of `onBytes` is back-pressure.
   */
  copy(onBytes: (bytes: Uint8Array) => Promise<void> | void, options: LogCopyOptions): Promise<boolean>;
  /** Aborted when the time for the log is over. */
  readonly signal: AbortSignal;
}

export interface LogCopyOptions {
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}
