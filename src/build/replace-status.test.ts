import { describe, expect, it, test } from 'vitest';
import type { CommitStatus } from './commit-status.ts';
import { chooseContexts, replaceStatus } from './replace-status.ts';

const PENDING = ['pending', 'running'] as const;
const PASSED = ['success', 'passed in 8s'] as const;
const FAILED = ['failure', 'failed at test after 8s: exit code 1'] as const;
const BROKEN = ['error', 'infrastructure error after 8s: Pod evicted'] as const;
const SKIPPED = ['success', 'skipped: nothing to do for these paths'] as const;
const REFUSED = ['error', 'refused: main has moved on to 1a2b3c4'] as const;

type Of = readonly [CommitStatus['state'], string];

function status([state, text]: Of, ref = 'main', build = 'a', context = 'c3/push'): CommitStatus {
  return { context, state, description: `${text} (${ref}, build ${build})` };
}

const SHARED = ['c3/push'];
const OWN = ['c3/push (dev)'];

describe('a status', () => {
  it.each([
    [PASSED, PENDING, OWN],
    [PASSED, FAILED, OWN],
    [PASSED, BROKEN, OWN],
    [PENDING, FAILED, OWN],
    [BROKEN, FAILED, SHARED],
    [FAILED, FAILED, SHARED],
    [PASSED, PASSED, SHARED],
    [PENDING, PENDING, SHARED],
    [PENDING, PASSED, SHARED],
    [FAILED, PASSED, SHARED],
    [BROKEN, PENDING, SHARED],
  ])('%j of another ref, after %j, is in %j', (next, current, expected) => {
    expect(chooseContexts([status(current, 'main')], status(next, 'dev', 'b'))).toEqual(expected);
    expect(chooseContexts([status(current, 'main')], status(next, 'main', 'b'))).toEqual(SHARED);
    expect(chooseContexts([status(current, 'main')], status(next, 'main', 'a'))).toEqual(SHARED);
  });

  it('is compared with the newest state of each other ref, in whatever context that is', () => {
    const known = [
      status(PENDING, 'dev', 'b', 'c3/push (dev)'),
      status(PASSED, 'main', 'c'),
      status(FAILED, 'main', 'a'),
      status(FAILED, 'main', 'd', 'c3/tag'),
    ];
    expect(chooseContexts(known, status(PASSED, 'dev', 'b'))).toEqual([...OWN, ...SHARED]);
    expect(chooseContexts(known, status(PASSED, 'main', 'e'))).toEqual(['c3/push (main)']);
    expect(chooseContexts([status(FAILED, 'main', 'e'), ...known], status(PASSED, 'dev', 'b'))).toEqual(OWN);
  });

  it('that failed stays visible when another ref that failed before passes', () => {
    const known = [status(FAILED, 'main', 'b'), status(FAILED, 'dev', 'a')];
    expect(chooseContexts(known, status(PENDING, 'dev', 'c'))).toEqual(OWN);
    expect(chooseContexts(known, status(PASSED, 'dev', 'c'))).toEqual(OWN);
  });

  it('of a build that ran nothing changes no state of the commit', () => {
    for (const current of [PENDING, PASSED, FAILED, BROKEN]) {
      expect(chooseContexts([status(current)], status(SKIPPED, 'main', 'b'))).toEqual([]);
      expect(chooseContexts([status(current)], status(SKIPPED, 'dev', 'b'))).toEqual(OWN);
      expect(chooseContexts([status(current)], status(REFUSED, 'dev', 'b'))).toEqual([]);
      expect(chooseContexts([status(current)], status(REFUSED, 'main', 'a'))).toEqual(SHARED);
    }
    expect(chooseContexts([], status(SKIPPED))).toEqual(SHARED);
    expect(chooseContexts([], status(REFUSED))).toEqual(SHARED);
  });

  it('that c3 did not write can be replaced, except by a build that ran nothing', () => {
    const foreign = { context: 'c3/push', state: 'failure', description: 'by hand' } as const;
    expect(chooseContexts([foreign], status(PASSED))).toEqual(SHARED);
    expect(chooseContexts([foreign], status(REFUSED))).toEqual([]);
  });
});

/** Replaces a status at a commit that has `known`, and returns what was set. */
async function replace(known: readonly CommitStatus[], next: CommitStatus): Promise<CommitStatus[]> {
  const set: CommitStatus[] = [];
  const store = {
    async *listStatuses() {
      yield* await Promise.resolve(known);
    },
    async setStatus(_sha: string, one: CommitStatus) {
      set.push(await Promise.resolve(one));
    },
  };
  const { signal } = new AbortController();
  await replaceStatus(store, 'a'.repeat(40), { status: next, signal });
  return set;
}

test('a status is set in each of its contexts', async () => {
  const known = [status(PENDING, 'dev', 'b', 'c3/push (dev)'), status(PASSED)];
  const set = await replace(known, status(PASSED, 'dev', 'b'));
  expect(set.map(({ context }) => context)).toEqual(['c3/push (dev)', 'c3/push']);
});

test('the failure of another ref, which the pending status of the build hid, is shown again', async () => {
  const failed = status(FAILED, 'main', 'a');
  const known = [status(PENDING, 'dev', 'b'), status(PASSED, 'topic', 'c'), failed, status(PASSED, 'main', 'd')];
  const passed = status(PASSED, 'dev', 'b');
  expect(await replace(known, passed)).toEqual([failed, { ...passed, context: 'c3/push (dev)' }]);
  // While it runs, and when another build shows the context as pending, nothing is hidden.
  expect(await replace(known, status(PENDING, 'dev', 'b'))).toEqual([
    { ...status(PENDING, 'dev', 'b', 'c3/push (dev)') },
  ]);
  expect(await replace([status(PENDING, 'dev', 'e'), ...known], passed)).toEqual([
    { ...passed, context: 'c3/push (dev)' },
  ]);
});
