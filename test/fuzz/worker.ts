import { parentPort, workerData } from 'node:worker_threads';
import { targets } from './targets.ts';

/** A request to the worker. It answers with a {@link Finished}. */
export interface Job {
  readonly target: string;
  readonly runs: number;
  readonly seed: number;
}

/** `failure`: fast-check's report; undefined if all properties held. */
export interface Finished {
  readonly failure: string | undefined;
}

const { inputs } = workerData as { inputs: Int32Array };
const port = parentPort;

port?.on('message', ({ target, runs, seed }: Job) => {
  const chosen = targets.find(({ name }) => name === target);
  // The fuzzer sees in shared memory that the next input has begun.
  const onRun = (): void => void Atomics.add(inputs, 0, 1);
  Promise.resolve(chosen?.check({ runs, seed, onRun })).then(
    () => port.postMessage({ failure: undefined } satisfies Finished),
    (error: unknown) => port.postMessage({ failure: toReport(error) } satisfies Finished),
  );
});

/** Returns fast-check's report with the way to reproduce the failure, and the cause. */
function toReport(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause, message } = error;
  return cause instanceof Error ? `${message}\n${cause.stack ?? cause.message}` : message;
}
