import { expect, test } from 'vitest';
import { startBuild } from './build-run.ts';
import { useFaultCluster } from './fault-cluster.ts';

const faults = useFaultCluster();

/**
 * Acquires the Pod, runs one step that records its begin and its end, and releases the Pod. Resolves with the Pod's
 * id.
 */
async function build(number: number, reasons: string[] = []): Promise<string> {
  const answer = await faults.answerTo({}, (reason) => reasons.push(reason));
  if (answer.kind !== 'ready') throw new Error(JSON.stringify(answer));
  const { workspace } = answer;
  const { outcome } = startBuild(workspace, [
    `echo begin ${number} >> /c3/order; sleep 0.1; echo end ${number} >> /c3/order`,
  ]);
  const { ending, sweep } = await outcome;
  expect(ending).toEqual({ kind: 'passed', allowed: [] });
  await workspace.release({ isClean: await sweep() });
  return workspace.id;
}

async function readOrder(): Promise<string> {
  const workspace = await faults.openWorkspace();
  const order = await faults.look(workspace.name, 'cat /c3/order; rm /c3/order');
  await workspace.release({ isClean: true });
  return order;
}

function expectedOrder(count: number): string {
  return Array.from({ length: count }, (_, index) => `begin ${index + 1}\nend ${index + 1}\n`).join('');
}

test('when two builds request the same Pod, one waits and reports it', async () => {
  const [first, second]: [string[], string[]] = [[], []];
  const ids = await Promise.all([build(1, first), build(2, second)]);
  expect(new Set(ids).size).toBe(1);
  expect(first).not.toContain('another build of this repository has the Pod');
  expect(second).toContain('another build of this repository has the Pod');
  expect(await readOrder()).toBe(expectedOrder(2));
});

test('five builds use the same Pod in the order of their requests, also when connections are cut', async () => {
  faults.embedded.faults.onExec({ times: 3 }, { when: { afterBytes: 20 }, how: 'loud' });
  const ids = await Promise.all([1, 2, 3, 4, 5].map(async (number) => await build(number)));
  expect(new Set(ids).size).toBe(1);
  expect(await readOrder()).toBe(expectedOrder(5));
});
