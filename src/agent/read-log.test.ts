import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { setUp, shells, type LocalSteps } from '../../test/fakes/local-steps.ts';
import { readLog, type LogReading } from './read-log.ts';

const MIB = 1024 * 1024;

/** Mebibytes of numbered lines, the last that were asked for kept: they take a while to make. */
let made = { count: 0, lines: Buffer.alloc(0) };
function toLines(count: number): Buffer {
  if (made.count === count) return made.lines;
  const lines = Buffer.alloc(count * MIB, '000000000000000\n');
  for (let line = 1; line <= lines.length / 16; line += 1) {
    const digits = String(line);
    lines.write(digits, line * 16 - 1 - digits.length, 'latin1');
  }
  made = { count, lines };
  return lines;
}

/** The command that writes them. */
function big(steps: LocalSteps, count: number): string {
  const file = join(steps.workspace.directory, `lines-${count}`);
  writeFileSync(file, toLines(count));
  return `cat ${file}`;
}

interface Read {
  readonly reading: LogReading;
  readonly bytes: number;
  readonly sha256: string;
}

async function readAll(steps: LocalSteps, from = 0, pauseMs = 0): Promise<Read> {
  const hash = createHash('sha256');
  let bytes = 0;
  const reading = await readLog(
    steps.openAgent({ isReader: true }),
    { buildId: steps.buildId, stepId: 's1', from },
    {
      signal: new AbortController().signal,
      async onOutput(chunk) {
        bytes += chunk.length;
        hash.update(chunk);
        if (pauseMs > 0) await sleep(pauseMs);
      },
    },
  );
  return { reading, bytes, sha256: hash.digest('hex') };
}

function expected(count: number, from = 0): string {
  return createHash('sha256').update(toLines(count).subarray(from)).digest('hex');
}

describe.each(shells)('under %s', (shell) => {
  it('a huge log is followed by its head and its end, and read whole from the Pod', async () => {
    const steps = setUp(shell);
    // The end comes late, so that nothing of the middle was sent while it was the end.
    expect(await steps.run(`${big(steps, 18)}; exit 3`)).toEqual({ kind: 'exited', exitCode: 3 });
    const text = steps.text();
    const cuts = [...text.matchAll(/<(\d+) left out>/g)].map(([, bytes]) => Number(bytes));
    const kept = Buffer.byteLength(text.replaceAll(/<\d+ left out>/g, ''), 'latin1');
    expect(cuts.length).toBeGreaterThan(0);
    expect(kept + cuts.reduce((sum, bytes) => sum + bytes, 0)).toBe(18 * MIB);
    expect(text.startsWith('000000000000001\n')).toBe(true);
    expect(text.endsWith(`${String((18 * MIB) / 16).padStart(15, '0')}\n`)).toBe(true);
    const { reading, sha256 } = await readAll(steps);
    expect(reading).toEqual({ kind: 'whole', to: 18 * MIB });
    expect(sha256).toBe(expected(18));
  });

  it('a log is read from an offset, over cuts, while its step runs', async () => {
    const steps = setUp(shell);
    const started = steps.seen('000000000000002');
    const ended = steps.run(`${big(steps, 1)}; sleep 0.3; ${big(steps, 1)}; exit 2`);
    await started;
    for (let cut = 0; cut < 3; cut += 1) steps.workspace.plan.push({ kind: 'cut-after', bytes: 100_000 });
    const { reading, bytes } = await readAll(steps, 17);
    expect(reading).toEqual({ kind: 'whole', to: 2 * MIB });
    expect(bytes).toBe(2 * MIB - 17);
    expect(steps.workspace.plan).toEqual([]);
    expect(await ended).toEqual({ kind: 'exited', exitCode: 2 });
  });

  it('a slow reader gets every byte', async () => {
    const steps = setUp(shell);
    await steps.run(big(steps, 2));
    const { reading, sha256 } = await readAll(steps, 5, 1);
    expect(reading).toEqual({ kind: 'whole', to: 2 * MIB });
    expect(sha256).toBe(expected(2, 5));
  });

  it('a log that there never was is not waited for', async () => {
    const steps = setUp(shell);
    await steps.run(':', { stepId: 's2' });
    expect((await readAll(steps)).reading).toEqual({
      kind: 'failed',
      to: 0,
      message: 'there is no such log in the container',
    });
  });

  it('who wants no more is left alone', async () => {
    const steps = setUp(shell);
    await steps.run(big(steps, 4));
    const controller = new AbortController();
    const reading = await readLog(
      steps.openAgent({ isReader: true }),
      { buildId: steps.buildId, stepId: 's1', from: 0 },
      { signal: controller.signal, onOutput: () => controller.abort() },
    );
    expect(reading).toEqual({ kind: 'aborted' });
  });
});
