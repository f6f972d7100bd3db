import type { Bare } from '../bare.ts';
import { toFirstByte, type Builds } from '../builds.ts';
import type { Figure, Row } from '../measure.ts';
import { STAMP_STEP, TRUE_STEP } from './steps.ts';

const FILES = 50_000;
const FILES_PER_DIRECTORY = 100;
/** Each commit of the preparation adds this many files. */
const BATCH = 10_000;
const RUNS = 10;

/** A clone of the work tree, for the bare measurement. It is outside the work tree, so c3 leaves it alone. */
const BARE_CLONE = '/c3/bare';

/** Measures builds of a large repository in an existing Pod, from the webhook to the first byte of the first step. */
export function createCheckoutRows(builds: Builds, bare: Bare): Row[] {
  let isPrepared = false;

  async function prepare(): Promise<void> {
    await builds.setSteps(STAMP_STEP, true);
    if (isPrepared) return;
    isPrepared = true;
    for (let first = 0; first < FILES; first += BATCH) {
      const names = Array.from({ length: BATCH }, (_, index) => toName(first + index));
      await builds.commit(Object.fromEntries(names.map((name) => [name, name])));
    }
    await builds.build();
    await builds.run(await builds.commit({ [toName(0)]: 'changed' }));
    await builds.look(`rm -rf ${BARE_CLONE}; cp -R /c3/project ${BARE_CLONE}`, 'git');
    await builds.look(`cd ${BARE_CLONE} && git checkout -q --detach HEAD~1 && git checkout -q --detach @{-1}`, 'git');
  }
  /** Switches between the last two commits. */
  async function bareCheckout(): Promise<number> {
    const argv = ['git', '-C', BARE_CLONE, 'checkout', '-q', '--force', '--detach', '@{-1}'];
    return (await bare.exec(await builds.pod(), 'git', argv)).ms;
  }

  return [
    {
      name: `push to first byte, ${FILES} files, one changed`,
      against: 'bare exec of git checkout',
      atMost: 2,
      defaultRuns: RUNS,
      prepare,
      c3: async () => await toFirstByte(builds, await builds.commit({ [toName(0)]: String(Math.random()) })),
      bare: bareCheckout,
    },
    {
      name: `push to first byte, ${FILES} files, none changed`,
      against: 'bare exec of git checkout',
      atMost: 2,
      defaultRuns: RUNS,
      prepare,
      c3: async () => await toFirstByte(builds),
      bare: bareCheckout,
    },
  ];
}

function toName(index: number): string {
  return `files/${Math.floor(index / FILES_PER_DIRECTORY)}/${index % FILES_PER_DIRECTORY}`;
}

/**
 * Counts the processes that a warm build of a small commit starts in the container that checks out. All its steps run
 * in another one. Besides the checkout, these are the supervision of the step and the sweep.
 */
export function createProcessesFigure(builds: Builds): Figure {
  /** The last field is the newest process id of the container. @see https://man7.org/linux/man-pages/man5/proc.5.html */
  async function readNewest(): Promise<number> {
    return Number((await builds.look('cat /proc/loadavg', 'git')).trim().split(' ').at(-1));
  }
  return {
    name: 'processes in the container that checks out, warm build',
    unit: 'processes',
    async read() {
      await builds.setSteps(TRUE_STEP, true);
      await builds.build();
      await builds.build();
      const before = await readNewest();
      const own = (await readNewest()) - before;
      await builds.build();
      return { value: (await readNewest()) - before - 2 * own };
    },
  };
}
