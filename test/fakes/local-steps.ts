import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { createStepAgent, type StepAgent, type StepAgentOptions } from '../../src/agent/step-agent.ts';
import { runStep, type LogEnd, type StepLimits, type StepResult } from '../../src/agent/step.ts';
import { isLong } from '../random.ts';
import {
  createLocalWorkspace,
  isShellInstalled,
  toLocalBuildId,
  type LocalWorkspace,
  type LocalWorkspaceOptions,
  type Shell,
} from './local-workspace.ts';
import { WAIT_MS } from '../time-limits.ts';

/** The shells of this machine, for what a shell could do differently. */
export const shells: Shell[] = (['dash', 'bash', 'busybox'] as const).filter(isShellInstalled);
/** One of them, for what does not depend on the shell; all in `npm run test:long`. */
export const someShells: Shell[] = isLong ? shells : shells.slice(0, 1);

const LIMITS: StepLimits = { outOfReachMs: 60_000, reconnectMs: 10, graceSeconds: 1, answerMs: 60_000 };
const SILENCE_MS = 30_000;

/** Steps of one build in a workspace of this machine, closed after the test. */
export interface LocalSteps {
  readonly workspace: LocalWorkspace;
  readonly buildId: string;
  readonly controller: AbortController;
  /** The directory of c3's files. */
  readonly root: string;
  /** The logs of the steps so far, from their files, as latin1. */
  text(): string;
  /** Resolves when the log contains the text. */
  seen(text: string): Promise<unknown>;
  run(script: string, options?: LocalStepOptions): Promise<StepResult>;
  /** Sweeps with the given agent; default: the agent of the steps. */
  sweep(agent?: StepAgent): Promise<boolean | undefined>;
  /** Opens another agent, by default of the same build and holder; it is closed after the test. */
  openAgent(changes?: Partial<StepAgentOptions>): StepAgent;
}

interface LocalStepOptions {
  readonly env?: Record<string, string>;
  /** Default: `project` in the workspace's directory. */
  readonly workdir?: string;
  readonly mayStartElsewhere?: boolean;
  readonly timeoutMs?: number;
  readonly stepId?: string;
  readonly agent?: StepAgent;
  /** The epoch of the agent that a cancel opens. */
  readonly epoch?: number;
  /** Instead of `controller`. */
  readonly signal?: AbortSignal;
  /** False: `text` does not have its log. */
  readonly isRead?: boolean;
  readonly onLog?: (end: LogEnd) => void;
}

interface LocalStepsOptions extends Pick<LocalWorkspaceOptions, 'without' | 'env'> {
  /** The name of the directory with c3's files. */
  readonly rootName?: string;
}

/** Called in a test. */
export function setUp(shell: Shell, { rootName = 'c3', ...options }: LocalStepsOptions = {}): LocalSteps {
  const workspace = createLocalWorkspace(shell, options);
  const open: { close(): void }[] = [workspace];
  onTestFinished(() => {
    for (const one of open.toReversed()) one.close();
  });
  const buildId = toLocalBuildId();
  const controller = new AbortController();
  const root = join(workspace.directory, rootName);
  /** The steps whose logs are read, in order. */
  const logs: string[] = [];
  function openAgent(changes: Partial<StepAgentOptions> = {}): StepAgent {
    const options: StepAgentOptions = { buildId, epoch: 1, roots: [root, `${root}.second`], silenceMs: SILENCE_MS };
    const agent = createStepAgent(workspace, 'main', { ...options, ...changes });
    open.push(agent);
    return agent;
  }
  function text(): string {
    const files = logs.map((stepId) => join(root, buildId, `${stepId}.log`));
    return files.map((file) => (existsSync(file) ? readFileSync(file, 'latin1') : '')).join('');
  }
  const own = openAgent();
  return {
    workspace,
    buildId,
    controller,
    root,
    text,
    seen: (wanted) => vi.waitUntil(() => text().includes(wanted), { timeout: WAIT_MS, interval: 5 }),
    async run(script, { env = {}, workdir, timeoutMs = 60_000, stepId = 's1', ...options } = {}) {
      if (options.isRead !== false) logs.push(stepId);
      return await runStep(
        options.agent ?? own,
        {
          buildId,
          stepId,
          proof: `proof-${stepId}`,
          workdir: workdir ?? join(workspace.directory, 'project'),
          mayStartElsewhere: options.mayStartElsewhere === true,
          env: { C3_BUILD_ID: buildId, ...env },
          script,
          timeoutMs,
        },
        {
          signal: options.signal ?? controller.signal,
          lost: workspace.lost,
          openAgent: () => openAgent({ epoch: options.epoch ?? 1 }),
          limits: LIMITS,
          ...(options.onLog ? { onLog: options.onLog } : {}),
        },
      );
    },
    openAgent,
    async sweep(agent = own) {
      const answer = await agent.perform(`sweep ${buildId}\n`, (frame) =>
        frame.kind === 'swept' ? frame.isClean : undefined,
      );
      return answer.kind === 'answered' ? answer.value : undefined;
    },
  };
}

/** Returns whether the process exists and is no zombie. */
export function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
