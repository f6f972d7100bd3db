import type { Bare, Manifest } from './bare.ts';
import { time } from './bare.ts';
import type { Builds } from './builds.ts';
import type { Row } from './measure.ts';

export interface PreparedRow extends Row {
  /** Called once, before the row is measured. */
  prepare(): Promise<void>;
}

const TRUE = ['true'];

/** A step that notes when it ran: its first byte, as the clock of the machine says. */
const STAMP = '- main: date +%s%N > /c3/stamp';

function repeat(count: number, toStep: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => toStep(index)).join('\n');
}

export function createRows(builds: Builds, bare: Bare): PreparedRow[] {
  return [...createWarmRows(builds, bare), ...createColdRows(builds, bare)];
}

async function wholeBuild(builds: Builds): Promise<number> {
  const { sentAt, endedAt } = await builds.build();
  return endedAt - sentAt;
}

async function execsInTurn(bare: Bare, pod: string, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await bare.exec(pod, 'main', TRUE);
}

function trueStep(): string {
  return '- main: "true"';
}

function createWarmRows(builds: Builds, bare: Bare): PreparedRow[] {
  /** From the webhook to the first byte of the first step. */
  async function toFirstByte(): Promise<number> {
    const { sentAt } = await builds.build();
    return Number(await builds.read('/c3/stamp')) / 1e6 - sentAt;
  }

  /** What one of the steps between the first and the last costs. */
  async function perStep(): Promise<number> {
    await builds.build();
    const [first = 0, last = 0] = (await builds.read('/c3/stamps')).trim().split('\n').slice(-2).map(Number);
    return (last - first) / 1e6 / 21;
  }

  const stamps = (middle: string): string =>
    `- main: date +%s%N >> /c3/stamps\n${middle}\n- main: date +%s%N >> /c3/stamps`;
  const alternating = repeat(20, (index) => (index % 2 === 0 ? '- git: "true"' : '- main: "true"'));

  return [
    {
      name: 'push to first byte, warm',
      against: 'kubectl exec -- true',
      atMost: 1.5,
      prepare: () => builds.setSteps(STAMP, true),
      c3: toFirstByte,
      bare: async () => bare.kubectlExec(await builds.pod(), 'main'),
    },
    {
      name: 'a step over its own work, 20 x true',
      against: 'bare exec of true',
      atMost: 0.5,
      prepare: () => builds.setSteps(stamps(repeat(20, trueStep)), true),
      c3: perStep,
      bare: async () => bare.exec(await builds.pod(), 'main', TRUE),
    },
    {
      name: 'the same, two containers in turn',
      against: 'bare exec of true',
      atMost: 0.7,
      prepare: () => builds.setSteps(stamps(alternating), true),
      c3: perStep,
      bare: async () => bare.exec(await builds.pod(), 'main', TRUE),
    },
    {
      name: 'whole build of 5 x true, warm',
      against: '5 bare execs',
      atMost: 0.9,
      prepare: () => builds.setSteps(repeat(5, trueStep), true),
      c3: () => wholeBuild(builds),
      bare: async () => {
        const pod = await builds.pod();
        return time(() => execsInTurn(bare, pod, 5));
      },
    },
  ];
}

function createColdRows(builds: Builds, bare: Bare): PreparedRow[] {
  let number = 0;

  function toManifest(): Manifest & Record<string, unknown> {
    number += 1;
    const container = (name: string, image: string): object => ({
      name,
      image,
      command: ['sleep', '100000'],
      volumeMounts: [{ name: 'c3', mountPath: '/c3' }],
    });
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `bare-${number}` },
      spec: {
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 1,
        volumes: [{ name: 'c3', emptyDir: {} }],
        containers: [container('git', 'alpine/git'), container('main', 'ubuntu')],
      },
    };
  }

  /** A new Pod and what `act` does in it; its deletion is not counted. */
  async function inNewPod(act: (pod: string) => Promise<unknown>): Promise<number> {
    const manifest = toManifest();
    const { name } = manifest.metadata;
    try {
      return await time(async () => {
        await bare.createPod(manifest);
        await act(name);
      });
    } finally {
      await bare.deletePod(name);
    }
  }

  return [
    {
      name: 'whole build of 1 x true, new Pod',
      against: 'new Pod and kubectl exec',
      atMost: 1.3,
      prepare: () => builds.setSteps(trueStep(), false),
      c3: () => wholeBuild(builds),
      bare: () => inNewPod((pod) => bare.kubectlExec(pod, 'main')),
    },
    {
      name: 'whole build of 5 x true, new Pod',
      against: 'new Pod and 5 bare execs',
      atMost: 1.2,
      prepare: () => builds.setSteps(repeat(5, trueStep), false),
      c3: () => wholeBuild(builds),
      bare: () => inNewPod((pod) => execsInTurn(bare, pod, 5)),
    },
    {
      name: 'whole build of 20 x true, new Pod',
      against: 'new Pod and 20 bare execs',
      atMost: 0.75,
      prepare: () => builds.setSteps(repeat(20, trueStep), false),
      c3: () => wholeBuild(builds),
      bare: () => inNewPod((pod) => execsInTurn(bare, pod, 20)),
    },
  ];
}
