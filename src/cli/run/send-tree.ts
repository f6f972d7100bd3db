import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Cluster, Workspace } from '../../engine/index.ts';
import { toMessage } from '../../errors.ts';
import { findSharedMounts, type Pipeline } from '../../pipeline/index.ts';
import { QUIET_ARGS, runGit, type WorkingTree } from './working-tree.ts';

export interface TreeOptions extends Pick<SendOptions, 'tree' | 'sha'> {
  readonly pipeline: Pipeline;
  /** Replaces the build's scope, so that a Pod of `c3 run` never serves builds of a server. */
  readonly scope: string;
  /** Use a new Pod and delete it after the run. */
  readonly isFresh: boolean;
}

/**
 * Wraps a cluster: it sends the working tree into a workspace before the workspace is ready, so that the checkout
 * finds it. `treePath` returns the path of the repository in the checkout's container, once the workspace is ready.
 */
export function createTreeCluster(
  cluster: Omit<Cluster, 'findWorkspace'>,
  { pipeline: { checkout }, tree, sha, scope, isFresh }: TreeOptions,
): Omit<Cluster, 'findWorkspace'> & { treePath(): string } {
  let path = '';
  return {
    async openWorkspace(order, options) {
      const { signal } = options;
      // No process deletes the idle Pod, so its age limit must: one run plus the idle time.
      const maxAgeMs = Math.min(order.maxAgeMs, order.neededMs + order.idleMs);
      const request = { ...order, scope, reuse: order.reuse && !isFresh, maxAgeMs };
      const answer = await cluster.openWorkspace(request, options);
      if (answer.kind !== 'ready' || checkout === false) return answer;
      options.onWaiting('sending the working tree');
      const { container, depth } = checkout;
      // Where no other container can write, or else beside the work tree, which is in a volume (A10).
      const shared = join(dirname(checkout.path), '.c3-run.git');
      const isTmpShared = findSharedMounts(order.manifest, container).some((mount) => isBelow('/tmp', mount));
      const directories = [isTmpShared ? shared : '/tmp/.c3-run.git', shared] as const;
      const sent = await sendTree(answer.workspace, { container, directories, tree, sha, depth, signal });
      if (sent.kind === 'sent') {
        ({ path } = sent);
        return answer;
      }
      await answer.workspace.release({ isClean: false });
      return signal.aborted ? { kind: 'aborted' } : sent;
    },
    close: () => cluster.close(),
    treePath: () => path,
  };
}

function isBelow(path: string, mount: string): boolean {
  return `${path}/`.startsWith(`${mount}/`);
}

