import { tellError, type Terminal } from '../terminal.ts';
import { watchTree } from './watch-tree.ts';
import type { Snapshot, WorkingTree } from './working-tree.ts';

export interface ChangesOptions {
  readonly terminal: Terminal;
  readonly tree: WorkingTree;
  /** Aborted: the run that is under way ends, and no other begins. */
  readonly signal: AbortSignal;
}

/** Runs now, and again whenever what git sees of the tree has changed; a run that is under way is cancelled. Until it is aborted. */
export async function runAtChanges(
  { terminal, tree, signal }: ChangesOptions,
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
