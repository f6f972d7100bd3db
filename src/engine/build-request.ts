import type { Build, BuildLinks, BuildState, Ending, Reporter, Trust } from '../build/index.ts';
import type { Repository } from '../forges/forge.ts';
import type { ParsedPipeline } from '../pipeline/index.ts';
import type { JsonObject, Notify } from '../pipeline/pipeline.ts';
import type { Purpose } from '../sealing/index.ts';
import type { Cluster } from './cluster.ts';
import type { ConnectionPool, StepLimits } from '../agent/index.ts';

/** A build to run. Until the forge has proven it, everything in it is only what a webhook says. */
export interface BuildRequest {
  readonly build: Build;
  readonly repository: Repository;
  /** The hook's key was sealed with an old key of this c3. */
  readonly isOldKey: boolean;
  /** A c3 that died began this build: it continues from what its Pod holds. */
  readonly isResumed: boolean;
  /** Aborting cancels the build; with {@link Superseded} as the reason, a newer build takes its place. `finally` still runs. */
  readonly signal: AbortSignal;
  /** Aborting also ends the wait for `finally`. */
  readonly haltSignal?: AbortSignal;
}

/** A build whose commit and ref the forge has proven. */
export type ProvenBuild = Build & { readonly trust: Trust };

export interface BuildDependencies {
  /** Opens a sealed value of this repository. @throws {C3Error} SEALED_INVALID */
  open(token: string, purpose: Purpose): Promise<{ plaintext: string; isOldKey: boolean }>;
  /** @throws {C3Error} KUBECONFIG_INVALID */
  openCluster(kubeconfig: string): Omit<Cluster, 'findWorkspace'>;
  /** Makes the addresses of the build's page. Called once, with the proven build. Default: there is no page. */
  readonly createLinks?: (build: ProvenBuild) => Promise<BuildLinks>;
  /** Told of every state, from the very first. */
  readonly onState?: (state: BuildState) => void;
  /** Told once that the work is done and the Pod given back: what is left is to report it, which may take long. */
  readonly onOver?: (ending: Ending) => void;
  /** What the operator does not allow of a job, each in a sentence. */
  checkJob(manifest: JsonObject): readonly string[];
  /** Cancels the older builds of this one's ref. */
  cancelPrevious(): void;
  /** What in them no output may show, besides the token of the forge and the secrets of the steps. Default: nothing. */
  readonly listSecrets?: (opened: { kubeconfig: string; telegram: string | undefined }) => readonly string[];
  /** Reporters of this build; `telegram`: what c3.yaml says of it, if it was read and says anything. @throws {C3Error} TELEGRAM_INVALID */
  openReporter(request: BuildRequest, telegram: TelegramOrder | undefined): Reporter;
  /** One for the process. */
  readonly lines: ConnectionPool;
  now(): number;
  /** Told of what no report could carry. */
  onFault(error: unknown): void;
  readonly limits: BuildLimits;
  /** How c3.yaml is read. Default {@link parsePipeline}; whoever runs a part of it, or without its seals, has another way. */
  readonly parse?: (text: string) => ParsedPipeline;
  /** Told of what a step writes, masked, at once and in order. `index` is that of `BuildState.steps`. */
  readonly onOutput?: (index: number, bytes: Uint8Array) => void;
}

/** What c3.yaml says of Telegram. */
export interface TelegramOrder {
  /** Opened; undefined: the operator's. */
  readonly destination: string | undefined;
  readonly notify: Notify;
  /** Whether the log of the step that failed the build is sent. */
  readonly log: boolean;
}

export interface BuildLimits extends StepLimits {
  /** How long a new Pod may take to start. */
  readonly startTimeoutMs: number;
}
