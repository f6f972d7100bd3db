import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';

export interface GitObject {
  readonly sha: string;
  readonly type: string;
  readonly bytes: Buffer;
}

/** One `git cat-file --batch` for each bare repository: a process for each object would be slow. */
const readers = new Map<string, ObjectReader>();

/** An idle reader ends after this time. */
const IDLE_MS = 5_000;

interface ObjectReader {
  read(name: string): Promise<GitObject | undefined>;
}

/**
 * Reads the object of a name in the syntax of `git rev-parse` (`refs/heads/main^{commit}`, `SHA:path`); undefined if
 * it does not exist.
 *
 * @see https://git-scm.com/docs/git-cat-file#_batch_output
 */
export async function readObject(
  directory: string,
  name: string,
  environment: Readonly<Record<string, string>>,
): Promise<GitObject | undefined> {
  if (name.includes('\n') || name.includes('\0')) return undefined;
  const reader = readers.get(directory) ?? openReader(directory, environment);
  return reader.read(name);
}

function openReader(directory: string, environment: Readonly<Record<string, string>>): ObjectReader {
  const child = spawn('git', ['--git-dir', directory, 'cat-file', '--batch'], {
    env: environment,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const waiting: { resolve(object: GitObject | undefined): void; reject(error: Error): void }[] = [];
  let unread: Buffer = Buffer.alloc(0);
  const idle = setTimeout(close, IDLE_MS);
  idle.unref();
  // It ends when its standard input closes, and so with this process.
  child.unref();
  for (const pipe of [child.stdin, child.stdout]) (pipe as Socket).unref();

  function close(): void {
    if (readers.get(directory) === reader) readers.delete(directory);
    clearTimeout(idle);
    child.stdin.end();
    for (const { reject } of waiting.splice(0)) reject(new Error(`git cat-file in ${directory} ended`));
  }
  child.on('error', close);
  child.on('close', close);
  child.stdin.on('error', close);
  child.stdout.on('data', (chunk: Buffer) => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
    for (let answer = takeAnswer(unread); answer; answer = takeAnswer(unread)) {
      unread = unread.subarray(answer.length);
      waiting.shift()?.resolve(answer.object);
    }
  });

  const reader: ObjectReader = {
    read(name) {
      idle.refresh();
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        child.stdin.write(`${name}\n`);
      });
    },
  };
  readers.set(directory, reader);
  return reader;
}

/**
 * Parses the first complete response: `SHA TYPE SIZE`, a line end, the bytes, a line end; or one line with an error.
 */
function takeAnswer(unread: Buffer): { object: GitObject | undefined; length: number } | undefined {
  const lineEnd = unread.indexOf(10);
  if (lineEnd < 0) return undefined;
  const [, sha, type, size] = /^([0-9a-f]{40,64}) (\w+) (\d+)$/.exec(unread.toString('utf8', 0, lineEnd)) ?? [];
  const start = lineEnd + 1;
  if (sha === undefined || type === undefined) return { object: undefined, length: start };
  const end = start + Number(size);
  if (unread.length <= end) return undefined;
  return { object: { sha, type, bytes: unread.subarray(start, end) }, length: end + 1 };
}
