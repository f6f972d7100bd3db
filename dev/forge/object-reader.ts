import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';

export interface GitObject {
  readonly sha: string;
  readonly type: string;
  readonly bytes: Buffer;
}

/** One `git cat-file --batch` for each bare repository: a forge that started a git for every question would be slower than any. */
const readers = new Map<string, ObjectReader>();

/** A reader that nobody asks ends. */
const IDLE_MS = 5_000;

interface ObjectReader {
  read(name: string): Promise<GitObject | undefined>;
}

/**
 * The object that a name stands for, as `git rev-parse` takes it (`refs/heads/main^{commit}`, `SHA:path`); undefined when there is none.
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
  // It ends with its standard input, and so with this process.
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

/** The first whole answer: `SHA TYPE SIZE`, a line end, the bytes, a line end; or one line that ends with why there is none. */
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
