import { afterEach, describe, expect, it, test } from 'vitest';
import type { CommitStatus, Ending } from '../build/index.ts';
import { Cancelled, type BuildRequest } from '../engine/index.ts';
import type { PullComment, PullFacts, Repository } from '../forges/forge.ts';
import { createBuilds, type Builds } from './builds.ts';
import { handleClosed, handleComment, parseCommand } from './pull-events.ts';

const SCOPE = { host: 'github.com', owner: 'acme', name: 'shop' };
const SHA = `1a2b3c4${'d'.repeat(33)}`;
const FORK: PullFacts = {
  number: 12,
  base: 'main',
  head: 'main',
  isDraft: false,
  isFork: true,
  sha: SHA,
  isOpen: true,
  isPublic: true,
  baseSha: 'b'.repeat(40),
  commit: { subject: 'a title', author: 'mallory' },
};
const OWN: PullFacts = { ...FORK, head: 'feature', isFork: false, baseSha: undefined };

interface Forge {
  readonly facts?: PullFacts | undefined;
  readonly statuses?: readonly CommitStatus[];
  /** Why the author of the comment may not push. */
  readonly refusal?: string;
  readonly forks?: 'off' | 'approve';
}

interface SetUp {
  readonly builds: Builds;
  readonly requests: readonly BuildRequest[];
  comment(text: string, part?: Partial<PullComment>): Promise<[status: number, text: string]>;
  close(): Promise<string>;
}

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

/** Serves the events of pull request 12. */
function setUp({ facts = FORK, statuses = [], refusal, forks = 'approve' }: Forge = {}): SetUp {
  const requests: BuildRequest[] = [];
  const ended = Promise.withResolvers<Ending>();
  const quiet = (): void => {};
  const builds = createBuilds({
    lastReportMs: 1,
    log: { info: quiet, warn: quiet, error: quiet },
    limits: { acquireBuildSlot: () => () => {}, confirm: quiet, isNew: () => false },
    run(request) {
      requests.push(request);
      return ended.promise;
    },
  });
  ends.push(async () => {
    ended.resolve({ kind: 'passed', allowed: [] });
    await builds.drain(new AbortController().signal);
  });
  const repository = {
    mayApprove: () => Promise.resolve(refusal),
    readPull: () => Promise.resolve(facts),
    async *listStatuses() {
      yield* await Promise.resolve(statuses);
    },
  } as unknown as Repository;
  const hook = { id: 'a-hook', repository: 'github.com/acme/shop', isSealedWithSecret: true };
  const context = { scope: SCOPE, hook, token: 'a-token', repository, isOldKey: false, builds, forks };
  return {
    builds,
    requests,
    async comment(text, part = {}) {
      const comment = { pull: 12, id: '77', author: 'ann', createdAt: Date.now(), text, ...part };
      const response = await handleComment(comment, context);
      return [response.status, (await response.text()).trimEnd()];
    },
    close: async () => (await (await handleClosed(12, context)).text()).trimEnd(),
  };
}

const status = (context: string, name: string, text: string, state: CommitStatus['state']): CommitStatus => ({
  context,
  state,
  description: `${text} (${name}, build a)`,
});

test.each<[string, ReturnType<typeof parseCommand>]>([
  ['/retest', { name: 'retest', argument: '' }],
  ['Looks good.\r\n/ok-to-test 1A2B3C4\r\nThank you', { name: 'ok-to-test', argument: '1a2b3c4' }],
  ['/cancel  ', { name: 'cancel', argument: '' }],
  ['> /retest', undefined],
  ['please /retest', undefined],
  ['/retest it now please', undefined],
  ['/RETEST', undefined],
  ['', undefined],
])('%j is the command %j', (text, command) => {
  expect(parseCommand(text)).toEqual(command);
});

