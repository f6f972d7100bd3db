import { startC3 } from '../../dev/demo/c3-process.ts';
import type { World } from '../../dev/demo/world.ts';
import { createBuilds, toFirstByte, type BuildsTarget } from '../builds.ts';
import { createDelayProxy } from '../delay-proxy.ts';
import { median, type Figure } from '../measure.ts';
import { STAMP_STEP } from './steps.ts';

const ROUND_TRIP_MS = 80;
const RUNS = 10;

export interface FarForgeContext {
  readonly world: World;
  readonly target: BuildsTarget;
  /** The file that Node runs as c3. */
  readonly program: string;
}

/** Counts the round trips to the forge before the first byte: by how much later it comes when the forge is far away. */
export function createFarForgeFigure({ world, target, program }: FarForgeContext): Figure {
  return {
    name: `forge round trips, push to first byte, warm, a forge ${ROUND_TRIP_MS} ms away`,
    unit: 'round trips',
    atMost: 2,
    async read(): Promise<{ value: number; detail: string }> {
      const proxy = await createDelayProxy(world.forge.host, ROUND_TRIP_MS);
      const origin = `http://${proxy.host}`;
      const apiBase = `${origin}/api/v3`;
      const c3 = await startC3({ ...world.settings, C3_FORGES: `github=${origin}|${apiBase}` }, program);
      const far = { ...world, c3, forge: { ...world.forge, origin, apiBase, host: proxy.host } };
      const both = [await createBuilds(world, target, 'near'), await createBuilds(far, target, 'far')] as const;
      const times: readonly [number[], number[]] = [[], []];
      try {
        for (const builds of both) {
          await builds.setSteps(STAMP_STEP, true);
          await builds.build();
          await builds.build();
        }
        for (let run = 0; run < RUNS; run += 1) {
          for (const index of [0, 1] as const) times[index].push(await toFirstByte(both[index]));
        }
      } finally {
        c3.kill('SIGKILL');
        await c3.exited;
        for (const builds of both) await builds.close();
        await proxy.close();
      }
      const [nearMs, farMs] = [median(times[0]), median(times[1])];
      const value = Number(((farMs - nearMs) / ROUND_TRIP_MS).toFixed(1));
      return { value, detail: `${nearMs.toFixed(0)} ms, far away ${farMs.toFixed(0)} ms` };
    },
  };
}
