import { defineConfig } from 'vitest/config';
import { TEST_MS, WAIT_MS } from './test/time-limits.ts';

/** The suites that need a browser; `npm run test:browser` finds or installs one and runs them. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts'],
    globalSetup: ['test/browser/find-chromium.ts'],
    testTimeout: TEST_MS,
    hookTimeout: TEST_MS,
    expect: { poll: { timeout: WAIT_MS } },
  },
});

export default config;
