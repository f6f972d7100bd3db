import type { World } from '../../dev/demo/world.ts';
import { Semaphore } from '../../src/limiter.ts';
import { time, type Bare } from '../bare.ts';
import { createBuilds, type Builds, type BuildsTarget } from '../builds.ts';
import type { Row } from '../measure.ts';
import { readPeakMiB, resetPeak } from '../memory.ts';
import { repeat, TRUE_STEP } from './steps.ts';

const PODS = 50;
const STEPS = 5;
/** The number of execs that c3 opens at a time (src/kube/exec.ts). */
const OPENINGS = 12;
/** One run takes two minutes. */
const RUNS = 3;

/** Compares simultaneous pushes to fifty repositories with fifty Pods without c3. */
export interface Crowd {
  readonly row: Row;
  /** Returns the peak of c3's resident memory in all runs so far. It runs once if there was no run. */
  peakMiB(): Promise<number>;
  close(): Promise<void>;
}

export function createCrowd(world: World, target: BuildsTarget, bare: Bare): Crowd {
  const repositories: Builds[] = [];
  let peakMiB = 0;

  async function prepare(): Promise<void> {
    await bare.settle();
    while (repositories.length < PODS) {
      const builds = await createBuilds(world, target, `crowd-${repositories.length}`);
      await builds.setSteps(
        repeat(STEPS, () => TRUE_STEP),
        false,
      );
      repositories.push(builds);
    }
  }

  async function c3(): Promise<number> {
    const pushed: { builds: Builds; sha: string }[] = [];
    for (const builds of repositories) pushed.push({ builds, sha: await builds.commit() });
    resetPeak(world.c3.pid);
    const timings = await Promise.all(pushed.map(({ builds, sha }) => builds.run(sha)));
    peakMiB = Math.max(peakMiB, readPeakMiB(world.c3.pid));
    return Math.max(...timings.map(({ endedAt }) => endedAt)) - Math.min(...timings.map(({ sentAt }) => sentAt));
  }

  async function bareRun(): Promise<number> {
    const openings = new Semaphore(OPENINGS);
    const signal = new AbortController().signal;
    const deletions: Promise<void>[] = [];
    async function inPod({ manifest }: Builds): Promise<void> {
      const pod = await bare.createPod(manifest);
      for (let step = 0; step < STEPS; step += 1) {
        const release = await openings.acquire(signal);
        await bare.exec(pod, 'main', ['true']);
        release();
      }
      // At once, as c3 deletes a used Pod: in both cases this slows the other Pods.
      deletions.push(bare.deletePod(pod));
    }
    const ms = await time(() => Promise.all(repositories.map(inPod)));
    await Promise.all(deletions);
    return ms;
  }

  return {
    row: {
      name: `${PODS} builds of ${STEPS} steps at once, ${PODS} new Pods`,
      against: `${PODS} new Pods with ${STEPS} bare execs each`,
      atMost: 1.3,
      defaultRuns: RUNS,
      prepare,
      c3,
      bare: bareRun,
      settle: () => bare.settle(),
    },
    async peakMiB(): Promise<number> {
      if (peakMiB === 0) {
        await prepare();
        await c3();
        await bare.settle();
      }
      return peakMiB;
    },
    async close(): Promise<void> {
      await Promise.all(repositories.map((builds) => builds.close()));
    },
  };
}
