import { describe, expect, it } from 'vitest';
import type { StepAgent } from './step-agent.ts';
import type { Frame } from './frames.ts';
import { DEFAULT_STEP_LIMITS, runStep, type StepResult } from './step.ts';

const RECONNECT_MS = 10;

/**
 * The outcome of a step whose connections bring these frames and are then cut. After the last one the step has
 * passed.
 */
interface Followed {
  readonly result: StepResult;
  /** Milliseconds between two connections. */
  readonly pauses: readonly number[];
}

async function follow(connections: readonly (readonly Frame[])[]): Promise<Followed> {
  const begun: number[] = [];
  const agent: StepAgent = {
    async perform(_command, onFrame) {
      const frames = connections[begun.length];
      begun.push(performance.now());
      for (const frame of frames ?? [exit()]) {
        const value = await onFrame(frame);
        if (value !== undefined) return { kind: 'answered', value };
      }
      return { kind: 'cut', message: 'cut', isFinal: false };
    },
    reset: () => {},
    close: () => {},
  } as StepAgent;
  const result = await runStep(
    agent,
    { buildId: 'b', stepId: 's', workdir: '/c3/project', env: {}, script: ':', timeoutMs: 60_000, proof: 'p' },
    {
      signal: new AbortController().signal,
      lost: new Promise(() => {}),
      openAgent: () => agent,
      limits: { ...DEFAULT_STEP_LIMITS, reconnectMs: RECONNECT_MS },
    },
  );
  return { result, pauses: begun.slice(1).map((at, index) => at - (begun[index] ?? 0)) };
}

function exit(): Frame {
  return { kind: 'exit', offset: 0, exitCode: 0, why: 'exited', proof: 'p' };
}

const ALIVE: Frame = { kind: 'heartbeat', size: 0 };

describe('the wait for a step over many connections', () => {
  it('has a longer pause after each connection that broke early', async () => {
    const { result, pauses } = await follow(Array.from({ length: 6 }, () => [ALIVE]));
    expect(result).toEqual({ kind: 'exited', exitCode: 0 });
    // A timer may be a millisecond early, and as late as the machine likes.
    for (const [index, pause] of pauses.entries()) expect(pause).toBeGreaterThanOrEqual(RECONNECT_MS * 2 ** index - 1);
  });
});
