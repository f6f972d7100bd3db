import type { JsonObject } from '../pipeline/pipeline.ts';

/**
 * The port to the place where a build's commands run. The room `kube` implements it. A workspace is a set of running
 * containers that share volumes. One build at a time owns it.
 */
export interface Cluster {
  /**
   * Opens the requested workspace: the warm one if it matches the request exactly, else a new one. A build that wants
   * the workspace of another build waits, first come, first served. A decision of the cluster is the answer `failed`,
   * not an exception.
   */
  openWorkspace(request: WorkspaceRequest, options: OpenWorkspaceOptions): Promise<WorkspaceAnswer>;
  /**
   * Finds the workspace in which a build runs or ran, to read what the build left there. It does not wait, and it
   * creates, keeps and deletes nothing. The idle time of the workspace runs on. A decision of the cluster is an
   * answer, not an exception.
   */
  findWorkspace(query: WorkspaceQuery, options: { readonly signal: AbortSignal }): Promise<FindAnswer>;
  /** Closes connections and timers. Warm workspaces live on until their age limit. */
  close(): Promise<void>;
}

export interface WorkspaceRequest {
  /** The job, verbatim. The workspace's name starts with its `metadata.name`. */
  readonly manifest: JsonObject;
  /** `host/owner/name`. A workspace never serves another scope or another owner. */
  readonly scope: string;
  /** The ref that has the workspace for itself, such as `protected refs/heads/main`, or `branches`. */
  readonly owner: string;
  /**
   * The first of the two directories that can hold the builds' files. Builds that use another one get another
   * workspace.
   */
  readonly root: string;
  /**
   * The directories of the commit and of `root`, as far as they are in volumes that outlive the workspace. `key` is
   * equal for the same directory, and followed by a slash for one inside. Two workspaces never work in one of them, or
   * in one inside another, at the same time: the second workspace fails. Default: none.
   */
  readonly directories?: readonly { readonly volume: string; readonly key: string }[];
  readonly buildId: string;
  /** Whether a c3 that died had started the build. If it began in a workspace, it can only continue in that one. */
  readonly isResumed: boolean;
  readonly reuse: boolean;
  /** How long the workspace stays warm after a build. */
  readonly idleMs: number;
  /** The age limit of the workspace. */
  readonly maxAgeMs: number;
  /** The longest time that the build may need. A workspace with less time left is not reused. */
  readonly neededMs: number;
}

/** The part of a request from which the name of its workspace is computed. */
export type WorkspaceQuery = Pick<
  WorkspaceRequest,
  'manifest' | 'scope' | 'owner' | 'root' | 'buildId' | 'reuse' | 'maxAgeMs'
>;

export type FindAnswer =
  /** The workspace exists. Only its containers know whether it still has files of the build. */
  | { readonly kind: 'found'; readonly workspace: FoundWorkspace }
  /** `message` is a clause: "its Pod NAME was deleted, and its logs with it". */
  | { readonly kind: 'gone'; readonly message: string }
  /** The cluster did not answer the question. `message` is a sentence. */
  | { readonly kind: 'failed'; readonly message: string };

/** A workspace that a build may be using at the same time. */
export interface FoundWorkspace extends Pick<Workspace, 'name' | 'id' | 'exec'> {
  /** Ends the execs that were opened through it. */
  close(): void;
}

export interface OpenWorkspaceOptions {
  readonly signal: AbortSignal;
  /** How long a new workspace may take to start before it counts as failed. */
  readonly startTimeoutMs: number;
  /** Called with a sentence whenever the cause of the wait changes: another build, the scheduler, an image. */
  onWaiting(reason: string): void;
}

export type WorkspaceAnswer =
  | { readonly kind: 'ready'; readonly workspace: Workspace }
  /**
   * `message` is in the cluster's own words: unpullable image, unschedulable, refused by quota or admission,
   * unreachable. `isLost`: a new workspace was lost while it started, so that another one may start.
   */
  | { readonly kind: 'failed'; readonly message: string; readonly isLost?: boolean }
  /** `signal` was aborted. */
  | { readonly kind: 'aborted' };

export interface Workspace {
  /** The Pod's name. */
  readonly name: string;
  /** The Pod's UID. It is not trusted: a hostile cluster can report the UID of another cluster's Pod. */
  readonly id: string;
  /**
   * Identifies this workspace among those of all clusters, scopes and owners in this process. What a build
   * leaves to the next build is stored under this key. No cluster and no tenant can make it equal to the key of
   * another workspace.
   */
  readonly key: string;
  readonly isWarm: boolean;
  /**
   * The fencing token of the workspace's Lease. It grows with each holder, across processes. The containers refuse a
   * holder with a smaller epoch.
   */
  readonly epoch: number;
  /** Another build had the workspace and did not release it: what it left running is unknown. */
  readonly isAbandoned: boolean;
  /** What the user must know about how the workspace was opened: "this kubeconfig may not use Leases: …". */
  readonly warnings: readonly string[];
  /**
   * Settles once, with a sentence, when the workspace is lost: it was evicted or deleted, a container died, the node
   * went silent, or another c3 took it over.
   */
  readonly lost: Promise<string>;
  /** Describes what happened in the workspace so far that can be why a step failed; undefined if there is nothing. */
  findTrouble(): string | undefined;
  /**
   * Starts a program in a container, without a terminal, with stdin open. Auditors of the cluster can read `argv`, so
   * it holds constants only. Everything else is sent with `write`. Resolves when the cluster has accepted the request
   * (HTTP 101), or with `refused` when nothing ran.
   */
  exec(container: string, argv: readonly string[], options: ExecOptions): Promise<ExecAnswer>;
  /** Ends the build. If `isClean`, nothing of it still runs and the workspace may stay warm. Else it is deleted. */
  release(outcome: { readonly isClean: boolean }): Promise<void>;
}

export interface ExecOptions {
  readonly signal: AbortSignal;
  /** Receives the bytes of stdout in order. The promise is back-pressure: the socket is not read until it settles. */
  onStdout(chunk: Uint8Array): Promise<void> | void;
  onStderr(chunk: Uint8Array): Promise<void> | void;
}

export type ExecAnswer =
  | { readonly kind: 'open'; readonly session: ExecSession }
  /** Nothing ran: there was no connection, or an answer other than 101. If `isTransient`, a retry may succeed. */
  | { readonly kind: 'refused'; readonly message: string; readonly isTransient: boolean };

export interface ExecSession {
  /**
   * Sends to the program's stdin. Resolves when the bytes have left this process. Rejects when the session is over.
   */
  write(data: string | Uint8Array): Promise<void>;
  /** Settles exactly once, on every ending. Never rejects. */
  readonly done: Promise<ExecEnd>;
  /** Closes the connection at once. The program may live on. `done` settles with `cut`. */
  close(): void;
}

/** How the *connection* ended. It never proves how the program ended: see decisions/001. */
export type ExecEnd =
  /** The cluster sent a status: an exit code, or the reason why the code is unknown. */
  | { readonly kind: 'status'; readonly exitCode: number | undefined; readonly message: string }
  /** There was no status: the socket was cut, it timed out, or we closed it. */
  | { readonly kind: 'cut'; readonly message: string };
