import { setTimeout as sleep } from 'node:timers/promises';
import type { Gate } from './gate.ts';

export interface Pace {
  /** So many at once, */
  readonly burst: number;
  /** then so many a second. */
  readonly perSecond: number;
  /** Milliseconds, monotonic. Default: the process's. */
  now?(): number;
}

/** A gate that also lets nobody in sooner than a pace allows: who is too early waits inside (GCRA of ITU-T I.371). */
export function createPacedGate(gate: Gate, { burst, perSecond, now = () => performance.now() }: Pace): Gate {
  const intervalMs = 1000 / perSecond;
  let fullAt = 0;
  return {
    get size() {
      return gate.size;
    },
    async enter(signal) {
      const leave = await gate.enter(signal);
      if (!leave) return undefined;
      const at = now();
      fullAt = Math.max(fullAt, at) + intervalMs;
      const waitMs = fullAt - at - burst * intervalMs;
      if (waitMs <= 0) return leave;
      try {
        await sleep(waitMs, undefined, { signal });
        return leave;
      } catch {
        leave();
        return undefined;
      }
    },
  };
}
