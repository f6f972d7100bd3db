import { Worker } from 'node:worker_threads';
import type { Finished, Job } from './worker.ts';

/** Runs targets in a thread of their own, so that an input that never comes back is found out too. */
export interface Fuzzer {
  /** Undefined when everything held, else what broke and how to see it again. */
  run(job: Job): Promise<string | undefined>;
  close(): Promise<void>;
}

/**
 * One input takes microseconds; this much is a loop without end, or work that grows faster than the input. Generous, since a
 * machine that is busy with other things may stop any thread for a while.
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
      // Before the first input the thread loads its modules, which is nobody's fault.
      if (now !== last || now === 0) {
        last = now;
        return;
      }
      void current.terminate();
      worker = undefined;
      settle(`${target} did not come back from input ${now} of seed ${seed} within ${MAX_INPUT_MS / 1000} s`);
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
