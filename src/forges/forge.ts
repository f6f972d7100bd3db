import type {
  BuildTarget,
  CommitFacts,
  CommitStatus,
  ForgeUrls,
  PullRequest,
  ReportedBuild,
  Trust,
} from '../build/index.ts';
import type { FetchOrder } from '../git/index.ts';
import type { Scope } from '../sealing/scope.ts';

/** One forge that this c3 serves. The configuration checks both URLs. */
export interface ForgeEntry {
  readonly kind: 'github' | 'gitea' | 'gitlab';
  /** Scheme and host without a path, `https://github.com`. The forge serves the scopes of this host. */
  readonly origin: string;
  /** Without a slash at its end: `https://api.github.com`, `https://ghe.example.com/api/v3`. */
  readonly apiBase: string;
}

/** The raw body of a webhook whose signature is valid or not required. Only {@link Forge.verify} makes one (A4). */
export interface VerifiedBody {
  readonly bytes: Uint8Array;
  readonly verified: true;
}

/** What a webhook claims. It is only a hint: {@link Repository.prove} asks the forge whether it is true. */
export type ForgeEvent =
  | { kind: 'ping'; scope: Scope | undefined }
  | { kind: 'ignored'; scope: Scope | undefined; reason: string }
  | { kind: 'build'; scope: Scope; build: ReportedBuild }
  /** The pull request was closed or merged. */
  | { kind: 'closed'; scope: Scope; pull: number }
  /** Somebody wrote a new comment on a pull request. */
  | { kind: 'comment'; scope: Scope; comment: PullComment };

/** A comment on a pull request, as a webhook reports it. */
export interface PullComment {
  /** The number of the pull request. */
  readonly pull: number;
  /** The forge's id of the comment. */
  readonly id: string;
  /** The forge's name, or its id, of the user who wrote it. */
  readonly author: string;
  /** When it was written, by the forge's clock, in epoch milliseconds. */
  readonly createdAt: number;
  readonly text: string;
}

/** A pull request as the forge shows it now. */
export interface PullFacts extends PullRequest {
  /** The newest commit of its head. */
  readonly sha: string;
  readonly isOpen: boolean;
  /** Whether anyone may fetch its commits from this repository without a token. */
  readonly isPublic: boolean;
  /** The newest commit of the branch `base`. Undefined if the branch no longer exists. Read only for a fork. */
  readonly baseSha: string | undefined;
  /** Its title and the user who opened it. Untrusted. */
  readonly commit: CommitFacts;
}

export type Proof =
  /** The token may push, and the commit is the head of the ref, or was pushed as its head. */
  | { kind: 'proven'; trust: Trust; isHead: boolean }
  /** One of the two is false. The message says which. */
  | { kind: 'refused'; message: string };

export type FileContent =
  | { kind: 'found'; text: string }
  | { kind: 'missing' }
  | { kind: 'too-large'; maxBytes: number };

/** How the `git` container connects to the repository. */
export interface GitAccess {
  readonly url: string;
  readonly urlPrefix: string;
  /**
   * A whole HTTP header line, which is secret. git sends it only to URLs that start with `urlPrefix`. Empty for
   * anonymous access.
   */
  readonly header: string;
  /** Every form in which the token appears in `header`. Logs mask them. */
  readonly secrets: readonly string[];
}

