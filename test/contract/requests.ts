import type { Cluster, Workspace, WorkspaceAnswer, WorkspaceRequest } from '../../src/engine/cluster.ts';
import { NEVER, type ContractFixture } from './contract-fixture.ts';
import { WAIT_MS } from '../time-limits.ts';

/** Requests for workspaces of the run, and their answers. */
export interface Requests {
  /** Creates a request for a Pod with one sleeping container, "a". Its name starts with `stem`. */
  request(stem: string, changes?: Partial<WorkspaceRequest>): WorkspaceRequest;
  answerTo(wanted: WorkspaceRequest, options?: AnswerOptions): Promise<{ answer: WorkspaceAnswer; reasons: string[] }>;
  /** Opens a workspace. Fails without one. */
  open(wanted: WorkspaceRequest, options?: AnswerOptions): Promise<Workspace>;
}

export interface AnswerOptions {
  readonly startTimeoutMs?: number;
  /** Default: the fixture's. */
  readonly by?: Cluster;
  readonly reasons?: string[];
}

export function createRequests(fixture: ContractFixture): Requests {
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
    request: (stem, changes = {}) => ({
      manifest: { metadata: { name: podName(stem) }, spec: alone() },
      scope: 'example.com/contract/contract',
      owner: 'branches',
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

/** Returns what a shell prints in container "a". It is empty when the cluster refuses the exec. */
export async function run(workspace: Pick<Workspace, 'exec'>, script: string): Promise<string> {
  let output = '';
  const options = { signal: NEVER, onStdout: (chunk: Uint8Array) => void (output += Buffer.from(chunk).toString()) };
  const answer = await workspace.exec('a', ['sh', '-c', script], { ...options, onStderr: () => undefined });
  if (answer.kind === 'open') await answer.session.done;
  return output;
}
