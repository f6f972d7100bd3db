import { GIT_ENVIRONMENT } from './git.ts';
import { readObject } from './object-reader.ts';

/** A commit as git stores it. */
export interface CommitObject {
  readonly sha: string;
  readonly tree: string;
  readonly parents: readonly string[];
  readonly author: Person;
  readonly committer: Person;
  readonly message: string;
}

/** Who wrote a commit or a tag, and when. */
export interface Person {
  readonly name: string;
  readonly email: string;
  /** ISO 8601, UTC, whole seconds. */
  readonly date: string;
}

/** Reads a commit without a process of its own. */
export async function readCommitObject(directory: string, sha: string): Promise<CommitObject> {
  const object = await readObject(directory, sha, GIT_ENVIRONMENT);
  if (object?.type !== 'commit') throw new Error(`${sha} is not a commit`);
  const { headers, message } = parseObject(object.bytes);
  const [tree = ''] = headers.get('tree') ?? [];
  return {
    sha,
    tree,
    parents: headers.get('parent') ?? [],
    author: parsePerson(headers.get('author')?.[0]),
    committer: parsePerson(headers.get('committer')?.[0]),
    message: message.trimEnd(),
  };
}

/** Parses a commit or an annotated tag: header lines, an empty line, the message. */
export function parseObject(bytes: Buffer): {
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly message: string;
} {
  const text = bytes.toString('utf8');
  const end = text.indexOf('\n\n');
  const headers = new Map<string, string[]>();
  for (const line of (end < 0 ? text : text.slice(0, end)).split('\n')) {
    const [, name, value] = /^(\w+) (.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) headers.set(name, [...(headers.get(name) ?? []), value]);
  }
  return { headers, message: end < 0 ? '' : text.slice(end + 2) };
}

/** Parses `Ada <ada@example.org> 1700000000 +0000`. */
export function parsePerson(text = ''): Person {
  const [, name = '', email = '', seconds = '0'] = /^(.*?) ?<(.*)> (\d+) [+-]\d+$/.exec(text) ?? [];
  const date = new Date(Number(seconds) * 1000).toISOString().replace(/\.\d+/, '');
  return { name, email, date };
}
