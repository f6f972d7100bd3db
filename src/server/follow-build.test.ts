import { expect, test } from 'vitest';
import { createEnded, createStep } from '../../dev/telegram/build-states.ts';
import { createFakeBuild } from '../../test/browser/fake-view.ts';
import type { BuildView } from '../logs/index.ts';
import { followBuild, type BuildFollower } from './follow-build.ts';

const follower: BuildFollower = {
  from: () => ({ offset: 0, pieces: 0 }),
  onState: () => Promise.resolve(),
  onLines: () => Promise.resolve(),
  onPartial: () => Promise.resolve(),
  onCut: () => {},
  onRead: () => {},
};

test('holds two parts at a time, however many logs there are, and reads all of them', async () => {
  const steps = Array.from({ length: 50 }, (_, index) =>
    createStep(`s${index}`, { kind: 'passed' }, { from: 0, to: 1 }),
  );
  const { view } = createFakeBuild(createEnded({ kind: 'passed', allowed: [] }, { steps }));
  let [inHand, most, all] = [0, 0, 0];
  async function takePart(): Promise<void> {
    inHand += 1;
    most = Math.max(most, inHand);
    await new Promise((resolve) => setImmediate(resolve));
    all += 1;
    inHand -= 1;
  }
  const counting: BuildView = {
    ...view,
    async readLog(_, { within = async (work) => await work() }) {
      for (let part = 0; part < 3; part += 1) await within(takePart);
      return { kind: 'whole', to: 0 };
    },
  };
  await followBuild(counting, follower, new AbortController().signal);
  expect({ most, all }).toStrictEqual({ most: 2, all: 150 });
});

test('continues with the next part after one that could not be handed over', async () => {
  const steps = Array.from({ length: 9 }, (_, index) =>
    createStep(`s${index}`, { kind: 'passed' }, { from: 0, to: 1 }),
  );
  const { view } = createFakeBuild(createEnded({ kind: 'passed', allowed: [] }, { steps }));
  let tried = 0;
  const failing: BuildView = {
    ...view,
    async readLog(_, { within = async (work) => await work() }) {
      try {
        await within(() => {
          tried += 1;
          return Promise.reject(new Error('the reader has gone'));
        });
      } catch {
        return { kind: 'aborted' };
      }
      return { kind: 'whole', to: 0 };
    },
  };
  await followBuild(failing, follower, new AbortController().signal);
  expect(tried).toBe(9);
});
