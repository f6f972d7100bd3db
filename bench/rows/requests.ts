import type { World } from '../../dev/demo/world.ts';
import { createBuilds, type BuildsTarget } from '../builds.ts';
import { createCountingProxy } from '../counting-proxy.ts';
import type { Figure } from '../measure.ts';
import { repeat, TRUE_STEP } from './steps.ts';

const STEPS = 5;

/** Counts the requests of a warm build to the API server. */
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
        // The first build creates the Pod, the second is the first warm one.
        await builds.build();
        await builds.build();
        proxy.take();
        const { endedAt } = await builds.build();
        // The requests after its end, and those for the next build, count too.
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

/** Longer than the sweep and the release of the Pod; no timer of c3 fires in it. */
const AFTERMATH_MS = 1000;

function waitUntil(at: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, at - Date.now()));
}
