import type { Workspace } from '../../engine/index.ts';
import { toMessage } from '../../errors.ts';
import { planPack, type Stock } from './pack.ts';
import type { GitOptions } from './git.ts';

export interface SendOptions {
  readonly container: string;
  /** Directories for a repository in the container, in order of preference. */
  readonly directories: readonly [string, string];
  readonly git: GitOptions;
  readonly sha: string;
  /** Number of commits. */
  readonly depth: number;
  readonly signal: AbortSignal;
}

export type SendAnswer =
  /** `path` is a bare repository in the container that has the commit. */
  { readonly kind: 'sent'; readonly path: string } | { readonly kind: 'failed'; readonly message: string };

/** More data should not go through an API server. */
const MAX_PACK_BYTES = 2 * 1024 ** 3;

/** How long the container may be silent. Unpacking a large tree takes time. */
const SILENCE_MS = 5 * 60_000;

/** The second try starts from nothing: a step may have damaged the repository of an earlier run. */
const MAX_TRIES = 2;

/**
 * Receives a pack. It lists what the container has, reads the shallow commits, and passes the rest of standard input to git. It is an
 * argv, so it holds nothing of the build. After a failure it removes the repository, so that the next try starts from nothing.
 */
const RECEIVER = `
fail() { [ -z "$dir" ] || rm -rf "$dir"; echo "E $1"; exit 1; }
dir=
read -r format; IFS= read -r first; IFS= read -r second
git --version > /dev/null 2>&1 || fail 'this container has no git'
for place in "$first" "$second"; do
  git init -q --bare --object-format="$format" "$place" 2> /dev/null && { dir=$place; break; }
done
[ -n "$dir" ] || fail "no writable directory: neither $first nor $second"
cd "$dir" || fail "cannot enter $dir"
echo "D $dir"
git rev-parse -q --verify 'refs/heads/tree^{tree}' > /dev/null 2>&1 && echo "H $(git rev-parse refs/heads/tree)"
[ ! -f shallow ] || while read -r commit; do echo "S $commit"; done < shallow
echo .
while read -r commit && [ "$commit" != . ]; do echo "$commit"; done > shallow.new
read -r sha || fail 'the connection ended early'
words=$(git index-pack --stdin --fix-thin 2>&1) || fail "$words"
if [ -s shallow.new ]; then mv shallow.new shallow; else rm -f shallow shallow.new; fi
words=$(git update-ref refs/heads/tree "$sha" 2>&1) || fail "$words"
echo "K $sha"
`;

/** Sends a commit into a container over one exec. It sends only what is missing. */
export async function sendTree(workspace: Workspace, order: SendOptions): Promise<SendAnswer> {
  let message = '';
  for (let tries = 0; tries < MAX_TRIES && !order.signal.aborted; tries++) {
    const answer = await sendOnce(workspace, order);
    if (answer.kind === 'sent') return answer;
    ({ message } = answer);
  }
  return {
    kind: 'failed',
    message: `The working tree could not be sent to container "${order.container}": ${message}`,
  };
}

async function sendOnce(workspace: Workspace, order: SendOptions): Promise<SendAnswer> {
  const answers = createAnswers();
  const over = new AbortController();
  const silence = setInterval(() => {
    if (Date.now() - answers.lastSignOfLife > SILENCE_MS) over.abort();
  }, SILENCE_MS / 8).unref();
  const opened = await workspace.exec(order.container, ['sh', '-c', RECEIVER, 'c3-receiver'], {
    signal: AbortSignal.any([order.signal, over.signal]),
    onStdout: answers.onStdout,
    onStderr: answers.onStderr,
  });
  if (opened.kind === 'refused') {
    clearInterval(silence);
    return { kind: 'failed', message: opened.message };
  }
  const { session } = opened;
  void session.done.then((end) => answers.end(end.message));
  try {
    const format = order.sha.length === 64 ? 'sha256' : 'sha1';
    await session.write(`${[format, ...order.directories].join('\n')}\n`);
    const { path, stock } = await readStock(answers);
    const pack = await planPack(order.git, { sha: order.sha, depth: order.depth, stock });
    await session.write(`${[...pack.shallow, '.', order.sha].join('\n')}\n`);
    const stream = pack.open();
    try {
      let bytes = 0;
      for await (const chunk of stream.bytes) {
        bytes += (chunk as Buffer).length;
        if (bytes > MAX_PACK_BYTES) throw new Error(`it has more than ${MAX_PACK_BYTES / 1024 ** 3} GiB`);
        answers.touch();
        await session.write(chunk as Buffer);
      }
      await stream.done;
    } finally {
      stream.close();
    }
    const last = await answers.next();
    if (last !== `K ${order.sha}`) throw new Error(last.replace(/^E /, ''));
    return { kind: 'sent', path };
  } catch (error) {
    // The container's message explains more than the broken connection.
    return { kind: 'failed', message: answers.fault ?? toMessage(error) };
  } finally {
    clearInterval(silence);
    session.close();
  }
}

async function readStock(answers: Answers): Promise<{ path: string; stock: Stock }> {
  let path = '';
  const commits: string[] = [];
  const shallow: string[] = [];
  for (let line = await answers.next(); line !== '.'; line = await answers.next()) {
    const value = line.slice(2);
    if (line.startsWith('D ')) path = value;
    else if (line.startsWith('H ')) commits.push(value);
    else if (line.startsWith('S ')) shallow.push(value);
    else throw new Error(line.replace(/^E /, ''));
  }
  return { path, stock: { commits, shallow } };
}

/** The lines of the receiver, in order. */
interface Answers {
  /** Epoch milliseconds. */
  readonly lastSignOfLife: number;
  /** The receiver's message, if it reported why it failed. */
  readonly fault: string | undefined;
  onStdout(chunk: Uint8Array): void;
  onStderr(chunk: Uint8Array): void;
  touch(): void;
  /** Rejects once the connection has ended. */
  next(): Promise<string>;
  end(message: string): void;
}

function createAnswers(): Answers {
  const lines: string[] = [];
  let rest = '';
  let stderr = '';
  let fault: string | undefined;
  let ended: string | undefined;
  let lastSignOfLife = Date.now();
  let wake = (): void => {};

  return {
    get lastSignOfLife() {
      return lastSignOfLife;
    },
    get fault() {
      return fault;
    },
    onStdout(chunk): void {
      lastSignOfLife = Date.now();
      const parts = (rest + Buffer.from(chunk).toString('utf8')).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
      fault ??= parts.find((line) => line.startsWith('E '))?.slice(2);
      wake();
    },
    onStderr(chunk): void {
      stderr = (stderr + Buffer.from(chunk).toString('utf8')).slice(-1000);
    },
    touch(): void {
      lastSignOfLife = Date.now();
    },
    async next(): Promise<string> {
      for (;;) {
        const line = lines.shift();
        if (line !== undefined) return line;
        if (ended !== undefined) throw new Error(stderr.trim() || ended);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    end(message): void {
      ended = message;
      wake();
    },
  };
}
