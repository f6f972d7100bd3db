import type { Line } from './line.ts';

/**
 * Lines that builds left open into warm workspaces, for the next build there: opening one costs about as much as a whole short
 * step. One pool a process.
 */
export interface LinePool {
  /** The line that was kept under the key, if it is still open; the caller has it to itself. */
  take(key: string): Line | undefined;
  keep(key: string, line: Line): void;
  close(): void;
}

export interface LinePoolLimits {
  readonly keepMs?: number;
  readonly maxLines?: number;
}

/** Who pushes again does so within minutes; an exec that nobody uses is a goroutine in an API server. */
const KEEP_MS = 10 * 60_000;

/** Across all clusters of a process. */
const MAX_LINES = 200;

export function createLinePool({ keepMs = KEEP_MS, maxLines = MAX_LINES }: LinePoolLimits = {}): LinePool {
  /** Oldest first. */
  const kept = new Map<string, { line: Line; timer: NodeJS.Timeout }>();

  function drop(key: string): void {
    kept.get(key)?.line.close();
    forget(key);
  }
  function forget(key: string): void {
    clearTimeout(kept.get(key)?.timer);
    kept.delete(key);
  }

  return {
    take(key): Line | undefined {
      const line = kept.get(key)?.line;
      forget(key);
      return line?.isOver === false ? line : undefined;
    },
    keep(key, line): void {
      drop(key);
      for (const oldest of kept.keys()) {
        if (kept.size < maxLines) break;
        drop(oldest);
      }
      const timer = setTimeout(() => drop(key), keepMs);
      timer.unref();
      kept.set(key, { line, timer });
      void line.over.then(() => {
        if (kept.get(key)?.line === line) forget(key);
      });
    },
    close(): void {
      for (const key of kept.keys()) drop(key);
    },
  };
}
