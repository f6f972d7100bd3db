import { defineConfig } from 'vitest/config';
import { CLUSTER_TEST_MS, TEST_MS, WAIT_MS } from './test/time-limits.ts';

/** The suites that need a real cluster; `npm run test:cluster` starts one and runs them one after another. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: ['test/cluster/**/*.test.ts'],
    fileParallelism: false,
    environment: './test/worker.ts',
    testTimeout: CLUSTER_TEST_MS,
    hookTimeout: TEST_MS,
    expect: { poll: { timeout: WAIT_MS } },
  },
});

export default config;
