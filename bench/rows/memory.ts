import { get, type IncomingMessage } from 'node:http';
import { startC3 } from '../../dev/demo/c3-process.ts';
import type { World } from '../../dev/demo/world.ts';
import { createBuilds, type BuildsTarget } from '../builds.ts';
import type { Figure } from '../measure.ts';
import { readMemoryMiB, readPeakMiB, resetPeak } from '../memory.ts';
import type { Crowd } from './crowd.ts';
import { TRUE_STEP } from './steps.ts';

const GIBIBYTE = 1024 ** 3;
const LOOK_EVERY_MS = 50;
const PATIENCE_MS = 120_000;

export interface MemoryContext {
  readonly world: World;
  readonly target: BuildsTarget;
  readonly crowd: Crowd;
  /** The file that Node runs as c3. */
  readonly program: string;
  /** The memory of c3 before its first build. */
  readonly idleMiB: number;
}

export function createMemoryFigures(context: MemoryContext): Figure[] {
  const { world, crowd, idleMiB } = context;
  return [
    { name: 'memory, idle', unit: 'MiB', atMost: 90, read: async () => await Promise.resolve({ value: idleMiB }) },
    {
      name: 'memory, 50 builds at once',
      unit: 'MiB',
      atMost: 150,
      read: async () => ({ value: await crowd.peakMiB(), detail: 'peak' }),
    },
    {
      name: 'memory, a log of 1 GiB and a stalled reader',
      unit: 'MiB',
      atMost: 150,
      read: async () => ({ value: await measureHugeLog(context), detail: 'peak' }),
    },
    {
      name: 'memory, after all of this',
      unit: 'MiB',
      read: async () => await Promise.resolve({ value: readMemoryMiB(world.c3.pid) }),
    },
  ];
}

/**
 * Returns the peak of a separate c3 while a step writes the log and a reader of the raw log reads only its first
 * bytes.
 */
async function measureHugeLog({ world, target, program }: MemoryContext): Promise<number> {
  const c3 = await startC3(world.settings, program);
  const builds = await createBuilds(world, { ...target, c3Url: c3.url }, 'huge');
  try {
    await builds.setSteps(TRUE_STEP, true);
    await builds.build();
    // Waits for the reader, then writes at full speed.
    await builds.setSteps(
      `- name: huge\n  main: echo go; until [ -e /c3/go ]; do sleep 0.1; done; rm /c3/go; yes 'a line of a log' | head -c ${GIBIBYTE}`,
      true,
    );
    const sha = await builds.commit();
    await builds.send(sha);
    const url = `${await builds.findPage(sha)}/log?step=huge`;
    resetPeak(c3.pid);
    const stalled = await until(async () => await openStalled(url));
    await builds.look('touch /c3/go');
    const countPassed = (): number => c3.log.filter((line) => line.includes('build ended: passed')).length;
    await until(async () => await Promise.resolve(countPassed() === 2));
    const peakMiB = readPeakMiB(c3.pid);
    stalled.destroy();
    return peakMiB;
  } finally {
    c3.kill('SIGKILL');
    await c3.exited;
    await builds.close();
  }
}

/** Reads only the first bytes, like a suspended browser. Returns undefined if there is no log yet. */
async function openStalled(url: string): Promise<IncomingMessage | undefined> {
  return await new Promise((resolve, reject) => {
    get(url, (answer) => {
      if (answer.statusCode !== 200) {
        answer.destroy();
        resolve(undefined);
        return;
      }
      answer.once('data', () => {
        answer.pause();
        resolve(answer);
      });
    }).once('error', reject);
  });
}

async function until<T>(look: () => Promise<T | undefined>): Promise<NonNullable<T>> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`The huge log did not start or end within ${PATIENCE_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
