import { defineConfig } from 'vitest/config';

/** The suites that need a browser; `npm run test:browser` finds or installs one and runs them. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts'],
    globalSetup: ['test/browser/find-chromium.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

export default config;
