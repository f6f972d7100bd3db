import type { Workspace } from '../engine/cluster.ts';
import type { AgentConnection } from './connection.ts';

/**
 * Lines that builds left open into warm workspaces, for the next build there: opening one costs about as much as a whole short
 * step. One pool a process.
 */
export interface ConnectionPool {
  /** Those into one container. By its place, never by its UID, which the cluster invents: another's Pod may have the same. */
  of(workspace: Pick<Workspace, 'key'>, container: string): KeptConnections;
  close(): void;
}

export interface KeptConnections {
  /** A line that was kept and is still open; the caller has it to itself. */
  take(): AgentConnection | undefined;
  /** Beside those that are there: steps that run at once have a line each. */
  keep(line: AgentConnection): void;
}

export interface ConnectionPoolLimits {
  readonly keepMs?: number;
  readonly maxLines?: number;
}

/** Who pushes again does so within minutes; an exec that nobody uses is a goroutine in an API server. */
const KEEP_MS = 10 * 60_000;

/** Across all clusters of a process. */
const MAX_LINES = 200;

export function createConnectionPool({
  keepMs = KEEP_MS,
  maxLines = MAX_LINES,
}: ConnectionPoolLimits = {}): ConnectionPool {
  /** Oldest first. */
  const kept = new Set<Kept>();
  /** Of whose end this pool hears. */
  const watched = new WeakSet<AgentConnection>();

  function forget(one: Kept): void {
    clearTimeout(one.timer);
    kept.delete(one);
  }
  function drop(one: Kept): void {
    forget(one);
    one.line.close();
  }

  function take(key: string): AgentConnection | undefined {
    // The newest: what a wide build left and nobody needs again grows old.
    const found = [...kept].findLast((one) => one.key === key && !one.line.isOver);
    if (found) forget(found);
    return found?.line;
  }
  function keep(key: string, line: AgentConnection): void {
    for (const oldest of kept) {
      if (kept.size < maxLines) break;
      drop(oldest);
    }
    const one: Kept = { key, line, timer: setTimeout(() => drop(one), keepMs).unref() };
    kept.add(one);
    // Once: a line that comes back after each build would bear in mind every time that it was here.
    if (watched.has(line)) return;
    watched.add(line);
    void line.over.then(() => {
      for (const ended of kept) if (ended.line === line) forget(ended);
    });
  }

  return {
    of(workspace, container) {
      const key = JSON.stringify([workspace.key, container]);
      return { take: () => take(key), keep: (line) => keep(key, line) };
    },
    close(): void {
      for (const one of kept) drop(one);
    },
  };
}

interface Kept {
  readonly key: string;
  readonly line: AgentConnection;
  readonly timer: NodeJS.Timeout;
}
