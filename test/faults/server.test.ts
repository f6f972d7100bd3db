import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { expectWhole, startStep, useFaultCluster } from './fault-cluster.ts';

const faults = useFaultCluster();

const NOISY =
  'echo started; i=0; until [ -e "/c3/go.$ID" ]; do i=$((i + 1)); echo "line $i"; sleep 0.02; done; echo done';

describe('a step', () => {
  test('continues while the API server is down, and is followed to its end when it is up again', async () => {
    const workspace = await faults.openWorkspace();
    const step = startStep(workspace, NOISY);
    await step.seen('line 10');
    await faults.embedded.faults.stopServer();
    const received = step.size();
    await faults.embedded.faults.startServer();
    await faults.look(workspace.name, `touch /c3/go.${step.buildId}`);
    await expectWhole(faults, { pod: workspace.name, step });
    expect(step.log().length).toBeGreaterThan(received);
    await workspace.release({ isClean: true });
  });

  test('that ends while the API server is down keeps its exit code and its log', async () => {
    const workspace = await faults.openWorkspace();
    const step = startStep(
      workspace,
      'echo started; until [ -e "/c3/go.$ID" ]; do sleep 0.05; done; head -c 300000 /dev/urandom',
    );
    await step.seen('started');
    await faults.embedded.faults.stopServer();
    const volume = faults.volumeOf(workspace);
    writeFileSync(join(volume, `go.${step.buildId}`), '');
    await expect
      .poll(() => readFileSync(join(volume, '.c3', step.buildId, 's0.exit'), 'utf8').includes('end'))
      .toBe(true);
    await faults.embedded.faults.startServer();
    await expectWhole(faults, { pod: workspace.name, step });
    await workspace.release({ isClean: true });
  });

  test.each([
    [429, 'TooManyRequests', 'too many requests, please try again later'],
    [500, 'InternalError', 'error dialing backend: EOF'],
    [503, 'ServiceUnavailable', 'apiserver is shutting down'],
  ])('runs once although some execs are refused with %i before and during it', async (code, reason, message) => {
    const workspace = await faults.openWorkspace();
    const refuse = () =>
      faults.embedded.faults.onRequest({ kind: 'exec', times: 3 }, { kind: 'refuse', code, reason, message });
    const before = refuse();
    const step = startStep(workspace, NOISY);
    await step.seen('line 10');
    expect(before.hits()).toBe(3);
    const during = refuse();
    faults.embedded.faults.cutExecs('loud');
    await step.seen('line 200');
    await expect.poll(() => during.hits()).toBe(3);
    await faults.look(workspace.name, `touch /c3/go.${step.buildId}`);
    await expectWhole(faults, { pod: workspace.name, step });
    await workspace.release({ isClean: true });
  });
});

describe('a workspace', () => {
  test.each(['list', 'create', 'watch'] as const)('opens although a %s is refused twice', async (kind) => {
    const refuse = {
      kind: 'refuse',
      code: 503,
      reason: 'ServiceUnavailable',
      message: 'apiserver is shutting down',
    } as const;
    const fault = faults.embedded.faults.onRequest({ kind, times: 2 }, refuse);
    const workspace = await faults.openWorkspace({ reuse: false });
    await expect.poll(() => fault.hits()).toBe(2);
    await expectWhole(faults, { pod: workspace.name, step: startStep(workspace, 'echo on') });
    await workspace.release({ isClean: true });
  });

  test('is created once although the response to its creation is lost', async () => {
    faults.embedded.faults.onRequest({ kind: 'create', times: 1 }, { kind: 'lose-answer' });
    const before = faults.embedded.stats().create;
    const others = new Set(faults.embedded.pods().map(({ metadata }) => metadata.uid));
    const workspace = await faults.openWorkspace({ reuse: false });
    expect(faults.embedded.stats().create).toBe(before + 2);
    const made = faults.embedded.pods().map(({ metadata }) => metadata.uid);
    expect(made.filter((uid) => !others.has(uid))).toEqual([workspace.id]);
    await expectWhole(faults, { pod: workspace.name, step: startStep(workspace, 'echo on') });
    await workspace.release({ isClean: true });
  });
});
