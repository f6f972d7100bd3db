import { formatScope, type Scope } from '../sealing/scope.ts';

/** A branch, a tag, or a pull request from a fork, whose branch is in another repository. */
export interface Ref {
  readonly kind: 'branch' | 'tag' | 'pull';
  /** Without its prefix: `main`, `v1`; the number of a pull request. */
  readonly name: string;
}

/** What happened at the forge. `when.event` in c3.yaml uses the same words. */
export type EventKind = 'push' | 'tag' | 'pull_request';

/** Which builds may share a Pod: those of one repository and one trust class. Nothing shares the Pod of a fork. */
export type Trust = 'protected' | 'other' | 'fork';

/** A pull request (GitLab: a merge request). Until the forge has proven it, it is only the claim of a webhook. */
export interface PullRequest {
  /** The number that people see. */
  readonly number: number;
  /** The branch that it wants to change, without a prefix. */
  readonly base: string;
  /** The branch with its commits, without a prefix. For a fork: a branch of that repository, whose name proves nothing. */
  readonly head: string;
  readonly isDraft: boolean;
  /** Its commits are in another repository, where people without the right to push can write. */
  readonly isFork: boolean;
}

/**
 * A build of one commit of one repository, because of an event of a ref. Every room uses this record. A webhook, a
 * link or the command line creates it. The forge's proof adds the trust.
 */
export interface Build {
  /** 12 hex digits. Two deliveries with the same content have the same id. */
  readonly id: string;
  /** The repository. */
  readonly scope: Scope;
  readonly event: EventKind;
  /** For a pull request in the same repository, this is its branch. */
  readonly ref: Ref;
  /** Present if the event is `pull_request`. */
  readonly pull?: PullRequest | undefined;
  /** 40 or 64 lower-case hex digits. For an annotated tag: the commit that it points at. */
  readonly sha: string;
  /** The commit whose c3.yaml is used. Default: `sha`. For a fork: the head of the base branch, once it is proven. */
  readonly configSha?: string | undefined;
  /** The commit that the branch pointed at before; undefined for a new branch and for a tag. */
  readonly before: string | undefined;
  /** What started it. */
  readonly cause: 'webhook' | 'rerun' | 'comment' | 'command-line';
  /** Undefined until the forge has proven that the commit belongs to the ref. */
  readonly trust: Trust | undefined;
  readonly commit: CommitFacts;
}

/** How people recognize a commit. Both texts are untrusted: one line of at most 200 characters, empty if unknown. */
export interface CommitFacts {
  /** The first line of the commit message. */
  readonly subject: string;
  readonly author: string;
}

/** The part of a build that a webhook reports. c3 decides the rest. */
export type ReportedBuild = Omit<Build, 'id' | 'cause' | 'trust' | 'configSha'>;

/** The forge proves that this commit belongs to this ref. */
export type BuildTarget = Pick<Build, 'ref' | 'sha'> & Partial<Pick<Build, 'before'>>;

export const UNKNOWN_COMMIT: CommitFacts = { subject: '', author: '' };

/** Returns only the fields of a pull request. */
export function toPullRequest({ number, base, head, isDraft, isFork }: PullRequest): PullRequest {
  return { number, base, head, isDraft, isFork };
}

/** Returns what a build of a pull request belongs to: its branch, or for a fork the pull request itself. */
export function toPullRef({ number, head, isFork }: PullRequest): Ref {
  return isFork ? { kind: 'pull', name: String(number) } : { kind: 'branch', name: head };
}

const PREFIXES = { branch: 'refs/heads/', tag: 'refs/tags/' } as const;

/** Writes the full name: `refs/heads/main`, `refs/tags/v1`, `refs/pull/12/head`. */
export function formatRef({ kind, name }: Ref): string {
  return kind === 'pull' ? `refs/pull/${name}/head` : PREFIXES[kind] + name;
}

/** Parses a full name. Returns undefined for a ref that is not a branch or a tag. */
export function parseRef(text: string): Ref | undefined {
  for (const kind of ['branch', 'tag'] as const) {
    const name = text.startsWith(PREFIXES[kind]) ? text.slice(PREFIXES[kind].length) : '';
    if (name !== '') return { kind, name };
  }
  return undefined;
}

/** Returns the kind of event for a change of a ref. */
export function toEventKind({ kind }: Ref): 'push' | 'tag' {
  return kind === 'tag' ? 'tag' : 'push';
}

/** Returns the commit with whose outcome c3 compares this build's outcome; undefined if there is none. */
export function toComparedCommit({ cause, sha, before }: Build): string | undefined {
  return cause === 'rerun' || cause === 'comment' ? sha : before;
}

/** Returns the fields that name a build in every line of c3's own log. */
export function toLogFields({ id, scope, ref, sha }: Build): Readonly<Record<string, string>> {
  return { build: id, repository: formatScope(scope), ref: formatRef(ref), sha };
}
