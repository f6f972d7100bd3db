import type { Workspace } from './cluster.ts';
import type { Frame } from './frames.ts';
import { openLine, type CourierAnswer, type Line, type LineOptions } from './line.ts';
import type { LinePool } from './line-pool.ts';

/**
 * c3's way into one container for one build: a line that is opened when needed, kept over the steps, opened anew after a cut, and
 * left to the next build of the workspace.
 */
export interface Courier {
  /**
   * Sends one command and hands every frame to `onFrame` until that returns an answer. One command at a time. The promise of
   * `onFrame` is back-pressure. Never rejects.
   */
  perform<T>(
    command: string,
    onFrame: (frame: Frame) => T | undefined | Promise<T | undefined>,
  ): Promise<CourierAnswer<T>>;
  /** Opens the line ahead of the first command. */
  warmUp(): void;
  /** Drops the line; the next command opens another. */
  reset(): void;
  /** Ends this courier; its line goes to the pool. Only when no command is under way. */
  leave(): void;
  close(): void;
}

export interface CourierOptions extends LineOptions {
  /** Where lines of earlier builds wait. A second courier into a container has none. */
  readonly pool?: LinePool;
}

export function createCourier(workspace: Workspace, container: string, options: CourierOptions): Courier {
  const key = `${workspace.id}/${container}`;
  let line: Promise<Line> | undefined;
  let isClosed = false;

  async function open(): Promise<Line> {
    const kept = options.pool?.take(key);
    if (kept === undefined) return openLine(workspace, container, options);
    if (await kept.begin(options.buildId)) return kept;
    kept.close();
    return openLine(workspace, container, options);
  }

  async function perform<T>(
    command: string,
    onFrame: (frame: Frame) => T | undefined | Promise<T | undefined>,
  ): Promise<CourierAnswer<T>> {
    if (isClosed) return { kind: 'cut', message: 'the connection was closed', isFinal: true };
    line ??= open();
    const opened = await line;
    const answer = await opened.perform(command, onFrame);
    if (answer.kind === 'cut') reset();
    return answer;
  }

  function reset(): void {
    void line?.then((opened) => opened.close());
    line = undefined;
  }

  return {
    perform,
    warmUp(): void {
      line ??= open();
    },
    reset,
    leave(): void {
      isClosed = true;
      void line?.then((opened) => (options.pool && !opened.isOver ? options.pool.keep(key, opened) : opened.close()));
      line = undefined;
    },
    close(): void {
      isClosed = true;
      reset();
    },
  };
}
