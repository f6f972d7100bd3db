import { afterEach, expect, it } from 'vitest';
import { createWalk, one } from '../../test/fakes/walk.ts';

const realNow = Date.now;
const walk = createWalk();
afterEach(() => {
  Date.now = realNow;
  walk.close();
});

it('changes nothing of a build that the clock is set to another day meanwhile', async () => {
  const { ending } = await walk.run([one('a', { sh: 'echo up; sleep 0.1' }), one('b', { sh: 'echo on' })], {
    onOutput: (text) => {
      if (text.includes('up')) Date.now = () => realNow() + 86_400_000;
    },
  });
  expect(ending).toEqual({ kind: 'passed', allowed: [] });
});
