import type { Cluster, Workspace, WorkspaceAnswer, WorkspaceRequest } from '../../src/engine/cluster.ts';
import { NEVER } from './contract-fixture.ts';
import type { ContractFixture } from './contract-fixture.ts';
import { WAIT_MS } from '../time-limits.ts';

/** Orders for workspaces of the run, and what comes of them. */
export interface Orders {
  /** A Pod of one sleeping container, "a". `stem`: of its name. */
  order(stem: string, changes?: Partial<WorkspaceRequest>): WorkspaceRequest;
  answerTo(wanted: WorkspaceRequest, options?: AnswerOptions): Promise<{ answer: WorkspaceAnswer; reasons: string[] }>;
  /** Fails when there is no workspace to be had. */
  open(wanted: WorkspaceRequest, options?: AnswerOptions): Promise<Workspace>;
}

export interface AnswerOptions {
  readonly startTimeoutMs?: number;
  /** Default: the fixture's. */
  readonly by?: Cluster;
  readonly reasons?: string[];
}

export function createOrders(fixture: ContractFixture): Orders {
  const { cluster, adopt, alone, podName } = fixture;
  async function answerTo(
    wanted: WorkspaceRequest,
    { startTimeoutMs = WAIT_MS, by = cluster(), reasons = [] }: AnswerOptions = {},
  ): Promise<{ answer: WorkspaceAnswer; reasons: string[] }> {
    const options = { signal: NEVER, startTimeoutMs, onWaiting: (reason: string) => void reasons.push(reason) };
    const answer = await by.openWorkspace(wanted, options);
    if (answer.kind === 'ready') adopt(answer.workspace.name);
    return { answer, reasons };
  }
  return {
    order: (stem, changes = {}) => ({
      manifest: { metadata: { name: podName(stem) }, spec: alone() },
      scope: 'example.com/contract/contract',
      trustClass: 'other',
      root: '/c3/.c3',
      buildId: 'build',
      isResumed: false,
      reuse: true,
      idleMs: 600_000,
      maxAgeMs: 600_000,
      neededMs: 60_000,
      ...changes,
    }),
    answerTo,
    async open(wanted, options) {
      const { answer } = await answerTo(wanted, options);
      if (answer.kind !== 'ready') throw new Error(JSON.stringify(answer));
      return answer.workspace;
    },
  };
}

/** What a shell prints in container "a"; empty also where the cluster refuses the exec. */
export async function run(workspace: Pick<Workspace, 'exec'>, script: string): Promise<string> {
  let output = '';
  const options = { signal: NEVER, onStdout: (chunk: Uint8Array) => void (output += Buffer.from(chunk).toString()) };
  const answer = await workspace.exec('a', ['sh', '-c', script], { ...options, onStderr: () => undefined });
  if (answer.kind === 'open') await answer.session.done;
  return output;
}