describe('/ok-to-test', () => {
  it('builds the commit that it names, once for each comment', async () => {
    const { comment, requests } = setUp();
    const [code, text] = await comment('/ok-to-test 1a2b3c4');
    expect(code).toBe(202);
    expect(await comment('/ok-to-test 1a2b3c4')).toEqual([202, text]);
    expect(requests.map(({ build }) => build)).toMatchObject([
      { cause: 'comment', event: 'pull_request', ref: { kind: 'pull', name: '12' }, sha: SHA, trust: undefined },
    ]);
    expect(`build ${requests[0]?.build.id}`).toBe(text);
  });

  it.each<[string, string, Forge]>([
    ['without a commit', '/ok-to-test', {}],
    ['with six digits', '/ok-to-test 1a2b3c', {}],
    ['with an older commit', '/ok-to-test 7654321', {}],
    ['by a reader', '/ok-to-test 1a2b3c4', { refusal: 'eve may not push' }],
    ['on a pull request of the same repository', '/ok-to-test 1a2b3c4', { facts: OWN }],
    ['on a closed pull request', '/ok-to-test 1a2b3c4', { facts: { ...FORK, isOpen: false } }],
    ['where forks are off', '/ok-to-test 1a2b3c4', { forks: 'off' }],
    [
      'for a commit that is running',
      '/ok-to-test 1a2b3c4',
      { statuses: [status('c3/pr', '#12', 'running test', 'pending')] },
    ],
  ])('%s starts nothing', async (_, text, forge) => {
    const { comment, requests } = setUp(forge);
    const [code, answer] = await comment(text);
    expect(code).toBe(200);
    expect(answer).toMatch(/^ignored: /);
    expect(requests).toHaveLength(0);
  });

  it('that is delivered again continues its build, which another process began', async () => {
    const first = setUp();
    const [, text] = await first.comment('/ok-to-test 1a2b3c4');
    const begun = { ...status('c3/pr', '#12', '', 'pending'), description: `running test (#12, ${text})` };
    const second = setUp({ statuses: [begun] });
    expect(await second.comment('/ok-to-test 1a2b3c4')).toEqual([202, text]);
    expect(second.requests.map(({ build }) => `build ${build.id}`)).toEqual([text]);
    expect(await second.comment('/ok-to-test 1a2b3c4', { id: '78' })).toEqual([
      200,
      'ignored: 1a2b3c4 was approved before; write /retest to build it again',
    ]);
  });

  it('says what to write when the pull request has moved on', async () => {
    expect(await setUp().comment('/ok-to-test 7654321')).toEqual([
      200,
      'ignored: pull request #12 is at 1a2b3c4 now: review it, and write /ok-to-test 1a2b3c4',
    ]);
  });
});

describe('/retest', () => {
  const built = [
    status('c3/pr', '#12', 'failed at test after 8s: exit code 1', 'failure'),
    status('c3/push', 'feature', 'passed in 8s', 'success'),
    status('c3/push', 'other', 'passed in 8s', 'success'),
  ];

  it('builds again what was built of the commit', async () => {
    const { comment, requests } = setUp({ facts: OWN, statuses: built });
    expect((await comment('/retest'))[0]).toBe(202);
    expect(requests.map(({ build }) => [build.event, build.ref.name])).toEqual([
      ['pull_request', 'feature'],
      ['push', 'feature'],
    ]);
  });

  it('approves no commit of a fork', async () => {
    const { comment, requests } = setUp({ statuses: [status('c3/pr', '#12', 'needs approval: 1a2b3c4', 'pending')] });
    expect((await comment('/retest'))[1]).toContain('commit 1a2b3c4 is not approved');
    expect(requests).toHaveLength(0);
  });

  it('builds an approved commit of a fork again', async () => {
    const { comment, requests } = setUp({ statuses: built });
    expect((await comment('/retest'))[0]).toBe(202);
    expect(requests.map(({ build }) => build.ref)).toEqual([{ kind: 'pull', name: '12' }]);
  });
});

describe('/cancel', () => {
  it('cancels what was started before it, and nothing later when it comes again', async () => {
    const { comment, requests, builds } = setUp();
    await comment('/ok-to-test 1a2b3c4');
    expect(await comment('/cancel', { createdAt: Date.now() - 60_000 })).toEqual([200, 'cancelled 0 builds']);
    expect(await comment('/cancel')).toEqual([200, 'cancelled 1 build']);
    expect(requests[0]?.signal.reason).toEqual(new Cancelled('a comment on its pull request'));
    expect(builds.count).toBe(1);
  });
});

describe('the end of a pull request', () => {
  it('cancels its builds if the forge says so too', async () => {
    const closed = setUp({ facts: { ...FORK, isOpen: false } });
    expect(await closed.close()).toBe('cancelled 0 builds of pull request #12');
    const reopened = setUp();
    await reopened.comment('/ok-to-test 1a2b3c4');
    expect(await reopened.close()).toBe('ignored: pull request #12 is open again');
    expect(reopened.requests[0]?.signal.aborted).toBe(false);
  });
});

it('ignores a comment without a command before it asks the forge anything', async () => {
  const { comment } = setUp({ refusal: 'asked' });
  expect(await comment('hello')).toEqual([200, 'ignored: the comment has no command for c3']);
});
