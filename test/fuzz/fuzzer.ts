import { Worker } from 'node:worker_threads';
import type { Finished, Job } from './worker.ts';

/** Runs targets in their own thread, so that it can report an input that never returns. */
export interface Fuzzer {
  /** Resolves with undefined, or with the failure and how to reproduce it. */
  run(job: Job): Promise<string | undefined>;
  close(): Promise<void>;
}

/**
 * The time limit of one input, which takes microseconds: more means an endless loop, or work that grows faster than
 * the input. It is long because a busy machine may pause a thread.
 */
const MAX_INPUT_MS = 5_000;

export function createFuzzer(): Fuzzer {
  const inputs = new Int32Array(new SharedArrayBuffer(4));
  let worker: Worker | undefined;

  function start(): Worker {
    return new Worker(new URL('worker.ts', import.meta.url), { workerData: { inputs } });
  }

  function watch(current: Worker, { target, seed }: Job, settle: (failure: string | undefined) => void): () => void {
    let last = -1;
    const timer = setInterval(() => {
      const now = Atomics.load(inputs, 0);
      // Before the first input the thread loads its modules, which may take long.
      if (now !== last || now === 0) {
        last = now;
        return;
      }
      void current.terminate();
      worker = undefined;
      settle(`${target} did not return from input ${now} of seed ${seed} within ${MAX_INPUT_MS / 1000} s`);
    }, MAX_INPUT_MS);
    return () => clearInterval(timer);
  }

  return {
    run(job) {
      Atomics.store(inputs, 0, 0);
      const current = (worker ??= start());
      return new Promise((resolve) => {
        const onMessage = ({ failure }: Finished): void => settle(failure);
        const onError = (error: unknown): void => {
          worker = undefined;
          settle(`${job.target} ended its thread: ${String(error)}`);
        };
        const stopWatching = watch(current, job, settle);
        function settle(failure: string | undefined): void {
          stopWatching();
          current.off('message', onMessage).off('error', onError);
          resolve(failure);
        }
        current.once('message', onMessage).once('error', onError);
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
        current.postMessage(job);
      });
    },
    async close(): Promise<void> {
      await worker?.terminate();
    },
  };
}
