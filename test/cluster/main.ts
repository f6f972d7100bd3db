import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startKubernetes } from '../../dev/kubernetes/kubernetes.ts';

/**
 * `npm run test:cluster [-- FILTER]`: starts a real Kubernetes (builds it first, once), runs the suites of this folder against it,
 * stops it. With KUBECONFIG set it uses that cluster; its Pods must then reach C3_TEST_FORGE_HOST, an address of this machine.
 */
const kubernetes = await startKubernetes({ registry: true });
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const config = fileURLToPath(new URL('../../vitest.cluster.config.ts', import.meta.url));
const filters = process.argv.slice(2);

/** Suites that break parts of the cluster, under which no other may run. */
const ALONE = 'test/cluster/alone/**';

/** Most of a suite is waiting for the cluster: one more at a time than a small machine has cores. */
const SIDE_BY_SIDE = ['--exclude', ALONE, '--fileParallelism', '--maxWorkers', '3'];
const ONE_BY_ONE = ['--exclude', 'test/cluster/*.test.ts'];

try {
  const codes: number[] = [];
  for (const options of [SIDE_BY_SIDE, ONE_BY_ONE])
    codes.push(await run(['run', '--config', config, '--passWithNoTests', ...options, ...filters]));
  process.exitCode = Math.max(...codes);
} finally {
  await kubernetes.stop();
}

function run(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [vitest, ...args], {
    stdio: 'inherit',
    env: { ...toFacts(kubernetes.podGateway), ...process.env, KUBECONFIG: kubernetes.kubeconfig },
  });
  // The terminal's Ctrl-C reaches vitest as well; it ends by itself, and the cluster is stopped after it.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** What is known of a cluster that was started here, and of no other. */
function toFacts(podGateway: string | undefined): Record<string, string> {
  return podGateway === undefined ? {} : { C3_TEST_FORGE_HOST: podGateway, C3_TEST_OWN_CLUSTER: '1' };
}
