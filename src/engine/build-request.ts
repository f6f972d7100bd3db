import type { Build, BuildLinks, BuildState, Ending, Reporter, Trust } from '../build/index.ts';
import type { Repository } from '../forges/forge.ts';
import type { ParsedPipeline } from '../pipeline/index.ts';
import type { JsonObject, Telegram } from '../pipeline/pipeline.ts';
import type { Binding } from '../sealing/index.ts';
import type { Cluster } from './cluster.ts';
import type { Clones } from './delta.ts';
import { type ConnectionPool, DEFAULT_STEP_LIMITS, type StepLimits } from '../agent/index.ts';

/** A build to run. Until the forge has proven it, it is only the claim of a webhook. */
export interface BuildRequest {
  readonly build: Build;
  readonly repository: Repository;
  /** The hook's key was sealed with an old key of this c3. */
  readonly isOldKey: boolean;
  /** A c3 that died began this build: it continues from what its Pod holds. */
  readonly isResumed: boolean;
  /**
   * Aborting cancels the build. {@link Superseded} as the reason means that a newer build replaces it. `finally`
   * still runs.
   */
  readonly signal: AbortSignal;
  /** Aborting also ends the wait for `finally`. */
  readonly haltSignal?: AbortSignal;
}

/** A build whose commit and ref the forge has proven. */
export type ProvenBuild = Build & { readonly trust: Trust };

export interface BuildDependencies {
  /** Opens a sealed value of this repository. @throws {C3Error} SEALED_INVALID */
  open(token: string, binding: Omit<Binding, 'scope'>): Promise<{ plaintext: string; isOldKey: boolean }>;
  /** @throws {C3Error} KUBECONFIG_INVALID */
  openCluster(kubeconfig: string): Omit<Cluster, 'findWorkspace'>;
  /** Makes the addresses of the build's page. Called once, with the proven build. Default: there is no page. */
  readonly createLinks?: (build: ProvenBuild) => Promise<BuildLinks>;
  /** Gets every state, from the first. */
  readonly onState?: (state: BuildState) => void;
  /** Called once when the Pod is released. Only the last reports follow, which can be late. */
  readonly onOver?: (ending: Ending) => void;
  /** Lists what the operator does not allow in a job, a sentence each. */
  checkJob(manifest: JsonObject): readonly string[];
  /**
   * Called when the forge has proven the build. Returns false if another build of this commit and ref that runs in this
   * process was proven before. Default: there is none.
   */
  readonly claim?: () => boolean;
  /** Cancels the older builds of this one's ref. */
  cancelPrevious(): void;
  /** Lists what no output may show, besides the forge's token and the secrets of the steps. Default: nothing. */
  readonly listSecrets?: (opened: { kubeconfig: string; telegram: string | undefined }) => readonly string[];
  /**
   * Opens the reporters of this build.
   *
   * @param telegram the value in c3.yaml; undefined when c3.yaml has none, or could not be read
   * @throws {C3Error} TELEGRAM_INVALID
   */
  openReporter(request: BuildRequest, telegram: TelegramOptions | undefined): Reporter;
  /** There is one in a process. */
  readonly connections: ConnectionPool;
  /** Default: the container fetches each commit by itself. */
  readonly clones?: Clones;
  now(): number;
  /** Gets faults that no report can contain. */
  onFault(error: unknown): void;
  /** Whether pull requests from forks are built, each commit after its approval. Default: off. */
  readonly forks?: 'off' | 'approve';
  readonly limits: BuildLimits;
  /**
   * Parses c3.yaml. Default: {@link parsePipeline}. `c3 run` has another way, since it runs parts of it, and without
   * seals.
   */
  readonly parse?: (text: string) => ParsedPipeline;
  /** Gets what a step writes, masked, while it runs, in order. `index` is that of `BuildState.steps`. */
  readonly onOutput?: (index: number, bytes: Uint8Array) => void;
}

/** The Telegram options of c3.yaml. */
export interface TelegramOptions extends Omit<Telegram, 'to'> {
  /** Opened. Undefined: the operator's. */
  readonly destination: string | undefined;
}

export interface BuildLimits extends StepLimits {
  /** The pauses before a c3.yaml that the forge does not show is requested again. It may lag behind the webhook. */
  readonly lagPausesMs: readonly number[];
}

export const DEFAULT_BUILD_LIMITS: BuildLimits = {
  ...DEFAULT_STEP_LIMITS,
  lagPausesMs: [1_000, 2_000, 4_000, 8_000],
};
