import { time, type Bare } from '../bare.ts';
import { toFirstByte, type Builds } from '../builds.ts';
import type { Row } from '../measure.ts';
import { repeat, STAMP_STEP, TRUE_STEP } from './steps.ts';
import { toDuration } from './warm.ts';

/**
 * Measures builds in new Pods whose images are present. Each run waits until its Pod is gone: nodes remove Pods
 * slowly.
 */
export function createColdRows(builds: Builds, bare: Bare): Row[] {
  async function settle(): Promise<void> {
    const warm = await builds.findPod();
    if (warm !== undefined) await bare.deletePod(warm);
    await bare.settle();
  }

  /** Measures a new Pod and `act` in it, without its deletion. */
  async function inNewPod(act: (pod: string) => Promise<unknown>): Promise<number> {
    let pod = '';
    try {
      return await time(async () => {
        pod = await bare.createPod(builds.manifest);
        await act(pod);
      });
    } finally {
      await bare.deletePod(pod);
    }
  }

  function wholeBuild(count: number, atMost: number): Row {
    return {
      name: `whole build of ${count} x true, new Pod`,
      against: `new Pod and ${count} bare execs`,
      atMost,
      prepare: async () => {
        await settle();
        await builds.setSteps(
          repeat(count, () => TRUE_STEP),
          false,
        );
      },
      c3: async () => toDuration(await builds.build()),
      bare: () =>
        inNewPod(async (pod) => {
          for (let index = 0; index < count; index += 1) await bare.exec(pod, 'main', ['true']);
        }),
      settle,
    };
  }

  return [
    {
      name: 'push to first byte, new Pod',
      against: 'new Pod and kubectl exec',
      atMost: 1.3,
      prepare: async () => {
        await settle();
        // Kept until the stamp is read; `settle` deletes it, so that the next push finds no Pod.
        await builds.setSteps(STAMP_STEP, true);
      },
      c3: () => toFirstByte(builds),
      bare: () => inNewPod((pod) => bare.kubectlExec(pod, 'main')),
      settle,
    },
    wholeBuild(5, 1.2),
    wholeBuild(20, 0.75),
  ];
}
