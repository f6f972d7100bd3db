import { defineConfig } from 'vitest/config';
import { TEST_MS } from './test/time-limits.ts';

/** What `npm run mutation` runs against each mutant: the tests beside the files that are mutated, which need no world. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: [
      'src/sealing/*.test.ts',
      'src/forges/github/*.test.ts',
      'src/forges/gitlab/*.test.ts',
      'src/kube/*{kubeconfig,policy,pod-security}*.test.ts',
    ],
    testTimeout: TEST_MS,
  },
});

export default config;
