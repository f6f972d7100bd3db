import type { World } from '../../dev/demo/world.ts';
import { createBuilds, type BuildsTarget } from '../builds.ts';
import { createCountingProxy } from '../counting-proxy.ts';
import type { Figure } from '../measure.ts';
import { repeat, TRUE_STEP } from './steps.ts';

const STEPS = 5;

/** What a warm build asks of the API server. */
export function createRequestsFigure(world: World, target: BuildsTarget): Figure {
  return {
    name: `API requests of a warm build of ${STEPS} steps`,
    unit: 'requests',
    async read(): Promise<{ value: number; detail: string }> {
      const proxy = await createCountingProxy(target.kubeconfig);
      const builds = await createBuilds(world, { ...target, c3Kubeconfig: proxy.kubeconfig }, 'counted');
      try {
        await builds.setSteps(
          repeat(STEPS, () => TRUE_STEP),
          true,
        );
        // The first creates the Pod, the second is the first warm one.
        await builds.build();
        await builds.build();
        proxy.take();
        const { endedAt } = await builds.build();
        // What the build sends after its end, and what the next would need, count too.
        await waitUntil(endedAt + AFTERMATH_MS);
        const counts = Object.entries(proxy.take());
        const value = counts.reduce((sum, [, count]) => sum + count, 0);
        return { value, detail: counts.map(([kind, count]) => `${count} ${kind}`).join(', ') };
      } finally {
        await builds.close();
        await proxy.close();
      }
    },
  };
}

/** The sweep, the return of the Pod: far less than this; no timer of c3's runs out in it. */
const AFTERMATH_MS = 1000;

function waitUntil(at: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, at - Date.now()));
}
