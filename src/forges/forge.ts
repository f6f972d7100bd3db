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
  | { kind: 'push'; scope: Scope; push: Push };

export interface Push {
  /** `refs/heads/main` or `refs/tags/v1`, a valid ref name. */
  readonly ref: string;
  readonly refKind: 'branch' | 'tag';
  /** `main`, `v1`. */
  readonly refName: string;
  /** 40 or 64 lower-case hex digits; of a tag the commit it points at, as far as the payload tells. */
  readonly sha: string;
  /** The commit that a branch pointed at before; undefined when it is new, and of a tag. Lower-case hex as `sha`. */
  readonly before?: string;
  /** First line of the commit's message, at most 200 characters. */
  readonly subject: string;
  readonly author: string;
  readonly commitUrl: string;
}

export type Proof =
  /** The token may push, the commit is reachable from the ref. `isProtected`: the ref is under the forge's protection rules. */
  | { kind: 'proven'; isProtected: boolean }
  /** One of the two is not so; a sentence says which. */
  | { kind: 'refused'; message: string };

export type FileAnswer =
  | { kind: 'found'; text: string }
  | { kind: 'missing' }
  | { kind: 'too-large'; maxBytes: number };

export interface CommitStatus {
  readonly state: 'pending' | 'success' | 'failure' | 'error';
  /** Cut so that it fits the forge, with the build's id behind it. */
  readonly description: string;
  /** Stands in what the forge shows, `passed in 8s (build 5f3a0c91d2e4)`, and is found again by it. */
  readonly buildId: string;
  readonly targetUrl?: string;
}

export type FoundStatus = Pick<CommitStatus, 'state' | 'description'>;

/** What a commit is called. */
export interface CommitFacts {
  /** First line of its message, at most 200 characters. */
  readonly subject: string;
  readonly author: string;
}

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
  prove(push: Push, signal: AbortSignal): Promise<Proof>;
  /** One file at one commit, UTF-8. @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED */
  readFile(path: string, sha: string, signal: AbortSignal): Promise<FileAnswer>;
  /** @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED */
  setStatus(sha: string, status: CommitStatus, signal: AbortSignal): Promise<void>;
  /** Longest `targetUrl` of a status, in characters; undefined: the forge names no limit. */
  readonly maxTargetUrl: number | undefined;
  /** The newest status that was set for a build of the commit, without its mark; undefined: none. @throws {C3Error} as `setStatus` */
  findStatus(sha: string, buildId: string, signal: AbortSignal): Promise<FoundStatus | undefined>;
  /**
   * How the newest build of a commit ended that did: undefined when there is none that passed or failed, since one that was cancelled
   * or could not run says nothing of the commit. @throws {C3Error} as `setStatus`
   */
  findOutcome(sha: string, signal: AbortSignal): Promise<'passed' | 'failed' | undefined>;
  /** Undefined: there is no such commit. @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED */
  readCommit(sha: string, signal: AbortSignal): Promise<CommitFacts | undefined>;
  /**
   * Paths from the root of the repository that differ between two commits, both names of a renamed file among them. Undefined: not
   * known, since the forge lists only so many, or `before` is no ancestor of `sha`, or it did not answer.
   */
  listChangedPaths(before: string, sha: string, signal: AbortSignal): Promise<readonly string[] | undefined>;
  gitAccess(): GitAccess;
  /** Frees idle connections. */
  close(): Promise<void>;
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
  /** Where people look at a repository. */
  webUrl(scope: Scope): string;
  /** Where people look at a commit. */
  commitUrl(scope: Scope, sha: string): string;
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
