import type { EventKind } from '../build/index.ts';

/** The content of c3.yaml as pure data. parse-pipeline.ts returns it; all other rooms use it. */
export interface Pipeline {
  /** The kubeconfig. */
  readonly k8s: SealedValue;
  /** Without it, the operator's settings decide where builds are reported. */
  readonly telegram?: Telegram;
  readonly job: Job;
  /** In order. The build ends at the first stage that fails and is not allowed to. */
  readonly steps: readonly [Stage, ...Stage[]];
  /** Run after the steps, whether they passed or failed. */
  readonly finally: readonly Stage[];
  /** Without it, every push to a branch and every tag starts a build. */
  readonly when?: Condition;
  /** Variables of every step. The names are valid shell names. */
  readonly env: Readonly<Record<string, string>>;
  /** Sealed variables of every step by name (purpose `secret:NAME`). */
  readonly secrets: Readonly<Record<string, SealedValue>>;
  /** Limits the whole build, measured from its first step. Default 1 h. */
  readonly timeoutMs: number;
  readonly concurrency: Concurrency;
  /** How the commit gets into the Pod. `false`: c3 checks nothing out. */
  readonly checkout: Checkout | false;
  readonly pod: PodLife;
}

/** A value that c3 sealed, not yet opened. */
export interface SealedValue {
  readonly value: string;
  /** The refs in whose builds it opens: `refs/heads/main`, `refs/tags/v*`. Without it, it opens in every build. */
  readonly ref?: string;
}

/** How a build is reported in Telegram. */
export interface Telegram {
  /** The destination. Default: the operator's. */
  readonly to?: SealedValue;
  /** Default `failure`. */
  readonly notify: Notify;
  /** Whether the log of the step that failed the build is sent as a file. Default false. */
  readonly log: boolean;
}

/**
 * Which messages make a sound. `failure`: each build that fails, and the first that passes after it. `change`: a
 * build whose result differs from the one before it. `always`: the end of every build.
 */
export type Notify = 'failure' | 'change' | 'always' | 'never';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

export interface Job {
  /** The Pod, verbatim. */
  readonly manifest: JsonObject;
  /** `metadata.name`. */
  readonly name: string;
  /** Names of `spec.containers`, in order. */
  readonly containers: readonly string[];
}

export type Stage =
  | { readonly kind: 'step'; readonly step: Step }
  /** The steps start together. The stage ends when all of them have ended. */
  | { readonly kind: 'parallel'; readonly steps: readonly [Step, ...Step[]] };

export interface Step {
  /** What people see: `name`, or else the container. */
  readonly name: string;
  readonly container: string;
  readonly run:
    | { readonly kind: 'script'; readonly text: string }
    | { readonly kind: 'argv'; readonly argv: readonly string[] };
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** How many times c3 runs the step again after a failure. Default 0. */
  readonly retry: number;
  /** Whether the build can pass when this step fails. Default false. */
  readonly allowFailure: boolean;
  /** Without it, the step runs for every event while no earlier step has failed; in `finally`, it always runs. */
  readonly when?: Condition;
  /** Line of the step in c3.yaml, from 1. */
  readonly line: number;
}

/** Holds when all of its properties hold. */
export interface Condition {
  readonly event?: readonly EventKind[];
  /** Globs in order; `!` excludes. */
  readonly branch?: readonly string[];
  readonly tag?: readonly string[];
  /** Globs for the target branch of a pull request. */
  readonly base?: readonly string[];
  /** Whether the pull request is a draft. */
  readonly draft?: boolean;
  /** Globs for the paths that the push or the pull request changed. One matching path is enough. */
  readonly path?: readonly string[];
  /** The result of the earlier steps. Only in the condition of a step. */
  readonly status?: readonly ('success' | 'failure')[];
}

export interface Concurrency {
  /** Whether a build cancels older builds of the same ref. Default false. */
  readonly cancelPrevious: boolean;
}

export interface Checkout {
  /** Default `git`. */
  readonly container: string;
  /** Absolute. Default `/c3/project`. */
  readonly path: string;
  /** How many commits of history to fetch. Default 50. */
  readonly depth: number;
  /** Default false: a step can do it. */
  readonly submodules: boolean;
  /** Whether c3 cleans a warm work tree before the build. Default true. */
  readonly clean: boolean;
  /** Whether the steps of `container` get git's credential for the forge. Default true. */
  readonly credential: boolean;
}

export interface PodLife {
  /** Default true. */
  readonly reuse: boolean;
  /** Whether unprotected branches use one Pod. Default true. */
  readonly share: boolean;
  /** Default 1 h. */
  readonly idleMs: number;
  /** Default 12 h. */
  readonly maxAgeMs: number;
  /** How long a new Pod may take to start. Default 10 min: an autoscaler may need minutes to add a node. */
  readonly startTimeoutMs: number;
}

/**
 * An error or a warning about c3.yaml. Lines and columns count from 1; columns are UTF-16 units. Its sentences quote
 * keys and the names of containers and volumes, and no other value: any other value can be a secret.
 */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** One sentence, lower case, no full stop: `unknown key "wen"`. */
  readonly message: string;
  /** What to do: `did you mean "when"?`. */
  readonly hint?: string;
  readonly line: number;
  readonly column: number;
  /** Exclusive, on the same line. */
  readonly endColumn: number;
}

/** `pipeline` is defined exactly when no problem is an error. Problems are sorted by line and column. */
export interface ParsedPipeline {
  readonly pipeline?: Pipeline;
  readonly problems: readonly Problem[];
}
