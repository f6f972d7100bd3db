import { setTimeout as sleep } from 'node:timers/promises';
import type { StepAgent } from './step-agent.ts';
import type { Frame } from './frames.ts';

export interface LogPlace {
  readonly buildId: string;
  readonly stepId: string;
  /** Where to begin, in bytes. */
  readonly from: number;
}

export interface LogReader {
  /** Aborted: no more is wanted. */
  readonly signal: AbortSignal;
  /** The raw log: nothing left out, nothing masked. The promise slows the reading, never the step. */
  onOutput(bytes: Uint8Array): Promise<void> | void;
}

export type LogReading =
  /** To its end, `to` bytes: the step has ended, however. */
  | { readonly kind: 'whole'; readonly to: number }
  | { readonly kind: 'aborted' }
  /** `to`: where to go on. */
  | { readonly kind: 'failed'; readonly to: number; readonly message: string };

/** Connections that brought nothing, one after another, before it is given up. */
const MAX_FRUITLESS = 8;
const RECONNECT_MS = 250;

/**
 * Reads a step's log from the Pod, byte for byte, from an offset to its end; while the step still runs, as it is written. Goes on
 * over cut connections. The agent should be a reader's (`ConnectionOptions.isReader`), so that it disturbs no build.
 */
export async function readLog(agent: StepAgent, place: LogPlace, reader: LogReader): Promise<LogReading> {
  const { signal } = reader;
  const drop = (): void => agent.reset();
  signal.addEventListener('abort', drop, { once: true });
  try {
    return await read(agent, place, reader);
  } finally {
    signal.removeEventListener('abort', drop);
  }
}

async function read(agent: StepAgent, { buildId, stepId, from }: LogPlace, reader: LogReader): Promise<LogReading> {
  const { signal, onOutput } = reader;
  let offset = from;
  let fruitless = 0;

  async function onFrame(frame: Frame): Promise<LogReading | 'again' | undefined> {
    switch (frame.kind) {
      case 'data':
        if (signal.aborted) return { kind: 'aborted' };
        if (frame.offset !== offset) return 'again';
        fruitless = 0;
        offset += frame.bytes.length;
        await onOutput(frame.bytes);
        return undefined;
      case 'heartbeat':
        fruitless = 0;
        return undefined;
      case 'exit':
        return frame.offset === offset ? { kind: 'whole', to: offset } : 'again';
      case 'lost':
        return { kind: 'failed', to: offset, message: frame.message };
      case 'never-started':
        return { kind: 'failed', to: offset, message: 'there is no such log in the container' };
      case 'skipped':
      case 'part-sent':
      case 'text':
      case 'told':
      case 'ready':
      case 'cancel-noted':
      case 'swept':
      case 'fault':
        return undefined;
    }
  }

  while (!signal.aborted) {
    const answer = await agent.perform(`read ${buildId} ${stepId} ${offset}\n`, onFrame);
    if (answer.kind === 'answered' && answer.value !== 'again') return answer.value;
    if (signal.aborted) break;
    fruitless += 1;
    const message = answer.kind === 'cut' ? answer.message : 'the log came out of order';
    if ((answer.kind === 'cut' && answer.isFinal) || fruitless > MAX_FRUITLESS)
      return { kind: 'failed', to: offset, message };
    agent.reset();
    await sleep(RECONNECT_MS, undefined, { ref: false });
  }
  return { kind: 'aborted' };
}