/** One repository on one forge, with one token. Every call has a time limit and follows no redirect. */
export interface Repository {
  /** @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED */
  prove(target: BuildTarget, signal: AbortSignal): Promise<Proof>;
  /**
   * Returns why the token may not push to the repository; undefined if it may.
   *
   * @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED
   */
  checkAccess(signal: AbortSignal): Promise<string | undefined>;
  /** Reads a UTF-8 file at a commit. @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED */
  readFile(path: string, sha: string, signal: AbortSignal): Promise<FileContent>;
  /** @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED, STATUS_LIMIT */
  setStatus(sha: string, status: CommitStatus, signal: AbortSignal): Promise<void>;
  /** Lists c3's statuses of a commit, newest first. An unknown commit has none. @throws {C3Error} as `setStatus` */
  listStatuses(sha: string, signal: AbortSignal): AsyncIterable<CommitStatus>;
  /**
   * Reads the subject and the author of a commit. Returns undefined if the forge has no such commit.
   *
   * @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED
   */
  readCommit(sha: string, signal: AbortSignal): Promise<CommitFacts | undefined>;
  /**
   * Finds the newest push of this commit to its branch in the forge's log of pushes. `before`: what the branch pointed at
   * before; undefined for a new branch. Returns undefined if the log does not have the push, or if the forge is not
   * reachable.
   *
   * @throws {C3Error} FORGE_UNAUTHORIZED
   */
  readPush(target: BuildTarget, signal: AbortSignal): Promise<{ readonly before: string | undefined } | undefined>;
  /**
   * Returns the paths that differ between two commits, from the root of the repository. A renamed file has both its
   * names in the list. Returns undefined if the list is not complete, if `before` is not an ancestor of `sha`, or if
   * the forge is not reachable.
   *
   * @throws {C3Error} FORGE_UNAUTHORIZED
   */
  changedPaths(before: string, sha: string, signal: AbortSignal): Promise<readonly string[] | undefined>;
  /**
   * Reads a pull request. Returns undefined if there is none with this number.
   *
   * @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED
   */
  readPull(number: number, signal: AbortSignal): Promise<PullFacts | undefined>;
  /**
   * Returns the paths that a pull request changes: the difference between a commit and its merge base with the branch
   * `base`, otherwise as `changedPaths`.
   *
   * @throws {C3Error} FORGE_UNAUTHORIZED
   */
  pullPaths(
    pull: Pick<PullRequest, 'number' | 'base'>,
    sha: string,
    signal: AbortSignal,
  ): Promise<readonly string[] | undefined>;
  /**
   * Asks the forge whether a comment is what the webhook says, and whether its author may push. Returns why not;
   * undefined if both are true.
   *
   * @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED
   */
  mayApprove(comment: PullComment, signal: AbortSignal): Promise<string | undefined>;
  /** `anonymous`: for a container that must not have the token. Works only for a public repository. */
  gitAccess(as?: 'anonymous'): GitAccess;
  /**
   * Requests the objects that a clone lacks, in one request. Returns a pack without missing bases; undefined if the
   * forge does not send it, or if it has more than 256 KiB. Nothing in it is proven. Without the method there is no
   * such protocol.
   *
   * @throws {C3Error} FORGE_UNREACHABLE
   */
  fetchPack?(order: FetchOrder, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Returns the web pages of the repository and of a commit. */
  urls(sha: string): ForgeUrls;
  /** Returns the web page of a line of a file at a commit; empty where there is no forge. */
  lineUrl(path: string, sha: string, line: number): string;
}

export interface Delivery {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
  /**
   * Whether the hook's key allows a delivery without a signature. A signature that is present must still be valid.
   */
  readonly isSignatureOptional?: boolean;
}

/** One kind of forge at one origin. */
export interface Forge {
  /** The host of the scopes that it serves, `github.com`. */
  readonly host: string;
  /** @throws {C3Error} SIGNATURE_MISSING, SIGNATURE_INVALID */
  verify(delivery: Delivery, webhookSecret: string): VerifiedBody;
  /** @throws {C3Error} PAYLOAD_INVALID */
  parseEvent(headers: Delivery['headers'], body: VerifiedBody): ForgeEvent;
  openRepository(scope: Scope, token: string, options?: OpenOptions): Repository;
  /** Closes all connections, also those of its repositories. */
  close(): Promise<void>;
}

export interface OpenOptions {
  /**
   * Whether the forge has accepted the token before. Calls with other tokens share few connections. Default: true.
   */
  isConfirmed?(): boolean;
  /** Milliseconds that a call may wait for a rate limit. Default: ten seconds, since a person waits. */
  readonly patienceMs?: number;
}
