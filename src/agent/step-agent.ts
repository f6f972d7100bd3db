import type { Workspace } from '../engine/cluster.ts';
import type { Frame } from './frames.ts';
import {
  openConnection,
  type AgentAnswer,
  type Cut,
  type AgentConnection,
  type ConnectionOptions,
} from './connection.ts';
import type { KeptConnections } from './connection-pool.ts';
import { hearLoss } from './loss.ts';

/**
 * c3's way into one container for one build: a line that is opened when needed, kept over the steps, opened anew after a cut, and
 * left to the next build of the workspace.
 */
export interface StepAgent {
  /**
   * Sends one command and hands every frame to `onFrame` until that returns an answer. One command at a time. The promise of
   * `onFrame` is back-pressure. Never rejects.
   */
  perform<T>(
    command: string,
    onFrame: (frame: Frame) => T | undefined | Promise<T | undefined>,
  ): Promise<AgentAnswer<T>>;
  /** Opens the line ahead of the first command. */
  warmUp(): void;
  /** When c3 first came into the container with this build: epoch milliseconds by the clock of the c3 that came; of a reader's 0: not yet, or no more. */
  ready(): Promise<AgentAnswer<{ readonly begunAtMs: number }>>;
  /** Drops the line; the next command opens another. */
  reset(): void;
  /** Ends this agent; its line goes to the pool. Only when no command is under way. */
  leave(): void;
  close(): void;
}

export interface StepAgentOptions extends ConnectionOptions {
  /** Where lines of earlier builds into this very container wait. A second agent into a container has none. */
  readonly kept?: KeptConnections;
}

/** Where an agent goes. Nobody watches what becomes of one that is only read in. */
export type AgentPlace = Pick<Workspace, 'exec'> & Partial<Pick<Workspace, 'lost'>>;

/** Nothing in the container tells any more what ran, so nothing may be started: it might run twice. */
const FILES_REMOVED = 'the files of the build in the container were removed';

export function createStepAgent(workspace: AgentPlace, container: string, options: StepAgentOptions): StepAgent {
  const { lost } = workspace;
  let line: Promise<AgentConnection> | undefined;
  let begunAtMs: number | undefined;
  let loss: Promise<string | undefined> | undefined;
  let isClosed = false;

  async function open(): Promise<AgentConnection> {
    const kept = options.kept?.take();
    if (kept === undefined) return openConnection(workspace, container, options);
    if (await kept.begin(options)) return kept;
    kept.close();
    return openConnection(workspace, container, options);
  }

  async function perform<T>(
    command: string,
    onFrame: (frame: Frame) => T | undefined | Promise<T | undefined>,
  ): Promise<AgentAnswer<T>> {
    if (isClosed) return { kind: 'cut', message: 'the connection was closed', isFinal: true };
    line ??= open();
    const opened = await line;
    // The first time nothing is waited for: the command is on its way behind the arrival.
    if (begunAtMs === undefined) void opened.ready.then(noteBegin);
    else if (!noteBegin(await opened.ready)) return { kind: 'cut', message: FILES_REMOVED, isFinal: true };
    const answer = await opened.perform(command, onFrame);
    if (answer.kind !== 'cut') return answer;
    reset();
    return await explain(answer);
  }

  /** Says of what is over for good why, where the cluster knows. It is asked once: who comes later finds the same. */
  async function explain(cut: Cut): Promise<Cut> {
    const { isShellMissing, ...plain } = cut;
    // A container that had a shell before has not lost that: it is ending.
    const isEnding = isShellMissing === true ? begunAtMs !== undefined : cut.isRefused === true;
    if (!cut.isFinal || !isEnding || !lost) return cut;
    loss ??= hearLoss({ lost });
    return { ...plain, message: (await loss) ?? cut.message };
  }

  /** False: c3 has come here before with this build, and nothing is left of that. */
  function noteBegin(arrival: AgentAnswer<{ begunAtMs: number }>): boolean {
    // A reader may come before the build does.
    if (arrival.kind === 'answered') begunAtMs ||= arrival.value.begunAtMs;
    return arrival.kind === 'cut' || arrival.value.begunAtMs === begunAtMs;
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
    async ready() {
      line ??= open();
      return await (
        await line
      ).ready;
    },
    reset,
    leave(): void {
      isClosed = true;
      void line?.then((opened) => (options.kept && !opened.isOver ? options.kept.keep(opened) : opened.close()));
      line = undefined;
    },
    close(): void {
      isClosed = true;
      reset();
    },
  };
}
