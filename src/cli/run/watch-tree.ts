import { watch } from 'node:fs';
import { C3Error, toMessage } from '../../errors.ts';
import { tellError, type Terminal } from '../terminal.ts';
import type { Snapshot, WorkingTree } from './working-tree.ts';

/**
 * Runs now, and again after each change that git sees. A change cancels the current run. Aborting the signal ends the
 * current run, and no other run starts.
 */
export async function runAtChanges(
  { terminal, tree, signal }: { readonly terminal: Terminal; readonly tree: WorkingTree; readonly signal: AbortSignal },
  run: (snapshot: Snapshot, stop: AbortSignal) => Promise<unknown>,
): Promise<void> {
  let wake = (): void => {};
  const watcher = watchTree(tree.root, () => wake());
  signal.addEventListener('abort', () => wake(), { once: true });
  let current: { stop: AbortController; done: Promise<void> } | undefined;
  let lastSha: string | undefined;

  async function runOne(snapshot: Snapshot, stop: AbortSignal): Promise<void> {
    try {
      await run(snapshot, AbortSignal.any([signal, stop]));
    } catch (error) {
      tellError(terminal, error);
    }
    if (!stop.aborted && !signal.aborted) terminal.tell('c3: waiting for changes');
  }

  try {
    while (!signal.aborted) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const snapshot = await tree.takeSnapshot().catch((error: unknown) => void tellError(terminal, error));
      if (snapshot && snapshot.sha !== lastSha) {
        current?.stop.abort();
        await current?.done;
        lastSha = snapshot.sha;
        const stop = new AbortController();
        current = { stop, done: runOne(snapshot, stop.signal) };
      }
      if (!signal.aborted) await changed;
    }
    await current?.done;
  } finally {
    watcher.close();
  }
}

/** An editor writes a file in several steps, and a checkout writes many files. */
const QUIET_MS = 200;

/**
 * Calls back after changes under the root have paused; git decides which changes count. Ignores `.git` except HEAD,
 * because git commands write there.
 *
 * @throws {C3Error} USAGE_INVALID when the system cannot watch files, or no more of them
 */
function watchTree(root: string, onChange: () => void): { close(): void } {
  let timer: NodeJS.Timeout | undefined;
  function note(path: string | null): void {
    if (path !== null && /^\.git\/(?!HEAD$)/.test(path)) return;
    clearTimeout(timer);
    timer = setTimeout(onChange, QUIET_MS);
  }
  try {
    const watcher = watch(root, { recursive: true }, (_event, path) => note(path));
    // A folder may disappear before it can be watched.
    watcher.on('error', () => note(null));
    return {
      close(): void {
        clearTimeout(timer);
        watcher.close();
      },
    };
  } catch (error) {
    throw new C3Error('USAGE_INVALID', `Cannot watch "${root}": ${toMessage(error)}`, { cause: error });
  }
}
