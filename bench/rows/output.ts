import { get } from 'node:http';
import type { World } from '../../dev/demo/world.ts';
import { time, type Bare } from '../bare.ts';
import { createBuilds, type Builds, type BuildsTarget } from '../builds.ts';
import type { Row } from '../measure.ts';

const BYTES = 500_000_000;
/** One run takes some ten seconds. */
const RUNS = 5;
const STEP = `- name: big
  main: echo $C3_BUILD_ID > /c3/build; yes 'a line of a log that is neither long nor short' | head -c ${BYTES}`;
const CAT = 'cat "/c3/.c3/$(cat /c3/build)/s1.log"';

/** Measures the download of an ended step's raw log, to its last byte. */
export function createOutputRow(world: World, target: BuildsTarget, bare: Bare): Row {
  let made: { readonly builds: Builds; readonly url: string; readonly pod: string } | undefined;
  function opened(): NonNullable<typeof made> {
    if (made === undefined) throw new Error('the row was not prepared');
    return made;
  }

  return {
    name: '500 MB of output by the route of the raw log',
    against: 'the same by a bare exec',
    atMost: 1.3,
    defaultRuns: RUNS,
    async prepare(): Promise<void> {
      const builds = await createBuilds(world, target, 'output');
      await builds.setSteps(STEP, true);
      const sha = await builds.commit();
      await builds.run(sha);
      made = { builds, url: `${await builds.findPage(sha)}/log?step=big`, pod: await builds.pod() };
    },
    async c3(): Promise<number> {
      let bytes = 0;
      const ms = await time(async () => {
        bytes = await download(opened().url);
      });
      if (bytes !== BYTES) throw new Error(`the raw log had ${bytes} bytes instead of ${BYTES}`);
      return ms;
    },
    async bare(): Promise<number> {
      const { ms, bytes } = await bare.exec(opened().pod, 'main', ['sh', '-c', CAT]);
      if (bytes !== BYTES) throw new Error(`a bare exec printed ${bytes} bytes instead of ${BYTES}`);
      return ms;
    },
    async finish(): Promise<void> {
      if (made === undefined) return;
      await bare.deletePod(made.pod);
      await made.builds.close();
    },
  };
}

/** Downloads a URL and returns the number of bytes. `fetch` would use as much processor time as c3. */
async function download(url: string): Promise<number> {
  return await new Promise((resolve, reject) => {
    get(url, (answer) => {
      let bytes = 0;
      answer.on('data', (chunk: Uint8Array) => void (bytes += chunk.length));
      answer.once('end', () => resolve(bytes));
      answer.once('error', reject);
    }).once('error', reject);
  });
}
