import { describe, expect, it } from 'vitest';
import { useWorlds } from '../../test/fakes/build-world.ts';
import type { CommitStatus } from '../build/index.ts';

const createWorld = useWorlds();

const PASSED = { kind: 'passed', allowed: [] } as const;

describe('a proven build', () => {
  const OLD_HEAD = { kind: 'proven', trust: 'protected', isHead: false } as const;

  it('does not run again, for another delivery, a commit that was built for its branch and is not its head', async () => {
    const world = createWorld();
    const before = async function* (): AsyncGenerator<CommitStatus> {
      yield { context: 'c3/push', state: 'success', description: 'passed in 8s (main, build other)' };
    };
    expect(await world.run({ proof: OLD_HEAD, ownStatuses: before })).toMatchObject({ kind: 'skipped' });
    expect(world.events).toEqual(['prove']);
    expect(world.states).toEqual([]);
  });

  it.each([
    ['that is being built', OLD_HEAD, {}, 'c3/push', 'running (main, build other)', 'pending'],
    [
      'whose status is in a context of its branch',
      OLD_HEAD,
      {},
      'c3/push (main)',
      'passed in 8s (main, build other)',
      'success',
    ],
    [
      'of a tag, which is always its own head',
      { ...OLD_HEAD, isHead: true },
      { ref: { kind: 'tag', name: 'v1' }, event: 'tag' },
      'c3/tag',
      'passed in 8s (v1, build other)',
      'success',
    ],
  ] as const)(
    'does not run again, for another delivery, a commit %s',
    async (_, proof, build, context, description, state) => {
      const world = createWorld();
      const before = async function* (): AsyncGenerator<CommitStatus> {
        yield { context, state, description };
      };
      expect(await world.run({ proof, build, ownStatuses: before })).toMatchObject({ kind: 'skipped' });
      expect(world.states).toEqual([]);
    },
  );

  const TAG = { ref: { kind: 'tag', name: 'v1' }, event: 'tag' } as const;
  const BUILT = { context: 'c3/tag', state: 'success', description: 'passed in 8s (v1, build other)' } as const;

  it('does not believe a pending status of its own, which somebody who may push can set', async () => {
    const world = createWorld();
    const own = { context: 'c3/tag', state: 'pending', description: 'running (v1, build aaaaaaaaaaaa)' } as const;
    const ownStatuses = async function* (): AsyncGenerator<CommitStatus> {
      yield* await Promise.resolve([own, BUILT]);
    };
    expect(await world.run({ id: 'a'.repeat(12), build: TAG, ownStatuses })).toMatchObject({ kind: 'skipped' });
    expect(world.events).toEqual(['prove']);
  });

  it('lists the statuses of a tag after the proof, which may wait until the tag exists', async () => {
    const world = createWorld();
    let lists = 0;
    const ownStatuses = async function* (): AsyncGenerator<CommitStatus> {
      lists += 1;
      if (lists > 1) yield await Promise.resolve(BUILT);
    };
    expect(await world.run({ build: TAG, ownStatuses })).toMatchObject({ kind: 'skipped' });
  });

  it('does not run a tag while another build of it runs in this process', async () => {
    const world = createWorld();
    expect(await world.run({ build: TAG, claim: () => false })).toMatchObject({ kind: 'skipped' });
    expect(await world.run({ claim: () => false })).toEqual(PASSED);
  });

  it('refuses to run a tag again by a link that was given for a token, and proves a head again', async () => {
    const world = createWorld();
    const ownStatuses = async function* (): AsyncGenerator<CommitStatus> {
      yield await Promise.resolve(BUILT);
    };
    const build = { ...TAG, cause: 'rerun', trust: undefined } as const;
    expect(await world.run({ build, ownStatuses })).toEqual({
      kind: 'refused',
      message: 'refs/tags/v1 was built before at this commit; to build it again, use the control link in Telegram',
    });
    const proof = { kind: 'refused', message: 'main has moved on to 1a2b3c4' } as const;
    expect(await world.run({ build: { cause: 'rerun', trust: undefined }, proof })).toEqual(proof);
  });

  it.each([
    ['is not its head, but was not built', OLD_HEAD, 'c3/push', 'refused: no (main, build other)', 'error'],
    [
      'is not its head, but was built for another branch only',
      OLD_HEAD,
      'c3/push',
      'passed in 8s (dev, build other)',
      'success',
    ],
    [
      'is not its head, but was built for a tag only',
      OLD_HEAD,
      'c3/tag',
      'passed in 8s (main, build other)',
      'success',
    ],
    ['is its head', { ...OLD_HEAD, isHead: true }, 'c3/push', 'passed in 8s (main, build other)', 'success'],
  ] as const)('runs a commit of its branch that %s', async (_, proof, context, description, state) => {
    const world = createWorld();
    const before = async function* (): AsyncGenerator<CommitStatus> {
      yield { context, state, description };
    };
    expect(await world.run({ proof, ownStatuses: before })).toEqual(PASSED);
  });
});
