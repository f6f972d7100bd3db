import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createTelegramClient } from '../../src/reporters/telegram/client.ts';
import { formatPipeline } from '../e2e/target.ts';
import { toHeaders, toPath, toPayload, useOutsider } from './outsider.ts';
import { createTrap, type Trap } from './trap.ts';
import { deadline } from '../time-limits.ts';

describe('A6 An address that would receive the token', () => {
  const outsider = useOutsider();
  const { fixture } = outsider;
  const traps: Trap[] = [];
  afterEach(async () => {
    await Promise.all(traps.splice(0).map((trap) => trap.close()));
  });

  async function setTrap(): Promise<Trap> {
    const trap = await createTrap();
    traps.push(trap);
    return trap;
  }

  it('calls no address of a payload', async () => {
    const trap = await setTrap();
    const hook = await fixture.setUp();
    const source = formatPipeline(fixture.target, hook.k8s, '- main: grep -q c3.yaml c3.yaml || test -e c3.yaml');
    const sha = await hook.user.tree.commit({ 'c3.yaml': source }, 'real');
    await hook.user.tree.git('push', '--quiet', hook.user.cloneUrl, `${sha}:refs/heads/main`);
    await hook.user.waitForEnd(sha);
    const url = `${trap.origin}/${hook.user.fullName}`;
    const repository = {
      full_name: hook.user.fullName,
      ...Object.fromEntries(
        [
          'url',
          'html_url',
          'clone_url',
          'git_url',
          'ssh_url',
          'svn_url',
          'contents_url',
          'statuses_url',
          'compare_url',
          'hooks_url',
          'branches_url',
          'commits_url',
        ].map((name) => [name, url]),
      ),
    };
    const before = fixture.world.forge.statuses.length;
    const payload = toPayload(hook, sha, {
      repository,
      compare: url,
      head_commit: { id: sha, message: 'm', url, author: { name: 'm' } },
    });
    expect(
      await outsider.deliver(hook, payload, { 'x-github-enterprise-host': new URL(trap.origin).host }),
    ).toMatchObject({ status: 202 });
    await fixture.world.forge.waitFor(
      () =>
        fixture.world.forge.statuses.slice(before).find((status) => status.sha === sha && status.state === 'success'),
      deadline(),
    );
    expect(trap.requests).toEqual([]);
  });

  it('follows no redirect of the forge with the token, permanent or not', async () => {
    const trap = await setTrap();
    for (const status of [301, 302, 303, 307, 308]) {
      const hook = await fixture.setUp();
      const end = fixture.world.forge.faults.add({
        match: new RegExp(`/repos/${hook.user.fullName}(?:/|$)`),
        kind: 'status',
        status,
        headers: { location: `${trap.origin}/stolen` },
        body: '',
      });
      await outsider.spare(async () => {
        const source = formatPipeline(fixture.target, hook.k8s, '- main: env');
        const { sha } = await hook.user.push({ 'c3.yaml': source }, 'redirected');
        expect(await outsider.waitForRefusal(sha)).toMatch(/renamed or moved|answers 30\d/);
      });
      end();
    }
    expect(trap.requests).toEqual([]);
  });

  it('follows no redirect of a status with the token', async () => {
    const trap = await setTrap();
    const hook = await fixture.setUp();
    const end = fixture.world.forge.faults.add({
      match: /^POST .*\/statuses\//,
      kind: 'status',
      status: 307,
      headers: { location: `${trap.origin}/stolen` },
    });
    const { exec } = outsider.cluster.stats();
    try {
      const { sha } = await hook.user.push({ 'c3.yaml': formatPipeline(fixture.target, hook.k8s, '- main: env') }, 'r');
      expect(await outsider.waitForRefusal(sha)).toMatch(/Cannot set the status/);
    } finally {
      end();
    }
    expect(trap.requests).toEqual([]);
    // The Pod may be there by then, but nothing has run in it.
    expect(outsider.cluster.stats().exec).toBe(exec);
  });

  it('follows no redirect of the clone with the token', async () => {
    const trap = await setTrap();
    const hook = await fixture.setUp();
    const end = fixture.world.forge.faults.add({
      match: /\/(?:info\/refs\?service=|)git-upload-pack/,
      kind: 'status',
      status: 302,
      headers: { location: `${trap.origin}/stolen.git/info/refs?service=git-upload-pack` },
    });
    try {
      const source = formatPipeline(fixture.target, hook.k8s, '- main: env');
      expect(await fixture.push(hook.user, { 'c3.yaml': source })).toMatchObject({
        status: { state: 'error', description: expect.stringMatching(/Checking out/) },
      });
    } finally {
      end();
    }
    expect(trap.requests).toEqual([]);
  });

  it("does not show the token to the host of a submodule that is not the forge's", async () => {
    const trap = await setTrap();
    const hook = await fixture.setUp();
    const { tree } = hook.user;
    await mkdir(join(tree.path, 'lib'));
    await tree.git('update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},lib`);
    const url = `${trap.origin}/acme/lib.git`;
    await fixture.push(hook.user, {
      '.gitmodules': `[submodule "lib"]\n\tpath = lib\n\turl = ${url}\n`,
      'c3.yaml': formatPipeline(fixture.target, hook.k8s, '- main: env', 'checkout: {submodules: true}\n'),
    });
    expect(trap.requests.map(({ url }) => url)).toContain('/acme/lib.git/info/refs?service=git-upload-pack');
    expect(trap.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
    expect(JSON.stringify(trap.requests)).not.toContain(fixture.world.owner.token);
  });

  it('calls no forge of a hook URL that the operator does not allow', async () => {
    const trap = await setTrap();
    const hook = await fixture.setUp();
    const host = new URL(trap.origin).host;
    const body = JSON.stringify(toPayload(hook, '1'.repeat(40)));
    for (const repo of [`${host}/acme/shop`, `169.254.169.254/latest/meta-data`, `localhost:22/a/b`]) {
      const answer = await outsider.send(toPath(hook.url, { repo }), { headers: toHeaders(hook.secret, body), body });
      expect(answer.status).toBe(403);
    }
    for (const repo of [
      `github.com@${host}/acme/shop`,
      `github.com#${host}/a/b`,
      `${host}\\@github.com/a/b`,
      `../../a/b`,
      `github.com/a/../b`,
    ]) {
      const answer = await outsider.send(toPath(hook.url, { repo }), { headers: toHeaders(hook.secret, body), body });
      expect(answer.status).toBe(400);
    }
    expect(trap.requests).toEqual([]);
  });

  it('follows no redirect of the Bot API, whose URLs contain the token', async () => {
    const inner = await setTrap();
    const outer = await createTrap(
      (incoming, answer) => void answer.writeHead(307, { location: `${inner.origin}${incoming.url}` }).end(),
    );
    traps.push(outer);
    const client = createTelegramClient({ token: '123:abcdefghijk', apiBase: outer.origin });
    expect(await client.sendMessage({ chat_id: 1, text: 'x' })).toMatchObject({ kind: 'transient' });
    expect(outer.requests).toHaveLength(1);
    expect(inner.requests).toEqual([]);
  });
});
