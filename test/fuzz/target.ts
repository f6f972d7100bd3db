import * as fc from 'fast-check';
import { C3Error } from '../../src/errors.ts';

/** A parser of untrusted input, with its properties for every input. */
export interface Target {
  /** In kebab-case. */
  readonly name: string;
  /** Rejects with fast-check's report if an input breaks a property. Calls `onRun` before each input. */
  check(options: CheckOptions): Promise<void>;
}

export interface CheckOptions {
  readonly runs: number;
  readonly seed: number;
  onRun(): void;
}

/** @param holds throws or rejects if the input breaks a property */
export function defineTarget<Input>(
  name: string,
  arbitrary: fc.Arbitrary<Input>,
  holds: (input: Input) => void | Promise<void>,
): Target {
  return {
    name,
    async check({ runs, seed, onRun }): Promise<void> {
      const property = fc.asyncProperty(arbitrary, async (input) => {
        onRun();
        await holds(input);
      });
      await fc.assert(property, { numRuns: runs, seed, verbose: 0 });
    },
  };
}

/**
 * Returns the result of `read`, or `refused` if it throws a C3Error of the closed list with a message that can be
 * shown.
 */
export function orRefusal<Output>(read: () => Output): Output | 'refused' {
  try {
    return read();
  } catch (error) {
    return checkRefusal(error);
  }
}

export async function orRefusalLater<Output>(read: () => Promise<Output>): Promise<Output | 'refused'> {
  try {
    return await read();
  } catch (error) {
    return checkRefusal(error);
  }
}

/** Longer than any message with its quotes, and shorter than a kubeconfig or a payload. */
const MAX_SENTENCE_LENGTH = 2_500;

function checkRefusal(error: unknown): 'refused' {
  if (!(error instanceof C3Error)) throw error;
  const { message } = error;
  ensure(message !== '' && message.length <= MAX_SENTENCE_LENGTH, 'a refusal is one sentence');
  ensure(error.code !== 'INTERNAL', 'a refusal is not an internal error');
  return 'refused';
}

/** @throws {Error} */
export function ensure(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`It does not hold that ${what}`);
}
