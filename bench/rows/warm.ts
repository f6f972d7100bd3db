import { time, type Bare } from '../bare.ts';
import { toFirstByte, type Builds } from '../builds.ts';
import type { Row } from '../measure.ts';
import { repeat, STAMP_STEP, TRUE_STEP } from './steps.ts';

const STEPS = 20;

/** Measures builds in an existing Pod. */
export function createWarmRows(builds: Builds, bare: Bare): Row[] {
  /** Measures one step, by the times of the first and the last step. */
  async function perStep(): Promise<number> {
    await builds.build();
    const [first = 0, last = 0] = (await builds.read('/c3/stamps')).trim().split('\n').slice(-2).map(Number);
    return (last - first) / 1e6 / (STEPS + 1);
  }

  async function bareExec(): Promise<number> {
    return (await bare.exec(await builds.pod(), 'main', ['true'])).ms;
  }

  const stamps = (middle: string): string =>
    `- main: date +%s%N >> /c3/stamps\n${middle}\n- main: date +%s%N >> /c3/stamps`;
  const alternating = repeat(STEPS, (index) => (index % 2 === 0 ? '- git: "true"' : TRUE_STEP));

  return [
    {
      name: 'push to first byte, warm',
      against: 'kubectl exec -- true',
      atMost: 0.5,
      prepare: () => builds.setSteps(STAMP_STEP, true),
      c3: () => toFirstByte(builds),
      bare: async () => bare.kubectlExec(await builds.pod(), 'main'),
    },
    {
      name: `a step over its own work, ${STEPS} x true`,
      against: 'bare exec of true',
      atMost: 0.5,
      prepare: () => builds.setSteps(stamps(repeat(STEPS, () => TRUE_STEP)), true),
      c3: perStep,
      bare: bareExec,
    },
    {
      name: 'the same, two containers in turn',
      against: 'bare exec of true',
      atMost: 0.7,
      prepare: () => builds.setSteps(stamps(alternating), true),
      c3: perStep,
      bare: bareExec,
    },
    {
      name: 'whole build of 5 x true, warm',
      against: '5 bare execs',
      atMost: 0.9,
      prepare: () =>
        builds.setSteps(
          repeat(5, () => TRUE_STEP),
          true,
        ),
      c3: async () => toDuration(await builds.build()),
      bare: async () => {
        const pod = await builds.pod();
        return time(async () => {
          for (let index = 0; index < 5; index += 1) await bare.exec(pod, 'main', ['true']);
        });
      },
    },
  ];
}

export function toDuration({ sentAt, endedAt }: { sentAt: number; endedAt: number }): number {
  return endedAt - sentAt;
}
