import { randomBytes } from 'node:crypto';
import type { Workspace } from '../../src/engine/cluster.ts';
import { createStepAgent, type StepAgent } from '../../src/agent/step-agent.ts';
import { readLog } from '../../src/agent/read-log.ts';
import { DEFAULT_STEP_LIMITS, runStep } from '../../src/agent/step.ts';
import { createClusterPool, type ClusterPool } from '../../src/kube/index.ts';
import { time, toOrder, type Bare } from '../bare.ts';
import type { Builds } from '../builds.ts';
import type { Row } from '../measure.ts';

const BYTES = 500_000_000;
/** One takes some ten seconds. */
const RUNS = 5;
const MAKE = `yes 'a line of a log that is neither long nor short' | head -c ${BYTES} > /c3/big`;

/** A step's output, from its beginning to the last byte at a reader of the raw log. Both run in this process. */
export function createOutputRow(kubeconfig: string, builds: Builds, bare: Bare): Row {
  let opened: { pool: ClusterPool; workspace: Workspace } | undefined;

  async function prepare(): Promise<void> {
    const pool = createClusterPool({ allowNets: ['127.0.0.0/8'] });
    const order = { ...toOrder(builds.manifest), scope: 'git.example.com/acme/output' };
    const options = { signal: new AbortController().signal, startTimeoutMs: 60_000, onWaiting: () => {} };
    const answer = await pool.getCluster(kubeconfig).openWorkspace(order, options);
    if (answer.kind !== 'ready') throw new Error(JSON.stringify(answer));
    opened = { pool, workspace: answer.workspace };
    await bare.exec(answer.workspace.name, 'main', ['sh', '-c', MAKE]);
  }
  function get(): Workspace {
    if (opened === undefined) throw new Error('the row was not prepared');
    return opened.workspace;
  }

  async function c3(): Promise<number> {
    const workspace = get();
    const buildId = randomBytes(6).toString('hex');
    const open = (isReader: boolean): StepAgent =>
      createStepAgent(workspace, 'main', {
        buildId,
        epoch: workspace.epoch,
        isReader,
        roots: ['/c3/.c3', '/tmp/.c3'],
        silenceMs: 45_000,
      });
    const [agent, reader] = [open(false), open(true)];
    const signal = new AbortController().signal;
    const started = Promise.withResolvers<void>();
    const what = { workdir: '/c3', env: {}, script: 'cat /c3/big', timeoutMs: 300_000 };
    const launch = { buildId, stepId: 's0', proof: 'proof', ...what };
    const ms = await time(async () => {
      const ended = runStep(agent, launch, {
        signal,
        lost: workspace.lost,
        limits: DEFAULT_STEP_LIMITS,
        openAgent: () => open(false),
        onOutput: () => started.resolve(),
        onCut: () => {},
      });
      await started.promise;
      const reading = await readLog(reader, { buildId, stepId: 's0', from: 0 }, { signal, onOutput: () => {} });
      const result = await ended;
      if (reading.kind !== 'whole' || reading.to !== BYTES) throw new Error(JSON.stringify(reading));
      if (result.kind !== 'exited' || result.exitCode !== 0) throw new Error(JSON.stringify(result));
    });
    await bare.exec(workspace.name, 'main', ['rm', '-rf', `/c3/.c3/${buildId}`]);
    agent.close();
    reader.close();
    return ms;
  }

  return {
    name: '500 MB of output to the reader of the raw log',
    against: 'the same by a bare exec',
    atMost: 1.3,
    defaultRuns: RUNS,
    prepare,
    c3,
    async bare(): Promise<number> {
      const { ms, bytes } = await bare.exec(get().name, 'main', ['cat', '/c3/big']);
      if (bytes !== BYTES) throw new Error(`a bare exec brought ${bytes} bytes of ${BYTES}`);
      return ms;
    },
    async finish(): Promise<void> {
      await opened?.workspace.release({ isClean: false });
      await opened?.pool.close();
    },
  };
}
