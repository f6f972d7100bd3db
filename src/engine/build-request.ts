import type { Push, Repository } from '../forges/forge.ts';
import type { ParsedPipeline } from '../pipeline/index.ts';
import type { JsonObject, Notify } from '../pipeline/pipeline.ts';
import type { Purpose } from '../sealing/index.ts';
import type { BuildLinks, BuildSource, BuildState, Reporter, Ending } from './build-state.ts';
import type { Cluster } from './cluster.ts';
import type { ConnectionPool, StepLimits } from '../agent/index.ts';

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
  /** The commit whose outcome this one's is compared with. Default: `push.before`. */
  readonly previousSha?: string;
  /** Aborted: the build is cancelled; with {@link Superseded} as the reason, for the sake of a newer one. `finally` still runs. */
  readonly signal: AbortSignal;
  /** Aborted: `finally` is not waited for either. */
  readonly haltSignal?: AbortSignal;
}

export interface BuildDependencies {
  /** Opens a sealed value of this repository. @throws {C3Error} SEALED_INVALID */
  open(token: string, purpose: Purpose): Promise<{ plaintext: string; isOldKey: boolean }>;
  /** @throws {C3Error} KUBECONFIG_INVALID */
  openCluster(kubeconfig: string): Omit<Cluster, 'findWorkspace'>;
  /** Addresses of the build's page. Called once, when the forge has confirmed the push. Default: there is no page. */
  readonly createLinks?: (request: BuildRequest, proof: { isProtected: boolean }) => Promise<BuildLinks>;
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
