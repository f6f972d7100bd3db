import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startKubernetes } from '../../dev/kubernetes/kubernetes.ts';

/**
 * `npm run test:cluster [-- FILTER]`: starts a real Kubernetes (the first time it builds it), runs the suites of this
 * folder on it, and stops it. With KUBECONFIG it uses that cluster. Its Pods must reach C3_TEST_FORGE_HOST, an
 * address of this machine.
 */
const kubernetes = await startKubernetes({ registry: true });
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const config = fileURLToPath(new URL('../../vitest.cluster.config.ts', import.meta.url));
const filters = process.argv.slice(2);

/** Suites that break parts of the cluster: no other suite may run at the same time. */
const ALONE = 'test/cluster/alone/**';

/** One more than the cores of a small machine, because the suites mostly wait for the cluster. */
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
  // The terminal's Ctrl-C reaches vitest too. It ends by itself, and then the cluster is stopped.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** Returns the facts about a cluster that was started here; none about another one. */
function toFacts(podGateway: string | undefined): Record<string, string> {
  return podGateway === undefined ? {} : { C3_TEST_FORGE_HOST: podGateway, C3_TEST_OWN_CLUSTER: '1' };
}
