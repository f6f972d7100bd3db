import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ExecBreak } from '../../dev/cluster/index.ts';
import type { Workspace } from '../../src/engine/cluster.ts';
import { createPartReader, type PartReader } from '../../src/agent/part-reader.ts';
import { copyLog, followParts, type LogReading } from '../../src/agent/read-log.ts';
import { expectWhole, QUICK_EXECS, startStep, type StepRun, useFaultCluster } from './fault-cluster.ts';

const faults = useFaultCluster({ execs: QUICK_EXECS });
let workspace: Workspace;

beforeAll(async () => {
  workspace = await faults.openWorkspace();
});

/** Writes half a mebibyte of binary data, then lines until the test creates a file. */
const BODY =
  'echo started; head -c 500000 /dev/urandom; i=0; until [ -e "/c3/go.$ID" ]; do i=$((i + 1)); echo "line $i"; sleep 0.02; done; echo done';

async function letGo(buildId: string): Promise<void> {
  await faults.look(workspace.name, `touch /c3/go.${buildId}`);
}

async function openReader({ buildId }: StepRun): Promise<PartReader> {
  return createPartReader({ workspace: await faults.see(), buildId, roots: ['/c3/.c3', '/tmp/.c3'] });
}

interface Told {
  readonly reading: LogReading;
  readonly sha256: string;
}

/** `onBytes`: its promise delays the reading. */
async function read(
  reader: PartReader,
  { isCopy = false, onBytes }: { isCopy?: boolean; onBytes?: (all: number) => Promise<void> | void } = {},
): Promise<Told> {
  const hash = createHash('sha256');
  let all = 0;
  async function take(bytes: Uint8Array): Promise<void> {
    hash.update(bytes);
    all += bytes.length;
    await onBytes?.(all);
  }
  const request = {
    container: 'main',
    stepId: 's0',
    offset: 0,
    signal: new AbortController().signal,
    isAwaited: () => false,
    isOver: () => false,
  };
  const reading = isCopy
    ? await copyLog(reader, { ...request, onBytes: take })
    : await followParts(reader, { ...request, onPart: ({ bytes }) => take(bytes) });
  return { reading, sha256: hash.digest('hex') };
}

function expected(step: StepRun): Told {
  const log = step.log();
  return { reading: { kind: 'whole', to: log.length }, sha256: createHash('sha256').update(log).digest('hex') };
}

describe.each(['loud', 'silent', 'false-success'] as const)('connections that are cut (%s)', (how: ExecBreak) => {
  test('during reading lose no byte for any reader', async () => {
    const step = startStep(workspace, BODY);
    await step.seen('line 5');
    const reader = await openReader(step);
    const fault = faults.embedded.faults.onExec({ times: 1 }, { when: { afterBytes: 200_000 }, how });
    const caughtUp = Promise.withResolvers<undefined>();
    const onBytes = (all: number): void => (all > 500_100 ? caughtUp.resolve(undefined) : undefined);
    const readers = Array.from({ length: 6 }, async (_, index) => read(reader, { isCopy: index > 3, onBytes }));
    await caughtUp.promise;
    expect(fault.hits()).toBe(1);
    expect(faults.embedded.faults.cutExecs(how)).toBeGreaterThan(0);
    await letGo(step.buildId);
    await expectWhole(faults, { pod: workspace.name, step });
    expect(await Promise.all(readers)).toEqual(Array.from(readers, () => expected(step)));
    reader.close();
  });
});

test('readers that stop reading block neither the step nor each other', async () => {
  const step = startStep(workspace, BODY);
  await step.seen('line 5');
  const reader = await openReader(step);
  const stall = Promise.withResolvers<void>();
  const stalled = Array.from({ length: 10 }, async (_, index) =>
    read(reader, { isCopy: index > 7, onBytes: () => stall.promise }),
  );
  const lively = read(reader);
  await letGo(step.buildId);
  await expectWhole(faults, { pod: workspace.name, step });
  expect(await lively).toEqual(expected(step));
  stall.resolve();
  expect(await Promise.all(stalled)).toEqual(Array.from(stalled, () => expected(step)));
  reader.close();
});
