import { describe, expect, it } from 'vitest';
import type { SetUp } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { toPayload, useOutsider } from './outsider.ts';

describe('A2 A signed webhook for a commit that no user with write permission pushed', () => {
  const outsider = useOutsider();
  const { fixture } = outsider;

  /** Creates a repository and builds its first commit on main. */
  async function setUpBuilt(token?: string): Promise<SetUp & { head: string }> {
    const hook = await fixture.setUp(token === undefined ? {} : { token });
    // c3 asks for a missing c3.yaml again for 15 s.
    const source = formatPipeline(fixture.target, hook.k8s, '- main: echo');
    const { sha } = await hook.user.push({ 'c3.yaml': source }, 'first');
    if (token === undefined) await hook.user.waitForEnd(sha);
    else await outsider.waitForRefusal(sha);
    return { ...hook, head: sha };
  }

  function toEvil(hook: SetUp): Record<string, string> {
    return { 'c3.yaml': formatPipeline(fixture.target, hook.k8s, '- main: touch /c3/pwned') };
  }

  async function pushToFork(hook: SetUp): Promise<string> {
    const fork = await fixture.world.forge.createFork(hook.repository, `mallory${Math.random().toString(36).slice(2)}`);
    const sha = await hook.user.tree.commit(toEvil(hook), 'imposter');
    await hook.user.tree.git(
      'push',
      '--quiet',
      `${fixture.world.forge.origin}/${fork.fullName}.git`,
      `${sha}:refs/heads/evil`,
    );
    return sha;
  }

  it('opens nothing for a commit of a fork that the forge serves through its parent', async () => {
    const hook = await setUpBuilt();
    const sha = await pushToFork(hook);
    expect(await outsider.refuse(hook, toPayload(hook, sha), /main has moved on/)).not.toBe('');
  });

  it("opens nothing for a fork's branch name that the parent does not have", async () => {
    const hook = await setUpBuilt();
    const sha = await pushToFork(hook);
    expect(await outsider.refuse(hook, toPayload(hook, sha, { ref: 'refs/heads/evil' }), /no longer exists/)).not.toBe(
      '',
    );
  });

  it("opens nothing for a tag event whose head_commit is a fork's", async () => {
    const hook = await setUpBuilt();
    await hook.user.tree.git('tag', '--annotate', '--message', 'one', 'v1');
    await hook.user.tree.git('push', '--quiet', hook.user.cloneUrl, 'v1');
    const tag = await hook.user.tree.git('rev-parse', 'v1');
    await hook.user.waitForAnswer(tag);
    const sha = await pushToFork(hook);
    const payload = toPayload(hook, tag, { ref: 'refs/tags/v1', head_commit: { id: sha, message: '', author: {} } });
    await outsider.spare(async () => {
      expect(await outsider.deliver(hook, payload)).toMatchObject({ status: 202 });
      expect(await outsider.waitForRefusal(sha)).toMatch(/v1 has moved on/);
    });
  });

  it('opens nothing when the token of the key may only read, as every account may in a public repository', async () => {
    const token = 'github_pat_of_a_reader_0123456789';
    fixture.world.forge.setUser({ login: 'mallory', token, permissions: { '*': 'read' } });
    const hook = await setUpBuilt(token);
    expect(await outsider.refuse(hook, toPayload(hook, hook.head), /may not push/)).not.toBe('');
    expect(fixture.world.forge.statuses.filter(({ sha }) => sha === hook.head)).toEqual([]);
  });

  it('opens nothing when the author of the commit has the name of an owner', async () => {
    const token = 'github_pat_of_a_name_thief_0123456789';
    fixture.world.forge.setUser({ login: 'mallory', token, permissions: { '*': 'read' } });
    const hook = await setUpBuilt(token);
    const { login } = fixture.world.owner;
    const author = { name: login, username: login, email: `${login}@example.invalid` };
    const payload = toPayload(hook, hook.head, {
      head_commit: { id: hook.head, message: 'trust me', author, committer: author },
      pusher: author,
      sender: { login },
    });
    expect(await outsider.refuse(hook, payload, /may not push/)).not.toBe('');
  });

  it('opens nothing when the permission to push was revoked', async () => {
    const token = 'github_pat_of_a_leaver_0123456789';
    fixture.world.forge.setUser({ login: 'leaver', token, permissions: { '*': 'write' } });
    const hook = await fixture.setUp({ token });
    const { sha } = await hook.user.push({ file: 'one' }, 'first');
    await hook.user.waitForEnd(sha);
    fixture.world.forge.setUser({ login: 'leaver', token, permissions: { '*': 'read' } });
    const next = await hook.user.push(toEvil(hook), 'second');
    await outsider.spare(async () => {
      expect(await outsider.waitForRefusal(next.sha)).toMatch(/may not push/);
    });
  });

  it('opens nothing when the token was revoked', async () => {
    const token = 'github_pat_that_was_revoked_0123456789';
    fixture.world.forge.setUser({ login: 'gone', token, permissions: { '*': 'write' } });
    const hook = await fixture.setUp({ token });
    fixture.world.forge.revokeToken(token);
    const { sha } = await hook.user.push(toEvil(hook), 'by nobody');
    await outsider.spare(async () => {
      expect(await outsider.waitForRefusal(sha)).toMatch(/does not accept the token/);
    });
  });

  it('opens nothing when the token may not set a commit status', async () => {
    const hook = await setUpBuilt();
    const end = fixture.world.forge.faults.add({ match: /^POST .*\/statuses\//, kind: 'status', status: 403 });
    try {
      await outsider.spare(async () => {
        const { sha } = await hook.user.push(toEvil(hook), 'without a status');
        expect(await outsider.waitForRefusal(sha)).toMatch(/Commit statuses: write/);
      });
    } finally {
      end();
    }
  });

  it('opens nothing when the forge cannot say whether the token may push', async () => {
    const hook = await setUpBuilt();
    const end = fixture.world.forge.faults.add({
      match: new RegExp(`^GET /api/v3/repos/${hook.user.fullName}(?:\\?|$)`),
      kind: 'status',
      status: 200,
      body: '{"full_name": true, "permissions": {"push": "true"}}',
    });
    try {
      await outsider.spare(async () => {
        const { sha } = await hook.user.push(toEvil(hook), 'unconfirmed');
        expect(await outsider.waitForRefusal(sha)).not.toBe('');
      });
    } finally {
      end();
    }
  });

  it('opens nothing when the repository has another name', async () => {
    const hook = await setUpBuilt();
    const end = fixture.world.forge.faults.add({
      match: new RegExp(`^GET /api/v3/repos/${hook.user.fullName}(?:\\?|$)`),
      kind: 'status',
      status: 200,
      body: '{"full_name": "mallory/taken-over", "permissions": {"push": true}}',
    });
    try {
      await outsider.spare(async () => {
        const { sha } = await hook.user.push(toEvil(hook), 'moved');
        expect(await outsider.waitForRefusal(sha)).toMatch(/renamed or moved/);
      });
    } finally {
      end();
    }
  });

  it('opens nothing for a commit that came into the branch by a merge, and never was its head', async () => {
    const hook = await setUpBuilt();
    const evil = await hook.user.tree.commit(toEvil(hook), 'evil');
    await hook.user.tree.git('revert', '--no-edit', evil);
    const merged = await hook.user.push({ file: 'two' }, 'merged');
    await hook.user.waitForEnd(merged.sha);
    const token = 'github_pat_of_a_contributor_0123456789';
    fixture.world.forge.setUser({ login: 'carol', token, permissions: { '*': 'write' } });
    const [url = '', secret = ''] = (await hook.user.seal('hook', token)).split('\n');
    const payload = toPayload(hook, evil, { before: hook.head });
    expect(await outsider.refuse({ ...hook, url, secret }, payload, /main has moved on to/)).not.toBe('');
  });

  it('does not deploy an older head of the branch again for the hook of another token', async () => {
    const hook = await setUpBuilt();
    const newer = await hook.user.push({ file: 'two' }, 'newer');
    await hook.user.waitForEnd(newer.sha);
    const token = 'github_pat_of_a_contributor_0123456789';
    fixture.world.forge.setUser({ login: 'carol', token, permissions: { '*': 'write' } });
    const [url = '', secret = ''] = (await hook.user.seal('hook', token)).split('\n');
    await outsider.spare(async () => {
      expect(await outsider.deliver({ url, secret }, toPayload(hook, hook.head))).toMatchObject({ status: 202 });
      await outsider.waitForReplay(hook.head);
    });
  });

  it('does not build again a commit that a forced push removed from the branch', async () => {
    const hook = await setUpBuilt();
    const evil = await hook.user.push(toEvil(hook), 'evil');
    await hook.user.waitForEnd(evil.sha);
    await hook.user.tree.git('reset', '--quiet', '--hard', hook.head);
    const clean = await hook.user.push({ file: 'two' }, 'clean');
    await hook.user.waitForEnd(clean.sha);
    expect(await outsider.refuse(hook, toPayload(hook, evil.sha), /main has moved on to/)).not.toBe('');
  });

  it('opens nothing for a deleted branch, and builds no old head of one that was created again', async () => {
    const hook = await setUpBuilt();
    const source = formatPipeline(fixture.target, hook.k8s, '- main: echo old');
    const old = await hook.user.push({ 'c3.yaml': source }, 'old', 'refs/heads/topic');
    await hook.user.waitForEnd(old.sha);
    await hook.user.tree.git('push', '--quiet', hook.user.cloneUrl, ':refs/heads/topic');
    const payload = toPayload(hook, old.sha, { ref: 'refs/heads/topic' });
    expect(await outsider.refuse(hook, payload, /no longer exists/)).not.toBe('');
    await hook.user.tree.git('push', '--quiet', hook.user.cloneUrl, `${hook.head}:refs/heads/topic`);
    await hook.user.waitForAnswer(hook.head);
    const again = { ...payload, before: hook.head };
    expect(await outsider.refuse(hook, again, /topic has moved on to/)).not.toBe('');
  });

  it('opens nothing for a commit that does not exist', async () => {
    const hook = await setUpBuilt();
    expect(await outsider.refuse(hook, toPayload(hook, 'beef'.repeat(10)), /main has moved on/)).not.toBe('');
  });

  it.each([
    ['in upper case', (sha: string) => sha.toUpperCase()],
    ['that is short', (sha: string) => sha.slice(0, 12)],
    ['that is a name', () => 'main'],
    ['that is a revision expression', (sha: string) => `${sha.slice(0, 38)}~1`],
    ['with a line end', (sha: string) => `${sha}\n`],
    ['that is a list', (sha: string) => [sha]],
  ])('refuses a sha %s', async (_, change) => {
    const hook = { ...(await fixture.setUp()), head: 'abcdef0123'.repeat(4) };
    await outsider.spare(async () => {
      const payload = toPayload(hook, hook.head, { after: change(hook.head) });
      expect(await outsider.deliver(hook, payload)).toMatchObject({
        status: 400,
        text: expect.stringMatching(/after/),
      });
    });
  });

  it('refuses the payload of another repository, even with a valid signature', async () => {
    const [hook, other] = [await setUpBuilt(), await setUpBuilt()];
    await outsider.spare(async () => {
      for (const fullName of [
        other.user.fullName,
        `${hook.user.fullName}.git`,
        `${hook.user.fullName}/`,
        '../x/y',
        7,
      ]) {
        const answer = await outsider.deliver(
          hook,
          toPayload(hook, hook.head, { repository: { full_name: fullName } }),
        );
        expect([400, 403]).toContain(answer.status);
      }
    });
  });
});
