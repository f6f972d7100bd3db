import type { Environment } from 'vitest/runtime';

type Close = () => Promise<void> | void;

const shared = globalThis as { c3TestCloses?: Close[] };

/** Registers what ends something that the test files of this worker share. */
export function onWorkerEnd(close: Close): void {
  shared.c3TestCloses ??= [];
  shared.c3TestCloses.push(close);
}

/** vitest's environment of all tests: Node's own, and at the end of a worker what {@link onWorkerEnd} has registered. */
const environment: Environment = {
  name: 'worker',
  viteEnvironment: 'ssr',
  setup: () => ({
    async teardown(): Promise<void> {
      for (const close of shared.c3TestCloses?.splice(0).toReversed() ?? []) await close();
    },
  }),
};

export default environment;
