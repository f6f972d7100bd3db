import { expect, test } from 'vitest';
import { createEnded, createStep } from '../../dev/telegram/build-states.ts';
import { createFakeBuild } from '../../test/browser/fake-view.ts';
import type { BuildView } from '../logs/index.ts';
import { followBuild, type BuildFollower } from './follow-build.ts';

const follower: BuildFollower = {
  onState: () => {},
  onLines: () => {},
  onPartial: () => {},
  onCut: () => {},
  onRead: () => {},
};

test('of however many logs, few parts are in hand at a time, and all in the end', async () => {
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
  await followBuild(counting, follower, {
    from: () => ({ offset: 0, pieces: 0 }),
    signal: new AbortController().signal,
  });
  expect({ most, all }).toStrictEqual({ most: 2, all: 150 });
});

test('a part that cannot be handed over makes room for the next', async () => {
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
  await followBuild(failing, follower, {
    from: () => ({ offset: 0, pieces: 0 }),
    signal: new AbortController().signal,
  });
  expect(tried).toBe(9);
});
