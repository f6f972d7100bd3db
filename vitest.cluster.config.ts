import { defineConfig } from 'vitest/config';

/** The suites that need a real cluster; `npm run test:cluster` starts one and runs them one after another. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: ['test/cluster/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 240_000,
    hookTimeout: 120_000,
  },
});

export default config;
