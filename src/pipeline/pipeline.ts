/** c3.yaml, understood. Pure data: what parse-pipeline.ts returns and everything else works from. */
export interface Pipeline {
  /** Sealed kubeconfig, still closed. */
  readonly k8s: string;
  /** Sealed Telegram destination, still closed. */
  readonly telegram?: string;
  readonly job: Job;
  readonly steps: readonly [Step, ...Step[]];
  /** Environment of every step; names are valid shell names. */
  readonly env: Readonly<Record<string, string>>;
  /** Environment of every step, by name, still sealed (purpose `secret:NAME`). */
  readonly secrets: Readonly<Record<string, string>>;
  /** Of the whole build, from the first step on. Default 1 h. */
  readonly timeoutMs: number;
  /** How the revision gets into the Pod; `false`: not at all. */
  readonly checkout: Checkout | false;
  readonly pod: PodLife;
}

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

export interface Step {
  /** What people see: `name:`, or the container. */
  readonly name: string;
  readonly container: string;
  readonly run:
    | { readonly kind: 'script'; readonly text: string }
    | { readonly kind: 'argv'; readonly argv: readonly string[] };
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** Line of the step in c3.yaml, from 1. */
  readonly line: number;
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
