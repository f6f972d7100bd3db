import type { CommitFacts } from '../build/index.ts';
import { readString } from '../json.ts';
import { clip } from '../terminal/text.ts';

/** What c3 keeps of a commit message and of an author, in UTF-16 units. */
const MAX_SUBJECT_LENGTH = 200;
const MAX_AUTHOR_LENGTH = 100;

/** C0 and C1 control characters, line and paragraph separators, and marks that change the direction of text. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A commit message can have megabytes, and removing unprintable characters takes time (A12). */
const MAX_READ_LENGTH = 10_000;

/**
 * Returns the first line of an untrusted text: trimmed, without control characters, well-formed, and cut to
 * `maxLength` UTF-16 units.
 */
export function toPrintableLine(text: string, maxLength: number): string {
  const [firstLine = ''] = text
    .trimStart()
    .slice(0, MAX_READ_LENGTH)
    .split(/[\r\n\u2028\u2029]/, 1);
  return clip(firstLine.toWellFormed().replaceAll(UNPRINTABLE, '').trim(), maxLength);
}

/**
 * Returns how people recognize a commit or a pull request.
 *
 * @param authors its names, of which the first counts that is a printable text
 */
export function toCommitFacts(subject: unknown, authors: readonly unknown[]): CommitFacts {
  const names = authors.map((name) => toPrintableLine(readString(name) ?? '', MAX_AUTHOR_LENGTH));
  return {
    subject: toPrintableLine(readString(subject) ?? '', MAX_SUBJECT_LENGTH),
    author: names.find((name) => name !== '') ?? '',
  };
}

/** The limit of file systems, where a ref is a file. GitHub has the same limit. */
const MAX_REF_LENGTH = 255;

/** What `git check-ref-format` refuses, and C1 control characters, which git accepts but a terminal interprets. */
// oxlint-disable-next-line no-control-regex -- the expression finds control characters
const FORBIDDEN_IN_REF = /[\u0000-\u0020\u007f-\u009f~^:?*[\\]|\.\.|@\{|\/\/|\/\.|\.lock(?:\/|$)|[./]$/;

/**
 * Returns whether a full ref (`refs/heads/main`) is safe to pass to git and to a forge (A8). `git check-ref-format`
 * accepts such a ref. Its short name does not start with a dash, so no program reads it as an option.
 *
 * @see https://git-scm.com/docs/git-check-ref-format
 */
export function isRefName(ref: string): boolean {
  return (
    /^refs\/[^/]+\/[^-]/.test(ref) && ref.length <= MAX_REF_LENGTH && ref.isWellFormed() && !FORBIDDEN_IN_REF.test(ref)
  );
}