export interface SendOptions {
  readonly container: string;
  /**
   * Directories for a repository in the container, in order of preference. Only in the first one, an earlier run may
   * have left its repository; the second one is always made anew.
   */
  readonly directories: readonly [string, string];
  readonly tree: Pick<WorkingTree, 'git' | 'store'>;
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

/** Limits what is kept of a standard error. */
const MAX_WORDS = 4000;

/**
 * Fetches the snapshot. `git fetch` talks to a `git upload-pack` over standard input and output. Two `dd` connect them;
 * the `cat` of busybox would wait for more bytes. The result, `K PATH` or a message, goes to standard error. The script
 * is an argv, so it contains no data of the build.
 */
const RECEIVER = `
fail() { echo "$1" >&2; exit 1; }
dir=
read -r format depth tries; IFS= read -r first; IFS= read -r second
git --version > /dev/null 2>&1 || fail 'this container has no git'
umask 077
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
for place in "$first" "$second"; do
  if [ "$tries$place" = "0$first" ] && [ "$first" != "$second" ] && [ -d "$place" ] && [ -O "$place" ] && [ ! -L "$place" ]; then :
  else rm -rf "$place"; mkdir "$place" 2> /dev/null || continue; fi
  git init -q --bare --template= --object-format="$format" "$place" 2> /dev/null && { dir=$place; break; }
done
[ -n "$dir" ] || fail "no writable directory: neither $first nor $second"
cd "$dir" || fail "cannot enter $dir"
git -c gc.auto=0 -c maintenance.auto=false fetch -q --no-tags --depth="$depth" \\
  --upload-pack='exec 2> /dev/null; dd bs=65536 <&7 & exec >&8; dd bs=65536; kill $!; :' \\
  "$dir" +refs/heads/tree:refs/heads/tree 7<&0 8>&1 || exit 1
echo "K $dir" >&2
`;

/** Sends a commit into a container over one exec. It sends only what is missing. */
export async function sendTree(workspace: Workspace, order: SendOptions): Promise<SendAnswer> {
  let message = '';
  for (let tries = 0; tries < MAX_TRIES && !order.signal.aborted; tries++) {
    const answer = await sendOnce(workspace, order, tries);
    if (answer.kind === 'sent') return answer;
    ({ message } = answer);
  }
  return {
    kind: 'failed',
    message: `The working tree could not be sent to container "${order.container}": ${message}`,
  };
}

async function sendOnce(workspace: Workspace, order: SendOptions, tries: number): Promise<SendAnswer> {
  const over = new AbortController();
  const silence = setTimeout(() => over.abort(), SILENCE_MS).unref();
  let upload: ChildProcessWithoutNullStreams | undefined;
  let words = '';
  const opened = await workspace.exec(order.container, ['sh', '-c', RECEIVER, 'c3-receiver'], {
    signal: AbortSignal.any([order.signal, over.signal]),
    onStdout(chunk): void {
      silence.refresh();
      upload?.stdin.write(chunk);
    },
    onStderr(chunk): void {
      silence.refresh();
      words = (words + Buffer.from(chunk).toString('utf8')).slice(-MAX_WORDS);
    },
  });
  try {
    if (opened.kind === 'refused') return { kind: 'failed', message: opened.message };
    const { session } = opened;
    const write = async (data: string | Uint8Array): Promise<void> => {
      try {
        await session.write(data);
      } catch (error) {
        await session.done; // the program has ended, and its message may still arrive
        throw error;
      }
    };
    upload = await startUpload(order);
    const child = upload;
    let complaint = '';
    child.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
    const closed = once(child, 'close');
    closed.catch(() => {}); // awaited below
    void session.done.then(() => child.kill());
    const format = order.sha.length === 64 ? 'sha256' : 'sha1';
    await write(`${format} ${order.depth} ${tries}\n${order.directories.join('\n')}\n`);
    let bytes = 0;
    for await (const chunk of child.stdout) {
      bytes += (chunk as Buffer).length;
      if (bytes > MAX_PACK_BYTES) throw new Error(`it has more than ${MAX_PACK_BYTES / 1024 ** 3} GiB`);
      silence.refresh();
      await write(chunk as Buffer);
    }
    const [code, killedBy] = (await closed) as [number | null, string | null];
    if (code !== 0 && killedBy === null)
      throw new Error(`git upload-pack: ${complaint.trim() || `it ended with ${code}`}`);
    const end = await session.done;
    const [, path] = /^K (.+)$/m.exec(words) ?? [];
    return path === undefined ? { kind: 'failed', message: words.trim() || end.message } : { kind: 'sent', path };
  } catch (error) {
    // The container's message explains more than the broken connection.
    return { kind: 'failed', message: words.trim() || toMessage(error) };
  } finally {
    clearTimeout(silence);
    upload?.kill();
    if (opened.kind === 'open') opened.session.close();
  }
}

/** Starts git's own server for the commit. It serves no other commit than this one and those before it. */
async function startUpload({ tree: { git, store }, sha }: SendOptions): Promise<ChildProcessWithoutNullStreams> {
  // The user's repository may end where a shallow clone was cut.
  const shallow = resolve(git.directory, await runGit(['rev-parse', '--git-path', 'shallow'], git));
  const copy = join(store.directory, 'shallow');
  await copyFile(shallow, copy).catch(async () => await rm(copy, { force: true }));
  await runGit(['update-ref', 'refs/heads/tree', sha], store);
  const child = spawn(
    'git',
    [...QUIET_ARGS, '-c', 'uploadpack.allowAnySHA1InWant=false', 'upload-pack', store.directory],
    {
      cwd: store.directory,
      // Only version 0 of the protocol refuses other commits. A partial clone fetches the objects that it lacks.
      env: { ...store.env, GIT_PROTOCOL: undefined, GIT_NO_LAZY_FETCH: '0' },
    },
  );
  child.stdin.on('error', () => {}); // its end reports it
  return child;
}
