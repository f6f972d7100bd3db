import type { Workspace } from '../engine/cluster.ts';
import { untilAborted } from '../limiter.ts';
import { openConnection } from './connection.ts';
import type { AgentAnswer, AgentConnection, ConnectionOptions, Cut, OnFrame, Ready } from './connection.ts';

/**
 * c3's access to one container for one build. It opens a connection when one is needed, keeps it over the steps,
 * opens another after a cut, and leaves it to the next build in the workspace.
 */
export interface StepAgent {
  /**
   * Sends one command and passes each frame to `onFrame` until it returns a value. Runs one command at a time. Rejects
   * only with what `onFrame` throws.
   */
  perform<T>(command: string, onFrame: OnFrame<T>): Promise<AgentAnswer<T>>;
  /** Opens the connection, and waits for the agent. */
  ready(): Promise<Ready>;
  /** Drops the connection. The next command opens another. */
  reset(): void;
  /** Ends this agent and returns its connection to the pool. Call it only between commands. */
  release(): void;
  close(): void;
}

export interface StepAgentOptions extends ConnectionOptions {
  /** Returns whether the next connection begins with the mode `clear`. */
  readonly mustClear?: () => boolean;
  /** Connections that earlier builds left open into this very container. */
  readonly kept?: KeptConnections | undefined;
}

/** Where an agent runs. `lost` is missing where the agent only reads. */
export type AgentPlace = Pick<Workspace, 'exec'> & Partial<Pick<Workspace, 'lost'>>;

/** Nothing in the container shows any more what ran, so nothing may be started: it might run twice. */
const FILES_REMOVED = 'the files of the build in the container were removed';

export function createStepAgent(workspace: AgentPlace, container: string, options: StepAgentOptions): StepAgent {
  const { lost } = workspace;
  let connection: Promise<AgentConnection> | undefined;
  let begunAtMs: number | undefined;
  let loss: Promise<string | undefined> | undefined;
  let isClosed = false;

  async function open(): Promise<AgentConnection> {
    const { kept: pool, mustClear, ...own } = options;
    const chosen: ConnectionOptions = mustClear?.() === true ? { ...own, mode: 'clear' } : own;
    const kept = pool?.pop();
    if (kept !== undefined && (await kept.begin(chosen))) return kept;
    kept?.close();
    return await openConnection(workspace, container, chosen);
  }

  async function perform<T>(command: string, onFrame: OnFrame<T>): Promise<AgentAnswer<T>> {
    if (isClosed) return { kind: 'cut', message: 'the connection was closed', isFinal: true };
    connection ??= open();
    const opened = await connection;
    // The first command does not wait for the agent to be ready: it follows right behind.
    if (begunAtMs === undefined) void opened.ready.then(noteBegin);
    else if (!noteBegin(await opened.ready)) return { kind: 'cut', message: FILES_REMOVED, isFinal: true };
    const answer = await opened.perform(command, onFrame);
    if (answer.kind !== 'cut') return answer;
    reset();
    return await explain(answer);
  }

  /** Adds the cluster's reason to a final cut, where it has one. The cluster is asked once for all commands. */
  async function explain(cut: Cut): Promise<Cut> {
    const { isShellMissing, ...plain } = cut;
    // A container that had a shell before has not lost it: the container is ending.
    const isEnding = isShellMissing === true ? begunAtMs !== undefined : cut.isRefused === true;
    if (!cut.isFinal || !isEnding || !lost) return cut;
    loss ??= awaitLoss({ lost });
    return { ...plain, message: (await loss) ?? cut.message };
  }

  /** Returns false when c3 has come here before with this build and nothing is left of that. */
  function noteBegin(arrival: Ready): boolean {
    // A reader may come before the build.
    if (arrival.kind === 'answered') begunAtMs ||= arrival.value.begunAtMs;
    return arrival.kind === 'cut' || arrival.value.begunAtMs === begunAtMs;
  }

  function reset(): void {
    void connection?.then((opened) => opened.close());
    connection = undefined;
  }

  return {
    perform,
    async ready() {
      connection ??= open();
      return await (
        await connection
      ).ready;
    },
    reset,
    release(): void {
      isClosed = true;
      void connection?.then((opened) => (options.kept ? options.kept.keep(opened) : opened.close()));
      connection = undefined;
    },
    close(): void {
      isClosed = true;
      reset();
    },
  };
}

/**
 * A node reports the end of a container 0.5 to 2 s after the last connection is possible, and later if the node is
 * busy.
 */
const LOSS_MS = 10_000;

/**
 * Waits for the cluster's message about the loss of a workspace. Resolves with undefined when none comes within ten
 * seconds.
 */
export async function awaitLoss({ lost }: Pick<Workspace, 'lost'>): Promise<string | undefined> {
  return await untilAborted(lost, AbortSignal.timeout(LOSS_MS));
}

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

/** The next push usually comes within minutes. An idle exec costs a goroutine in an API server. */
const KEEP_MS = 10 * 60_000;

/** Across all clusters of a process. */
const MAX_CONNECTIONS = 200;

export function createConnectionPool({
  keepMs = KEEP_MS,
  maxConnections = MAX_CONNECTIONS,
}: { readonly keepMs?: number; readonly maxConnections?: number } = {}): ConnectionPool {
  /** Oldest first. */
  const kept = new Set<Kept>();
  function remove(one: Kept): AgentConnection {
    clearTimeout(one.timer);
    kept.delete(one);
    return one.connection;
  }
  return {
    of(workspace, container) {
      const key = JSON.stringify([workspace.key, container]);
      return {
        pop() {
          for (const one of kept) if (one.connection.isOver) remove(one);
          // The newest: the connections of a wide build that no other build needs then expire.
          const found = [...kept].findLast((one) => one.key === key);
          return found && remove(found);
        },
        keep(connection) {
          const [oldest] = kept;
          if (oldest && kept.size >= maxConnections) remove(oldest).close();
          const one: Kept = { key, connection, timer: setTimeout(() => remove(one).close(), keepMs).unref() };
          kept.add(one);
        },
      };
    },
    close(): void {
      for (const one of kept) remove(one).close();
    },
  };
}

interface Kept {
  readonly key: string;
  readonly connection: AgentConnection;
  readonly timer: NodeJS.Timeout;
}
