import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { TEST_MS, WAIT_MS } from './test/time-limits.ts';

/** Rooms whose tests need no process, no server and no clock of their own. */
const PURE = ['build', 'config', 'pipeline', 'reporters', 'sealing', 'show', 'terminal'];

const pure = [`src/{${PURE.join(',')}}/**/*.test.ts`, 'src/*.test.ts'];

/** Files that replace a module of Node: another file of the same worker may have loaded it before. */
const mocking = ['src/kube/address-policy.test.ts'];

/** No file has modules or a worker of its own: most of the time of a small file would be the start of them. */
const shared = {
  isolate: false,
  // Node reads the TypeScript as it does in production, and keeps what it compiled.
  experimental: { viteModuleRunner: false },
  // Each c3 that a test starts would compile its source anew.
  env: { NODE_COMPILE_CACHE: resolve('node_modules/.cache/compile') },
  environment: './test/worker.ts',
  setupFiles: ['test/setup.ts'],
  testTimeout: TEST_MS,
  hookTimeout: TEST_MS,
  expect: { poll: { timeout: WAIT_MS } },
};

/** Files that take longest start first, so that no worker is left with one at the end. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const ranks = [
      /\/test\/e2e\//,
      /\/test\/(?:attacks|contract|faults)\//,
      /\/src\/(?:engine|agent|cli|logs)\//,
      /\/dev\//,
    ];
    const rank = ({ moduleId }: TestSpecification): number => {
      const index = ranks.findIndex((path) => path.test(moduleId));
      return index === -1 ? ranks.length : index;
    };
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => rank(one) - rank(other));
  }
}

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    // Most tests wait for processes more than they compute. More workers than this make each process start so late that nothing is
    // gained: on two cores, twelve workers took longer than three, and used a third more processor time.
    maxWorkers: 2 * availableParallelism(),
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...shared,
          name: 'world',
          include: ['{src,dev,test}/**/*.test.ts'],
          exclude: [...pure, ...mocking, 'test/{browser,cluster}/**'],
        },
      },
      { test: { ...shared, name: 'mocking', include: mocking, isolate: true, experimental: {} } },
      { test: { ...shared, name: 'pure', include: pure, pool: 'threads' } },
    ],
  },
});

export default config;
