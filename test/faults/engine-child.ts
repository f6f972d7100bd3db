import { existsSync, readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import type { ExecAnswer, Workspace } from '../../src/engine/cluster.ts';
import { createStepAgent } from '../../src/agent/step-agent.ts';
import { DEFAULT_STEP_LIMITS, runStep } from '../../src/agent/step.ts';
import { createLocalWorkspace, type Shell } from '../fakes/local-workspace.ts';

/** The moment at which the process kills itself with SIGKILL. */
export type Death =
  | 'before its exec'
  | 'while it sends a launch'
  | 'while a step runs'
  | 'after a step has ended'
  | 'between two steps';

export interface EngineOrder {
  readonly shell: Shell;
  readonly directory: string;
  readonly buildId: string;
  readonly scripts: readonly string[];
  readonly death: Death;
}

// The process kills itself later, without writing the cache.
flushCompileCache();

/** Runs steps as c3 does, until the process kills itself. Its argument is an {@link EngineOrder} as JSON. */
const order = JSON.parse(process.argv[2] ?? '') as EngineOrder;
const { directory, buildId, death } = order;

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

const local = createLocalWorkspace(order.shell, { directory });
const workspace: Workspace = {
  ...local,
  async exec(container, argv, options): Promise<ExecAnswer> {
    if (death === 'before its exec') die();
    const answer = await local.exec(container, argv, options);
    if (answer.kind === 'refused') return answer;
    const { session } = answer;
    async function write(data: string | Uint8Array): Promise<void> {
      const isLaunch = String(data).startsWith('run ');
      await session.write(isLaunch && death === 'while it sends a launch' ? data.slice(0, data.length / 2) : data);
      if (isLaunch && death === 'while it sends a launch') die();
    }
    return { kind: 'open', session: { ...session, write } };
  },
};
const agent = createStepAgent(workspace, 'main', {
  buildId,
  epoch: 1,
  roots: [join(directory, 'c3'), join(directory, 'tmp')],
  silenceMs: 30_000,
});

function read(file: string): string {
  const path = join(directory, 'c3', buildId, file);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

for (const [index, script] of order.scripts.entries()) {
  const stepId = `s${index}`;
  if (death === 'while a step runs') {
    setInterval(() => {
      if (read(`${stepId}.log`).includes('started')) die();
    }, 5);
  }
  await runStep(
    agent,
    {
      buildId,
      stepId,
      proof: 'proof',
      workdir: join(directory, 'project'),
      env: { C3_BUILD_ID: buildId },
      script,
      timeoutMs: 60_000,
    },
    {
      signal: new AbortController().signal,
      lost: workspace.lost,
      limits: DEFAULT_STEP_LIMITS,
      openAgent: () => agent,
      onLog(): void {
        if (death === 'after a step has ended' && read(`${stepId}.exit`).includes('end')) die();
      },
    },
  );
  if (death === 'between two steps') die();
}
