import { createGate } from './gate.ts';
import type { Gate } from './gate.ts';

/** Turns at things that one may use at a time, each known by a key. */
export interface Turns {
  /** Keys that somebody uses or waits for. */
  readonly count: number;
  isTaken(key: string): boolean;
  /** As {@link Gate.enter}. Of a key that is not taken, the turn is taken before this returns. */
  enter(key: string, signal: AbortSignal): Promise<(() => void) | undefined>;
}

export function createTurns(): Turns {
  /** Only while somebody is in it or waits. */
  const gates = new Map<string, Gate>();

  function getGate(key: string): Gate {
    const gate = gates.get(key) ?? createGate(1);
    gates.set(key, gate);
    return gate;
  }
  function createLeave(key: string, leave: () => void): () => void {
    return () => {
      leave();
      if (isEmpty(gates.get(key))) gates.delete(key);
    };
  }

  return {
    get count(): number {
      return gates.size;
    },
    isTaken: (key: string): boolean => !isEmpty(gates.get(key)),
    async enter(key: string, signal: AbortSignal): Promise<(() => void) | undefined> {
      const gate = getGate(key);
      const leave = await gate.enter(signal);
      if (!leave && isEmpty(gate)) gates.delete(key);
      return leave && createLeave(key, leave);
    },
  };
}

function isEmpty(gate: Gate | undefined): boolean {
  return gate === undefined || gate.size.inside + gate.size.waiting === 0;
}
