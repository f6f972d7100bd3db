import type { ExecEnd, ExecOptions, Workspace } from '../../src/engine/cluster.ts';
import { createBareWorkspace } from './bare-workspace.ts';

/** A container with an attacker's `sh`, which responds with anything. */
export interface LyingContainer {
  readonly workspace: Workspace;
  /** Writes to standard output, over the newest connection or the one with this number. False: c3 has closed it. */
  say(words: string | Uint8Array, connection?: number): Promise<boolean>;
  /** Writes to standard error. */
  mutter(bytes: Uint8Array): Promise<void>;
  /** Repeats the text until c3 closes the connection, or up to the given number; returns how often. */
  repeat(words: Uint8Array, most: number): Promise<number>;
  readonly execCount: number;
  /** All that c3 has sent. */
  readonly heard: string;
}

/** @param greeting the first output of each connection; default: the agent's hello */
export function createLyingContainer(greeting = 'R 1 2\n'): LyingContainer {
  const connections: { options: ExecOptions; isOver: boolean }[] = [];
  let heard = '';

  async function say(words: string | Uint8Array, at = connections.length - 1): Promise<boolean> {
    const connection = connections[at];
    if (!connection || connection.isOver) return false;
    await connection.options.onStdout(Buffer.from(words));
    // As between two frames of a socket.
    await new Promise((resolve) => setImmediate(resolve));
    return !connection.isOver;
  }

  const workspace = createBareWorkspace(async (_container, _argv, options) => {
    const connection = { options, isOver: false };
    connections.push(connection);
    const done = Promise.withResolvers<ExecEnd>();
    function close(): void {
      connection.isOver = true;
      done.resolve({ kind: 'cut', message: 'closed by c3' });
    }
    options.signal.addEventListener('abort', close, { once: true });
    if (greeting !== '') await options.onStdout(Buffer.from(greeting));
    const session = {
      done: done.promise,
      close,
      write: (text: string | Uint8Array) => {
        heard += Buffer.from(text).toString();
        return Promise.resolve();
      },
    };
    return { kind: 'open', session };
  });

  return {
    workspace,
    say,
    async mutter(bytes) {
      await connections.at(-1)?.options.onStderr(bytes);
    },
    async repeat(words, most) {
      for (let said = 1; said <= most; said += 1) if (!(await say(words))) return said;
      return most + 1;
    },
    get execCount() {
      return connections.length;
    },
    get heard() {
      return heard;
    },
  };
}
