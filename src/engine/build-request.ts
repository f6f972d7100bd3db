import type { Push, Repository } from '../forges/forge.ts';
import type { ParsedPipeline } from '../pipeline/index.ts';
import type { JsonObject } from '../pipeline/pipeline.ts';
import type { Purpose } from '../sealing/index.ts';
import type { BuildSource, Reporter } from './build-state.ts';
import type { Cluster } from './cluster.ts';
import type { LinePool } from './line-pool.ts';
import type { StepLimits } from './step.ts';

/** A push whose webhook was verified: a hint, until the forge has confirmed it. */
export interface BuildRequest {
  readonly id: string;
  readonly source: BuildSource;
  readonly push: Push;
  readonly repository: Repository;
  /** The hook's key was sealed with an old key of this c3. */
  readonly isOldKey: boolean;
  /** It was begun before by a c3 that died: what its Pod knows of it is taken up. */
  readonly isResumed: boolean;
  /** Aborted: the build is cancelled; with {@link Superseded} as the reason, for the sake of a newer one. `finally` still runs. */
  readonly signal: AbortSignal;
  /** Aborted: `finally` is not waited for either. */
  readonly haltSignal?: AbortSignal;
}

export interface BuildDependencies {
  /** Opens a sealed value of this repository. @throws {C3Error} SEALED_INVALID */
  open(token: string, purpose: Purpose): Promise<{ plaintext: string; isOldKey: boolean }>;
  /** @throws {C3Error} KUBECONFIG_INVALID */
  openCluster(kubeconfig: string): Cluster;
  /** What the operator does not allow of a job, each in a sentence. */
  checkJob(manifest: JsonObject): readonly string[];
  /** Cancels the older builds of this one's ref. */
  cancelPrevious(): void;
  /** What in them no output may show, besides the token of the forge and the secrets of the steps. Default: nothing. */
  readonly listSecrets?: (opened: { kubeconfig: string; telegram: string | undefined }) => readonly string[];
  /** Reporters of this build; `telegram`: the project's own destination, opened, else the operator's. @throws {C3Error} TELEGRAM_INVALID */
  openReporter(request: BuildRequest, telegram: string | undefined): Reporter;
  /** One for the process. */
  readonly lines: LinePool;
  now(): number;
  /** Told of what no report could carry. */
  onFault(error: unknown): void;
  readonly limits: BuildLimits;
  /** How c3.yaml is read. Default {@link parsePipeline}; whoever runs a part of it, or without its seals, has another way. */
  readonly parse?: (text: string) => ParsedPipeline;
  /** Told of what a step writes, masked, at once and in order. `index` is that of `BuildState.steps`. */
  readonly onOutput?: (index: number, bytes: Uint8Array) => void;
}

export interface BuildLimits extends StepLimits {
  /** How long a new Pod may take to start. */
  readonly startTimeoutMs: number;
}
