import type { BuildTarget, CommitFacts, CommitStatus, ForgeUrls, ReportedBuild, Trust } from '../build/index.ts';
import type { Scope } from '../sealing/scope.ts';

/** A webhook's raw body whose signature was right, or whose hook needs none. Only {@link Forge.verify} makes one; only it may be parsed. */
export interface VerifiedBody {
  readonly bytes: Uint8Array;
  readonly verified: true;
}

/** What a webhook says happened. A hint only: {@link Repository.prove} asks the forge whether it is so. */
export type ForgeEvent =
  | { kind: 'ping'; scope: Scope | undefined }
  | { kind: 'ignored'; scope: Scope | undefined; reason: string }
  | { kind: 'build'; scope: Scope; build: ReportedBuild };

export type Proof =
  /** The token may push, and the commit is reachable from the ref. */
  | { kind: 'proven'; trust: Trust }
  /** One of the two is not true; the message says which. */
  | { kind: 'refused'; message: string };

export type FileAnswer =
  | { kind: 'found'; text: string }
  | { kind: 'missing' }
  | { kind: 'too-large'; maxBytes: number };

/** How the `git` container reaches the repository. `header` is secret: a whole HTTP header line, valid for `urlPrefix` only. */
export interface GitAccess {
  readonly url: string;
  readonly urlPrefix: string;
  readonly header: string;
  /** Every secret spelling in `header`, to be masked wherever it shows up. */
  readonly secrets: readonly string[];
}

/** One repository on one forge, with one token: what c3 may ask, and say, there. Every call has a time limit and follows no redirect. */
export interface Repository {
  /** @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED */
  prove(target: BuildTarget, signal: AbortSignal): Promise<Proof>;
  /** One file at one commit, UTF-8. @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED */
  readFile(path: string, sha: string, signal: AbortSignal): Promise<FileAnswer>;
  /** @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED */
  setStatus(sha: string, status: CommitStatus, signal: AbortSignal): Promise<void>;
  /** c3's statuses of a commit, the newest first, page by page. Empty for an unknown commit. @throws {C3Error} as `setStatus` */
  listStatuses(sha: string, signal: AbortSignal): AsyncIterable<CommitStatus>;
  /** Undefined: there is no such commit. @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED */
  readCommit(sha: string, signal: AbortSignal): Promise<CommitFacts | undefined>;
  /**
   * Paths from the root of the repository that differ between two commits, both names of a renamed file among them. Undefined: not
   * known, since the forge lists only so many, or `before` is no ancestor of `sha`, or it did not answer.
   */
  listChangedPaths(before: string, sha: string, signal: AbortSignal): Promise<readonly string[] | undefined>;
  gitAccess(): GitAccess;
  /** Where people look at the repository and at a commit. */
  urls(sha: string): ForgeUrls;
  /** Returns where people look at a line of a file at a commit; empty where there is no forge. */
  lineUrl(path: string, sha: string, line: number): string;
}

export interface Delivery {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
  /** The hook's key says that none is needed: one that is there must be right all the same. */
  readonly isSignatureOptional?: boolean;
}

/** One kind of forge at one origin. */
export interface Forge {
  /** The host part of the scopes it serves, `github.com`. */
  readonly host: string;
  /** @throws {C3Error} SIGNATURE_MISSING, SIGNATURE_INVALID */
  verify(delivery: Delivery, webhookSecret: string): VerifiedBody;
  /** @throws {C3Error} PAYLOAD_INVALID */
  parseEvent(headers: Delivery['headers'], body: VerifiedBody): ForgeEvent;
  openRepository(scope: Scope, token: string, options?: OpenOptions): Repository;
}

export interface OpenOptions {
  /** Whether the forge has confirmed the token by now: until then its calls go over few connections. Default: it has. */
  isConfirmed?(): boolean;
}
