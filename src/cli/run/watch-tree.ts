import { watch } from 'node:fs';
import { C3Error, toMessage } from '../../errors.ts';

/** Editors write a file in several goes, and a branch that is checked out is many files. */
const QUIET_MS = 200;

/**
 * Tells, once things have been quiet for a moment, that something under the root may have changed; git decides what of it counts.
 * What happens in `.git` counts as nothing, but for HEAD: git writes there whenever it is asked something.
 *
 * @throws {C3Error} USAGE_INVALID where the system watches no files, or no more of them
 */
export function watchTree(root: string, onChange: () => void): { close(): void } {
  let timer: NodeJS.Timeout | undefined;
  function note(path: string | null): void {
    if (path !== null && /^\.git\/(?!HEAD$)/.test(path)) return;
    clearTimeout(timer);
    timer = setTimeout(onChange, QUIET_MS);
  }
  try {
    const watcher = watch(root, { recursive: true }, (_event, path) => note(path));
    // A folder that is gone before it could be watched is no fault.
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
