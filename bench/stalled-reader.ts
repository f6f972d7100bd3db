import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type * as StepAgentModule from '../src/agent/step-agent.ts';
import type { Workspace } from '../src/engine/cluster.ts';
import type * as ReadLogModule from '../src/agent/read-log.ts';
import type * as ExecModule from '../src/kube/exec.ts';
import type * as KubeconfigModule from '../src/kube/kubeconfig.ts';

/**
 * Loaded into a built c3 with `--import`: at SIGUSR2 that process opens a reader of a step's log that takes the first bytes and no
 * more, as a browser does that has gone to sleep. So its memory is that of c3 and the reader together.
 */
export interface StalledReaderOrder {
  readonly kubeconfig: string;
  readonly pod: string;
  readonly container: string;
  readonly buildId: string;
  readonly stepId: string;
}

/** Where the order is when the signal comes: a path. */
export const ORDER_VARIABLE = 'BENCH_STALLED_READER';
/** Printed once the reader is stalled. */
export const STALLED = 'the reader is stalled';

const path = process.env[ORDER_VARIABLE];
if (path !== undefined) process.once('SIGUSR2', () => void read(path));

async function read(orderPath: string): Promise<void> {
  const order = JSON.parse(readFileSync(orderPath, 'utf8')) as StalledReaderOrder;
  const main = pathToFileURL(process.argv[1] ?? '');
  const load = async (file: string): Promise<unknown> => await import(new URL(file, main).href);
  const { createStepAgent } = (await load('engine/agent.js')) as typeof StepAgentModule;
  const { readLog } = (await load('engine/read-log.js')) as typeof ReadLogModule;
  const { createExecClient } = (await load('kube/exec.js')) as typeof ExecModule;
  const { parseKubeconfig } = (await load('kube/kubeconfig.js')) as typeof KubeconfigModule;
  const access = parseKubeconfig(order.kubeconfig);
  const execs = createExecClient(access);
  const workspace: Pick<Workspace, 'id' | 'epoch' | 'exec'> = {
    id: order.pod,
    epoch: 0,
    exec: async (container, argv, options) =>
      await execs.open({ namespace: access.namespace, pod: order.pod, container, argv }, options),
  };
  const agent = createStepAgent(workspace, order.container, {
    buildId: order.buildId,
    epoch: 0,
    isReader: true,
    roots: ['/c3/.c3', '/tmp/.c3'],
    silenceMs: 45_000,
  });
  const { buildId, stepId } = order;
  await readLog(
    agent,
    { buildId, stepId, from: 0 },
    {
      signal: new AbortController().signal,
      onOutput: async () => {
        process.stdout.write(`${STALLED}\n`);
        await new Promise(() => {});
      },
    },
  );
}
