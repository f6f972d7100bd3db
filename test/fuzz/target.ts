import * as fc from 'fast-check';
import { C3Error } from '../../src/errors.ts';

/** One reader of what others wrote, with what must hold of it for every input. */
export interface Target {
  /** In kebab-case. */
  readonly name: string;
  /** Rejects with fast-check's report when some input breaks it. `onRun` is called before each input. */
  check(options: CheckOptions): Promise<void>;
}

export interface CheckOptions {
  readonly runs: number;
  readonly seed: number;
  onRun(): void;
}

/** @param holds throws, or rejects, when the input breaks what must hold */
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

/** What `read` answers, or `refused` when it says no in the one way it may: a fault of the closed list, in a sentence that can be shown. */
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

/** Longer than any sentence with its quotes; a kubeconfig's or a payload's text would be longer. */
const MAX_SENTENCE_LENGTH = 2_500;

function checkRefusal(error: unknown): 'refused' {
  if (!(error instanceof C3Error)) throw error;
  const { message } = error;
  ensure(message !== '' && message.length <= MAX_SENTENCE_LENGTH, 'a refusal is one sentence');
  ensure(error.code !== 'INTERNAL', 'a refusal is no fault of c3 itself');
  return 'refused';
}

/** @throws {Error} */
export function ensure(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`It does not hold that ${what}`);
}
