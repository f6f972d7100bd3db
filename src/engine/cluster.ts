import type { JsonObject } from '../pipeline/pipeline.ts';

/**
 * The port to wherever a build's commands run; `kube` implements it. A workspace is a set of running containers that share
 * volumes and that one build at a time has to itself.
 */
export interface Cluster {
  /**
   * A workspace as ordered: the warm one if it is exactly as expected, else a new one. A build that wants the workspace of
   * another waits its turn, first come first served. Never throws for what the cluster decides: that is `failed`.
   */
  openWorkspace(order: WorkspaceOrder, options: OpenOptions): Promise<WorkspaceAnswer>;
  /**
   * The workspace in which a build runs or ran, to read what it left there: as it is, without a turn, without waiting; nothing is
   * created, kept or deleted for it, and its idle time runs on. Never throws for what the cluster decides.
   */
  look(order: LookOrder, options: { readonly signal: AbortSignal }): Promise<LookAnswer>;
  /** Ends connections and timers; leaves warm workspaces to their age limit. */
  close(): Promise<void>;
}

export interface WorkspaceOrder {
  /** The job, verbatim; `metadata.name` is the stem of the name. */
  readonly manifest: JsonObject;
  /** `host/owner/name`. A workspace never serves another scope or trust class. */
  readonly scope: string;
  readonly trustClass: 'protected' | 'other';
  /** Where the builds' files are in it, the first of two places: builds that look for them elsewhere have another workspace. */
  readonly root: string;
  readonly buildId: string;
  /** The build was begun by a c3 that died: only the workspace in which it began will do, if it began in one. */
  readonly isResumed: boolean;
  readonly reuse: boolean;
  /** How long it stays warm after a build. */
  readonly idleMs: number;
  /** How long it lives at most. */
  readonly maxAgeMs: number;
  /** How long the build may need; a workspace with less life left is not reused. */
  readonly neededMs: number;
}

/** What of an order the name of its workspace comes from. */
export type LookOrder = Pick<
  WorkspaceOrder,
  'manifest' | 'scope' | 'trustClass' | 'root' | 'buildId' | 'reuse' | 'maxAgeMs'
>;

export type LookAnswer =
  /** It is there; whether it still has anything of the build, only its containers can tell. */
  | { readonly kind: 'found'; readonly workspace: SeenWorkspace }
  /** In a clause: "its Pod NAME was deleted, and its logs with it". */
  | { readonly kind: 'gone'; readonly message: string }
  /** The cluster does not tell, in a sentence. */
  | { readonly kind: 'failed'; readonly message: string };

/** A workspace that somebody else may be using. */
export interface SeenWorkspace extends Pick<Workspace, 'name' | 'id' | 'exec'> {
  /** Ends the execs that were opened by it. */
  close(): void;
}

export interface OpenOptions {
  readonly signal: AbortSignal;
  /** How long a new workspace may take to start before it counts as failed. */
  readonly startTimeoutMs: number;
  /** Called with a sentence whenever what is waited for changes: another build, the scheduler, an image. */
  onWaiting(reason: string): void;
}

export type WorkspaceAnswer =
  | { readonly kind: 'ready'; readonly workspace: Workspace }
  /** The cluster's own words: unpullable image, unschedulable, refused by quota or admission, bad spec, unreachable. */
  | { readonly kind: 'failed'; readonly message: string }
  /** `signal` was aborted. */
  | { readonly kind: 'aborted' };

export interface Workspace {
  /** The Pod's name. */
  readonly name: string;
  /** The Pod's UID: what the cluster says it is, be it that of a Pod of another cluster. */
  readonly id: string;
  /**
   * Names this workspace among those of all clusters, scopes and trust classes of the process. No cluster and no tenant has a say in
   * it that could make it that of another: what a build leaves to the next one, it leaves under this.
   */
  readonly place: string;
  readonly isWarm: boolean;
  /**
   * Greater for each holder of the workspace, across processes: the fencing token of its lease. Whoever comes with a smaller one
   * is refused in the containers.
   */
  readonly epoch: number;
  /** What the user must know of how it was got: "this kubeconfig may not use Leases: …". */
  readonly warnings: readonly string[];
  /** Settles, once, with a sentence when the workspace is lost: evicted, deleted, a container died, the node went silent, another c3 holds it. */
  readonly lost: Promise<string>;
  /**
   * Starts a program in a container, without a terminal, with stdin open. `argv` is visible to auditors of the cluster:
   * constants only, everything else goes through `write`. Resolves when the cluster has taken the request (HTTP 101), or
   * with `refused` when nothing ran.
   */
  exec(container: string, argv: readonly string[], options: ExecOptions): Promise<ExecAnswer>;
  /** The build is over. `isClean`: nothing of it is left running, so the workspace may stay warm; else it is deleted. */
  release(outcome: { readonly isClean: boolean }): Promise<void>;
}

export interface ExecOptions {
  readonly signal: AbortSignal;
  /** Bytes of stdout in order. The promise is back-pressure: no more is read from the socket until it settles. */
  onStdout(chunk: Uint8Array): Promise<void> | void;
  onStderr(chunk: Uint8Array): Promise<void> | void;
}

export type ExecAnswer =
  | { readonly kind: 'open'; readonly session: ExecSession }
  /** Nothing ran: no connection, or an answer other than 101. `isTransient`: worth another try. */
  | { readonly kind: 'refused'; readonly message: string; readonly isTransient: boolean };

export interface ExecSession {
  /** Sends to the program's stdin; resolves when the bytes have left this process. Rejects when the session is over. */
  write(data: string | Uint8Array): Promise<void>;
  /** Settles exactly once, on every ending; never rejects. */
  readonly done: Promise<ExecEnd>;
  /** Closes the connection at once; the program may live on. `done` settles with `cut`. */
  close(): void;
}

/** How the *connection* ended. Never proof of how the program ended: see decisions/001. */
export type ExecEnd =
  /** The cluster said so in a status: exit code 0 or another, or the reason why it could not tell. */
  | { readonly kind: 'status'; readonly exitCode: number | undefined; readonly message: string }
  /** No status: socket cut, time-out, closed by us. */
  | { readonly kind: 'cut'; readonly message: string };
