import { describe, expect, it } from 'vitest';
import { FORKS, usePulls, type Forked } from './fork.ts';
import { useOutsider, type Answer } from './outsider.ts';

describe('A3 The approval of a commit of a fork', () => {
  const outsider = useOutsider(FORKS);
  const { forge, findStatus, commit, openFork, waitForAnswer, say, approve, waitForRequest, expectNothing } =
    usePulls(outsider);

  it('needs another approval after another commit', async () => {
    const forked = await openFork();
    await waitForRequest(forked);
    expect(await approve(forked)).toMatchObject({ state: 'success' });
    const sha = await commit(forked.mallory, forked.fork, { 'test.sh': 'echo worse\n' });
    const changed = { ...forked, sha };
    await waitForRequest(changed);
    await expectNothing(changed, async () => {
      expect(await say(forked.pull, 'ann', `/ok-to-test ${forked.sha.slice(0, 7)}`)).toContain('is at');
      expect(await say(forked.pull, 'ann', '/retest')).toContain('is not approved');
    });
  });

  it.each([
    ['a reader', 'reader', (short: string) => `/ok-to-test ${short}`],
    ['somebody without a right', 'nobody', (short: string) => `/ok-to-test ${short}`],
    ['the author of the fork', 'mallory', (short: string) => `/ok-to-test ${short}`],
    ['the owner, without a commit', 'ann', () => '/ok-to-test'],
    ['the owner, with too few digits', 'ann', (short: string) => `/ok-to-test ${short.slice(0, 6)}`],
    ['the owner, with another commit', 'ann', () => `/ok-to-test ${'0'.repeat(40)}`],
    ['the owner, in a quotation', 'ann', (short: string) => `> /ok-to-test ${short}`],
    ['the owner, with /retest', 'ann', () => '/retest'],
  ])('is not approved by %s', async (_, author, toText) => {
    const forked = await openFork();
    const name = forked.hook.user.fullName;
    forge().setUser({ login: 'reader', token: 'reader-token', permissions: { [name]: 'read' } });
    forge().setUser({ login: 'nobody', token: 'nobody-token', permissions: {} });
    await waitForRequest(forked);
    await expectNothing(forked, async () => {
      expect(await say(forked.pull, author, toText(forked.sha.slice(0, 7)))).toMatch(/^ignored: /);
    });
  });

  /** Sends a webhook about a comment that differs from a real one of the forge. */
  function deliverComment(forked: Forked, comment: object, payload: object = {}): Promise<Answer> {
    const { pull, hook } = forked;
    const written = {
      id: 1,
      body: `/ok-to-test ${forked.sha}`,
      user: { login: 'ann' },
      created_at: '2026-01-01T00:00:00Z',
    };
    const message = {
      action: 'created',
      issue: { number: pull.number, pull_request: {} },
      comment: { ...written, ...comment },
      repository: { full_name: hook.user.fullName },
      ...payload,
    };
    return outsider.deliver(hook, message, { 'x-github-event': 'issue_comment' });
  }

  it('is not approved by a comment that only a webhook has', async () => {
    const forked = await openFork();
    await waitForRequest(forked);
    await expectNothing(forked, async () => {
      expect(await deliverComment(forked, {})).toMatchObject({ text: 'ignored: the forge has no such comment' });
    });
  });

  it.each([
    ['the name of the owner', {}, { user: { login: 'ann' } }],
    ['the text of an approval', {}, {}],
  ])('is not approved by a comment of its author to which a webhook gives %s', async (_, __, changes) => {
    const forked = await openFork();
    await waitForRequest(forked);
    const { id } = await forge().pulls.comment(forked.pull, 'mallory', 'please review');
    await expectNothing(forked, async () => {
      expect((await deliverComment(forked, { id, user: { login: 'mallory' }, ...changes })).text).toMatch(/^ignored: /);
    });
  });

  it('is not approved by an edited comment, nor by one that was edited or deleted since', async () => {
    const forked = await openFork();
    await waitForRequest(forked);
    const text = `/ok-to-test ${forked.sha}`;
    const harmless = await forge().pulls.comment(forked.pull, 'ann', 'thank you');
    await waitForAnswer('issue_comment', `/comments/${harmless.id}"`);
    await expectNothing(forked, async () => {
      await forge().pulls.editComment(harmless, text);
      expect(await waitForAnswer('issue_comment', '"action":"edited"')).toMatch(/^ignored: /);
      expect((await deliverComment(forked, { id: harmless.id, body: 'thank you' })).text).toMatch(/^ignored: /);
      await forge().pulls.deleteComment(harmless);
      expect((await deliverComment(forked, { id: harmless.id })).text).toMatch(/no such comment/);
    });
  });

  it('is not approved by a comment on another pull request', async () => {
    const forked = await openFork();
    await waitForRequest(forked);
    const other = await forge().pulls.open({
      repository: forked.hook.repository,
      head: { repository: forked.fork, branch: 'main' },
      author: 'mallory',
    });
    const { id } = await forge().pulls.comment(other, 'ann', `/ok-to-test ${forked.sha}`);
    await waitForAnswer('issue_comment', `/comments/${id}"`);
    const answer = await deliverComment(forked, { id });
    expect(answer.text).toContain('another text, author or pull request');
  });

  it('runs once for an approval that is delivered twice', async () => {
    const forked = await openFork();
    await waitForRequest(forked);
    await approve(forked);
    const delivery = forge().deliveries.findLast(
      ({ event, request }) => event === 'issue_comment' && request.body.includes(forked.sha.slice(0, 7)),
    );
    await outsider.spare(async () => {
      const again = await forge().redeliver(delivery?.id ?? 0);
      expect(again.answer).toMatchObject({ status: 200, body: expect.stringMatching(/^ignored: /) });
    });
  });

  it('asks for no second approval, and hides no result, when it is opened again', async () => {
    const forked = await openFork();
    await waitForRequest(forked);
    await approve(forked);
    await outsider.spare(async () => {
      const { pulls } = forge();
      await pulls.reopen(await pulls.close(forked.pull));
      await waitForAnswer('pull_request', '"action":"reopened"');
      await outsider.waitForReplay(forked.sha);
    });
    expect(await findStatus(forked.sha)).toMatchObject({ state: 'success' });
  });

  it('is not approved by the link to view it', async () => {
    const forked = await openFork();
    const { targetUrl } = await waitForRequest(forked);
    await expectNothing(forked, async () => {
      const answer = await outsider.send(`${new URL(targetUrl ?? '').pathname}/rerun`, {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: 'nonce=AbCdEfGhIjKlMnOpQrStUv',
      });
      expect(answer.status).toBe(403);
    });
  });

  it('is not cancelled by a reader', async () => {
    const forked = await openFork({
      files: { 'test.sh': 'until test -e /c3/go; do sleep 0.1; done' },
      steps: "- main: 'touch /c3/go; sh ./test.sh'",
    });
    forge().setUser({ login: 'reader', token: 'reader-token', permissions: { [forked.hook.user.fullName]: 'read' } });
    await waitForRequest(forked);
    expect(await say(forked.pull, 'ann', `/ok-to-test ${forked.sha}`)).toMatch(/^build /);
    expect(await say(forked.pull, 'reader', '/cancel')).toMatch(/^ignored: /);
    expect(await findStatus(forked.sha, ({ state }) => state !== 'pending')).toMatchObject({ state: 'success' });
  });
});
