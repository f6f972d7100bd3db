/** c3.yaml, understood. Pure data: what parse-pipeline.ts returns and everything else works from. */
export interface Pipeline {
  /** Sealed kubeconfig, still closed. */
  readonly k8s: string;
  /** Without one, builds are reported where the operator says, if anywhere. */
  readonly telegram?: Telegram;
  readonly job: Job;
  /** In order; the build ends with the first that fails and may not. */
  readonly steps: readonly [Stage, ...Stage[]];
  /** Run after the steps, however they ended. */
  readonly finally: readonly Stage[];
  /** Without one, every push to a branch and every tag is built. */
  readonly when?: Condition;
  /** Environment of every step; names are valid shell names. */
  readonly env: Readonly<Record<string, string>>;
  /** Environment of every step, by name, still sealed (purpose `secret:NAME`). */
  readonly secrets: Readonly<Record<string, string>>;
  /** Of the whole build, from the first step on. Default 1 h. */
  readonly timeoutMs: number;
  readonly concurrency: Concurrency;
  /** How the revision gets into the Pod; `false`: not at all. */
  readonly checkout: Checkout | false;
  readonly pod: PodLife;
}

/** How a build is reported in Telegram. */
export interface Telegram {
  /** Sealed destination, still closed; without one, the operator's. */
  readonly to?: string;
  /** Default `failure`. */
  readonly notify: Notify;
  /** Whether the log of the step that failed the build is sent as a file. Default false. */
  readonly log: boolean;
}

/**
 * When a message rings; all others are silent. `failure`: each build that fails, and the one that passes after it. `change`: a build
 * that ends otherwise than the one before it. `always`: the end of every build.
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
  /** Started together; the stage ends when all have ended. */
  | { readonly kind: 'parallel'; readonly steps: readonly [Step, ...Step[]] };

export interface Step {
  /** What people see: `name:`, or the container. */
  readonly name: string;
  readonly container: string;
  readonly run:
    | { readonly kind: 'script'; readonly text: string }
    | { readonly kind: 'argv'; readonly argv: readonly string[] };
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** How often it is run again after it failed. Default 0. */
  readonly retry: number;
  /** Its failure does not fail the build. Default false. */
  readonly allowFailure: boolean;
  /** Without one, it runs for every event, while no step before it has failed; in `finally`, always. */
  readonly when?: Condition;
  /** Line of the step in c3.yaml, from 1. */
  readonly line: number;
}

/** All that are given must hold. */
export interface Condition {
  readonly event?: readonly EventKind[];
  /** Globs in order; `!` excludes. */
  readonly branch?: readonly string[];
  readonly tag?: readonly string[];
  /** Globs over the paths that the push changed; one path that matches is enough. */
  readonly path?: readonly string[];
  /** Of the steps so far. Only at a step. */
  readonly status?: readonly ('success' | 'failure')[];
}

/** A push to a branch, or a tag. */
export type EventKind = 'push' | 'tag';

export interface Concurrency {
  /** Whether a build of a ref cancels the older ones of the same ref. Default false. */
  readonly cancelPrevious: boolean;
}

export interface Checkout {
  /** Default `git`. */
  readonly container: string;
  /** Absolute. Default `/c3/project`. */
  readonly path: string;
  /** Commits of history to fetch. Default 50. */
  readonly depth: number;
  /** Default false: a step may do it. */
  readonly submodules: boolean;
  /** Whether a warm work tree is cleaned before the build. Default true. */
  readonly clean: boolean;
}

export interface PodLife {
  /** Default true. */
  readonly reuse: boolean;
  /** Default 1 h. */
  readonly idleMs: number;
  /** Default 12 h. */
  readonly maxAgeMs: number;
}

/** One thing c3 has to say about a c3.yaml. Lines and columns count from 1; columns are UTF-16 units. */
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

/** `pipeline` is there exactly when no problem is an error. Problems are sorted by line and column. */
export interface ParsedPipeline {
  readonly pipeline?: Pipeline;
  readonly problems: readonly Problem[];
}
