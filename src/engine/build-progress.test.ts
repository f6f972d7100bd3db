import { describe, expect, it } from 'vitest';
import type { BuildState } from '../build/index.ts';
import { createBuild } from '../../test/fakes/sample-build.ts';
import { createWorld } from '../../test/fakes/build-world.ts';
import { createMasking } from '../sealing/index.ts';
import { createBuildProgress } from './build-progress.ts';

describe('the progress of a build', () => {
  it('shows no secret in a sentence of a cluster or a forge', () => {
    const states: BuildState[] = [];
    const progress = createBuildProgress(createBuild(), { urls: { repository: '', commit: '' }, now: () => 0 });
    progress.attach({ report: (state) => void states.push(state) });
    progress.hide(createMasking(['first-secret']));
    progress.hide(createMasking(['first-secret', 'second-secret']));
    progress.prepare('the server says first-secret');
    progress.warn(['beware of second-secret', `and ${Buffer.from('first-secret').toString('base64')}`]);
    const command = `curl -H first-secret ${'x'.repeat(5_000)}`;
    const step = { name: 'a', container: 'c', command, isAllowed: false, group: undefined, skipped: undefined };
    progress.plan([step], true);
    progress.endStep(0, { kind: 'lost', message: 'lost with first-secret' }, '');
    const problems = [{ location: 'c3.yaml:1:1', message: 'first-secret', hint: 'second-secret' }, { message: 'x' }];
    const ending = progress.end({ kind: 'config-error', message: 'no first-secret', problems });

    const masked = [{ location: 'c3.yaml:1:1', message: '***', hint: '***' }, { message: 'x' }];
    expect(ending).toEqual({ kind: 'config-error', message: 'no ***', problems: masked });
    expect(states.at(-1)).toMatchObject({
      phase: { kind: 'ended', ending },
      warnings: ['beware of ***', 'and ***'],
      steps: [
        {
          command: `curl -H *** ${'x'.repeat(3_987)}…`,
          phase: { kind: 'lost', message: 'lost with ***' },
        },
      ],
    });
    expect(JSON.stringify(states)).not.toMatch(/first-secret|second-secret/);
  });
});

describe('a cluster that repeats what it was given', () => {
  it('does not make c3 repeat it', async () => {
    const world = createWorld();
    const message = 'Unauthorized: the token tokentoken is not known';
    expect(await world.run({ workspace: { kind: 'failed', message } })).toEqual({
      kind: 'infrastructure-error',
      message: 'Unauthorized: the token *** is not known',
    });
    expect(JSON.stringify(world.states)).not.toContain('tokentoken');
    world.close();
  });
});
