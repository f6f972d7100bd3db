import { expect, it } from 'vitest';
import { createBareWorkspace } from '../../test/fakes/bare-workspace.ts';
import type { ExecAnswer, Workspace } from '../engine/cluster.ts';
import { createStepAgent, type StepAgent } from './step-agent.ts';

/** An agent into a workspace that refuses every exec for good, and of which the cluster says nothing. */
function refuse(): { agent: StepAgent; execs: () => number; waits: () => number } {
  let execs = 0;
  let waits = 0;
  function exec(): Promise<ExecAnswer> {
    execs += 1;
    return Promise.resolve({ kind: 'refused', message: 'container not found ("main")', isTransient: false });
  }
  const workspace: Workspace = {
    ...createBareWorkspace(exec),
    get lost() {
      waits += 1;
      return new Promise<string>(() => {});
    },
  };
  const agent = createStepAgent(workspace, 'main', { buildId: 'b1', epoch: 1, roots: ['/a', '/b'], silenceMs: 1000 });
  return { agent, execs: () => execs, waits: () => waits };
}

it('answers with the refusal when the cluster reports no reason, after one wait for all commands', async () => {
  const { agent, execs, waits } = refuse();
  for (let asked = 0; asked < 3; asked += 1) {
    const answer = await agent.perform('sweep b1\n', () => undefined);
    expect(answer).toMatchObject({ kind: 'cut', message: 'container not found ("main")', isFinal: true });
  }
  expect(execs()).toBe(3);
  expect(waits()).toBe(1);
});
