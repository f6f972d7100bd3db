import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { REFUSALS } from '../../dev/cluster/faults.ts';
import { createEmbeddedCluster, type EmbeddedCluster } from '../../dev/cluster/index.ts';
import { createContractFixture } from './contract-fixture.ts';
import { createRequests } from './requests.ts';

/** Refused creations of Pods and Leases, which only the embedded cluster causes on demand. */
let embedded: EmbeddedCluster;

const fixture = createContractFixture(async () => {
  embedded = await createEmbeddedCluster();
  return { kubeconfig: embedded.kubeconfig, image: 'busybox:1' };
});
const { request, answerTo, open } = createRequests(fixture);

beforeAll(fixture.start);
afterEach(() => embedded.faults.clear());
afterAll(async () => {
  await fixture.stop();
  await embedded.close();
});

/** More tries than a single request has. */
const MANY = 7;

describe('a new Pod', () => {
  test.each(['create', 'lease-create'] as const)('starts when its %s loses races for the quota', async (kind) => {
    const fault = embedded.faults.onRequest({ kind, times: 2 }, REFUSALS.quotaRace);
    const workspace = await open(request(`race-${kind}`));
    expect(fault.hits()).toBe(2);
    expect(workspace.warnings).toEqual([]);
    await workspace.release({ isClean: false });
  });

  test('waits for an admission webhook that restarts', async () => {
    const fault = embedded.faults.onRequest({ kind: 'create', times: MANY }, REFUSALS.webhookAway);
    const { answer, reasons } = await answerTo(request('restart'));
    expect(fault.hits()).toBe(MANY);
    expect(reasons).toContain(`waiting for an admission webhook of the cluster: ${REFUSALS.webhookAway.message}`);
    expect(answer.kind).toBe('ready');
    if (answer.kind === 'ready') await answer.workspace.release({ isClean: false });
  });

  test('does not wait for it longer than a start may take', async () => {
    embedded.faults.onRequest({ kind: 'create' }, REFUSALS.webhookAway);
    const { answer } = await answerTo(request('away'), { startTimeoutMs: 1_000 });
    expect(answer).toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(
        /did not start within 1 s: waiting for an admission webhook of the cluster: .*no endpoints available/,
      ) as string,
    });
  });

  test('that a webhook denies is refused at once', async () => {
    const fault = embedded.faults.onRequest({ kind: 'create' }, REFUSALS.webhookDenial);
    const { answer } = await answerTo(request('denied'));
    expect(answer).toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(/^The cluster refused Pod .*denied the request/) as string,
    });
    expect(fault.hits()).toBe(1);
  });
});
