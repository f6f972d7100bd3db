import type { Workspace } from '../engine/cluster.ts';
import type { AgentConnection } from './connection.ts';

/**
 * Connections that builds left open into warm workspaces, for the next build there. Opening a connection takes about
 * as long as a short step. There is one pool in a process.
 */
export interface ConnectionPool {
  /**
   * Finds the connections into one container, by the key of the workspace. A cluster can report the UID of another
   * cluster's Pod, so the UID is not the key (A5).
   */
  of(workspace: Pick<Workspace, 'key'>, container: string): KeptConnections;
  close(): void;
}

export interface KeptConnections {
  /** Removes and returns the newest connection that is still open. */
  pop(): AgentConnection | undefined;
  /** Adds a connection: steps that run at the same time have one each. */
  keep(connection: AgentConnection): void;
}

export interface ConnectionPoolLimits {
  readonly keepMs?: number;
  readonly maxConnections?: number;
}

/** The next push usually comes within minutes. An idle exec costs a goroutine in an API server. */
const KEEP_MS = 10 * 60_000;

/** Across all clusters of a process. */
const MAX_CONNECTIONS = 200;

export function createConnectionPool({
  keepMs = KEEP_MS,
  maxConnections = MAX_CONNECTIONS,
}: ConnectionPoolLimits = {}): ConnectionPool {
  /** Oldest first. */
  const kept = new Set<Kept>();
  /** The connections whose end this pool awaits. */
  const watched = new WeakSet<AgentConnection>();

  function forget(one: Kept): void {
    clearTimeout(one.timer);
    kept.delete(one);
  }
  function drop(one: Kept): void {
    forget(one);
    one.connection.close();
  }

  function pop(key: string): AgentConnection | undefined {
    // The newest connection: those of a wide build that no other build needs then expire.
    const found = [...kept].findLast((one) => one.key === key && !one.connection.isOver);
    if (found) forget(found);
    return found?.connection;
  }
  function keep(key: string, connection: AgentConnection): void {
    for (const oldest of kept) {
      if (kept.size < maxConnections) break;
      drop(oldest);
    }
    const one: Kept = { key, connection, timer: setTimeout(() => drop(one), keepMs).unref() };
    kept.add(one);
    // Once: a connection that comes back after each build would otherwise collect a listener each time.
    if (watched.has(connection)) return;
    watched.add(connection);
    void connection.over.then(() => {
      for (const ended of kept) if (ended.connection === connection) forget(ended);
    });
  }

  return {
    of(workspace, container) {
      const key = JSON.stringify([workspace.key, container]);
      return { pop: () => pop(key), keep: (connection) => keep(key, connection) };
    },
    close(): void {
      for (const one of kept) drop(one);
    },
  };
}

interface Kept {
  readonly key: string;
  readonly connection: AgentConnection;
  readonly timer: NodeJS.Timeout;
}
