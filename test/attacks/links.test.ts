import { randomBytes, randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type BuildLink, openLink, sealLink } from '../../src/build/index.ts';
import { createLink, type LinkPart } from '../fakes/sample-build.ts';
import {
  formatSecret,
  parseKeyring,
  parseScope,
  seal,
  sealForPublicKey,
  toJwks,
  type Keyring,
} from '../../src/sealing/index.ts';
import type { SetUp } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { toPath, toPayload, useOutsider, type Answer } from './outsider.ts';
import { deadline } from '../time-limits.ts';

/** Returns whether a process with this command line runs on this machine, where the containers run too. */
function isRunning(...argv: readonly string[]): boolean {
  return readdirSync('/proc').some((id) => {
    try {
      return readFileSync(`/proc/${id}/cmdline`, 'utf8') === argv.map((word) => `${word}\0`).join('');
    } catch {
      return false;
    }
  });
}

describe('A14 A link to a build that c3 did not create', () => {
  // Has its own forge: these tests count all requests that c3 sends to it.
  const outsider = useOutsider({});
  const { fixture } = outsider;
  const NONCE = 'nonce=AbCdEfGhIjKlMnOpQrStUv';
  const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
  const REFUSED = {
    status: 401,
    text: expect.stringMatching(/^This link does not open: it is incomplete, or belongs to another c3/),
  };
  const ALL_REFUSED = Array.from({ length: 6 }, () => REFUSED);

  function keyring(): Keyring {
    return parseKeyring(fixture.world.settings['C3_SECRET'] ?? '');
  }

  /** Sends the form of the page. */
  function post(sealed: string, action: string, headers: Record<string, string> = {}): Promise<Answer> {
    return outsider.send(`/b/${sealed}/${action}`, { headers: { ...FORM, ...headers }, body: NONCE });
  }

  /** Asks for the control link with a token of the forge. */
  function ask(sealed: string, token: string): Promise<Answer> {
    return outsider.send(`/b/${sealed}/control`, { headers: { authorization: `Bearer ${token}` } });
  }

  function get(sealed: string, rest = ''): Promise<Answer> {
    return outsider.send(`/b/${sealed}${rest}`, { method: 'GET' });
  }

  /** Tries all uses of a link, and expects no request to the forge or the cluster. Returns the responses. */
  async function tryAll(sealed: string): Promise<Answer[]> {
    const requests = fixture.world.forge.requests.length;
    const answers: Answer[] = [];
    await outsider.spare(async () => {
      for (const rest of ['', '/log', '/events']) answers.push(await get(sealed, rest));
      for (const action of ['cancel', 'rerun']) answers.push(await post(sealed, action));
      answers.push(await ask(sealed, fixture.world.owner.token));
    });
    expect(fixture.world.forge.requests).toHaveLength(requests);
    return answers;
  }

  interface Begun {
    readonly hook: SetUp;
    readonly sha: string;
    /** The view link, as in the commit status. */
    readonly look: string;
    /** The control link, as only in Telegram. */
    readonly control: string;
  }

  /** Starts a build that runs until it is cancelled. */
  async function begin(): Promise<Begun> {
    const hook = await fixture.setUp();
    const seconds = `1000.${randomInt(100_000_000)}`;
    const source = formatPipeline(fixture.target, hook.k8s, `- main: sleep ${seconds}\n  name: long`);
    const { sha } = await hook.user.push({ 'c3.yaml': source }, 'runs for long');
    const signal = deadline();
    const status = await fixture.world.forge.waitFor(
      () => fixture.world.forge.statuses.find((one) => one.sha === sha && one.targetUrl !== null),
      signal,
    );
    const look = status.targetUrl?.split('/b/')[1] ?? '';
    const control = await sealLink(keyring(), { ...(await openLink(keyring(), look)), right: 'control' });
    await expect.poll(() => isRunning('sleep', seconds)).toBe(true);
    return { hook, sha, look, control };
  }

  /** Expects that the build still runs, and cancels it. */
  async function expectRunning({ hook, sha, control }: Begun): Promise<void> {
    const ofBuild = fixture.world.forge.statuses.filter((status) => status.sha === sha);
    expect(ofBuild.map(({ state }) => state)).toEqual(['pending']);
    expect(await post(control, 'cancel')).toMatchObject({ status: 303 });
    expect(await hook.user.waitForEnd(sha)).toMatchObject({ description: expect.stringMatching(/^cancelled after /) });
  }

  function linkOf(hook: SetUp, part: LinkPart = {}): BuildLink {
    return createLink({
      right: 'control',
      scope: parseScope(hook.user.scope),
      sha: '1'.repeat(40),
      token: fixture.world.owner.token,
      ...part,
    });
  }

  it('opens no value that was sealed with the public key, by the command or by /encrypt', async () => {
    const hook = await fixture.setUp();
    const scope = parseScope(hook.user.scope);
    const jwks = toJwks(keyring());
    const text = Buffer.from(JSON.stringify(linkOf(hook))).toString('base64url');
    expect(
      await tryAll(await sealForPublicKey(jwks, text, { scope, purpose: { kind: 'secret', name: 'LINK' } })),
    ).toMatchObject(ALL_REFUSED);
    expect(await tryAll(await seal(keyring(), text, { scope, purpose: { kind: 'k8s' } }))).toMatchObject(ALL_REFUSED);
    expect(await tryAll(await hook.user.seal('secret:LINK', text))).toMatchObject(ALL_REFUSED);
    for (const purpose of ['link', 'c3/link', 'secret:', 'hook:link']) {
      await expect(hook.user.seal(purpose, text)).rejects.toThrow(/is not (one of|a name of)/);
    }
  });

  it("does not accept a hook's key as a link, or a link as a hook's key", async () => {
    const hook = await fixture.setUp();
    expect(await tryAll(new URL(hook.url).searchParams.get('key') ?? '')).toMatchObject(ALL_REFUSED);
    const key = await sealLink(keyring(), linkOf(hook));
    expect(await outsider.send(toPath(hook.url, { key }), { body: '{}' })).toMatchObject({ status: 401 });
  });

  it('opens no link of another c3 whose key has the same id', async () => {
    const hook = await fixture.setUp();
    const sealed = await sealLink(parseKeyring(formatSecret(randomBytes(32))), linkOf(hook));
    expect(await tryAll(keyring().keys[0].id + sealed.slice(2))).toMatchObject(ALL_REFUSED);
    expect(await tryAll(sealed)).toMatchObject(ALL_REFUSED);
  });

  it('does not accept a view link with any bit changed as a control link', async () => {
    const hook = await fixture.setUp();
    const parts = (await sealLink(keyring(), linkOf(hook, { right: 'view' }))).split('.');
    const ciphertext = Buffer.from(parts[2] ?? '', 'base64url');
    for (let bit = 0; bit < 8; bit += 1) {
      const changed = Buffer.from(ciphertext);
      changed[0] = (changed[0] ?? 0) ^ (1 << bit);
      expect(await post(parts.with(2, changed.toString('base64url')).join('.'), 'cancel')).toMatchObject(REFUSED);
    }
  });

  it('cancels and reruns nothing with a view link', async () => {
    const begun = await begin();
    await outsider.spare(async () => {
      expect(await post(begun.look, 'cancel')).toMatchObject({ status: 403 });
      expect(await post(begun.look, 'rerun')).toMatchObject({ status: 403 });
    });
    await expectRunning(begun);
  });

  it('cancels and reruns nothing for a form of another site', async () => {
    const begun = await begin();
    const own = new URL(fixture.world.c3.url).origin;
    const foreign: Record<string, string>[] = [
      { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
      { 'sec-fetch-site': 'same-site', origin: 'https://evil.c3.example' },
      { 'sec-fetch-site': 'cross-site', origin: own },
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: `${own}.evil.example` },
    ];
    await outsider.spare(async () => {
      for (const headers of foreign) {
        expect(await post(begun.control, 'cancel', headers)).toMatchObject({ status: 403 });
        expect(await post(begun.control, 'rerun', headers)).toMatchObject({ status: 403 });
      }
    });
    await expectRunning(begun);
  });

  it('cancels and reruns nothing on GET, HEAD and OPTIONS, which link previews send', async () => {
    const begun = await begin();
    await outsider.spare(async () => {
      for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']) {
        for (const action of ['cancel', 'rerun']) {
          const path = `/b/${begun.control}/${action}?${NONCE}`;
          expect(await outsider.send(path, { method })).toMatchObject({ status: 405 });
        }
      }
    });
    await expectRunning(begun);
  });

  it('has the control link in no commit status and no response to a webhook, and no link in the log', async () => {
    const begun = await begin();
    await get(begun.look);
    await get(begun.control);
    await outsider.send(`/b/${begun.control}/no-such-page`, { method: 'GET' });
    await outsider.send(`/b/${begun.control}x/cancel`, { body: NONCE });
    await expectRunning(begun);
    const statuses = fixture.world.forge.statuses.filter(({ sha }) => sha === begun.sha);
    for (const { targetUrl, description } of statuses) {
      const sealed = targetUrl?.split('/b/')[1] ?? '';
      expect(await openLink(keyring(), sealed)).toMatchObject({ right: 'view', build: { before: undefined } });
      expect(description).not.toContain('/b/');
    }
    const answers = fixture.world.forge.deliveries.map(({ answer }) => JSON.stringify(answer));
    expect(answers.filter((answer) => answer.includes('/b/'))).toEqual([]);
    const log = fixture.world.c3.log.join('\n');
    for (const sealed of [begun.look, begun.control]) expect(log).not.toContain(sealed.slice(3, 19));
  });

  it('gives the control link only for a token that may push to the repository, and writes no token to its log', async () => {
    const begun = await begin();
    const { forge, owner, c3 } = fixture.world;
    const { fullName } = begun.hook.user;
    const other = await fixture.setUp();
    const tokens = { reader: 'ghp_may-only-read', neighbour: 'ghp_of-another-repository', unknown: 'ghp_revoked' };
    forge.setUser({ login: 'reader', token: tokens.reader, permissions: { [fullName.toLowerCase()]: 'read' } });
    const permissions = { [other.user.fullName.toLowerCase()]: 'admin' } as const;
    forge.setUser({ login: 'neighbour', token: tokens.neighbour, permissions });
    const refused = { status: 403, text: expect.stringMatching(/^The forge does not say that this token may push/) };
    await outsider.spare(async () => {
      for (const token of Object.values(tokens)) expect(await ask(begun.look, token)).toMatchObject(refused);
      expect(await get(begun.look, '/control')).toMatchObject({ status: 405 });
    });
    const { status, text } = await ask(begun.look, owner.token);
    expect(status).toBe(200);
    const sealed = text.trimEnd().split('/b/')[1] ?? '';
    expect(await openLink(keyring(), sealed)).toMatchObject({ right: 'control', build: { sha: begun.sha } });
    await expectRunning({ ...begun, control: sealed });
    const log = c3.log.join('\n');
    for (const secret of [...Object.values(tokens), owner.token, sealed.slice(3, 19)])
      expect(log).not.toContain(secret);
  });

  it('creates no link for a push that the forge does not confirm', async () => {
    const hook = await fixture.setUp();
    const { sha } = await hook.user.push({ file: 'one' }, 'before the token may only read');
    await hook.user.waitForEnd(sha);
    const payload = toPayload(hook, 'f'.repeat(40));
    await outsider.refuse(hook, payload, /^build ended: refused: main has moved on to /);
    const targets = fixture.world.forge.statuses.filter(({ sha: of }) => of === payload.after);
    expect(targets.filter(({ targetUrl }) => targetUrl !== null)).toEqual([]);
  });

  it('reruns a build only if the forge still confirms it', async () => {
    const begun = await begin();
    await expectRunning(begun);
    fixture.world.forge.setPermission(fixture.world.owner.token, begun.hook.user.fullName, 'read');
    await outsider.spare(async () => {
      expect(await post(begun.control, 'rerun')).toMatchObject({ status: 303 });
      expect(await outsider.waitForRefusal(begun.sha)).toMatch(/may not push/);
    });
    fixture.world.forge.setPermission(fixture.world.owner.token, begun.hook.user.fullName, 'admin');
  });

  it('starts one build for many simultaneous submissions of a form', async () => {
    const begun = await begin();
    await expectRunning(begun);
    const answers = await Promise.all(Array.from({ length: 8 }, () => post(begun.control, 'rerun')));
    const ids = answers.map(async ({ headers }) => {
      return (await openLink(keyring(), String(headers['location']).slice('../'.length))).build.id;
    });
    const [id, ...others] = [...new Set(await Promise.all(ids))];
    expect(others).toEqual([]);
    const started = fixture.world.c3.log.filter((line) => line.includes(`"${id}"`) && line.includes('"build started"'));
    expect(started).toHaveLength(1);
    const control = String(answers[0]?.headers['location']).slice('../'.length);
    expect(await post(control, 'cancel')).toMatchObject({ status: 303 });
    await fixture.world.forge.waitFor(
      () =>
        fixture.world.forge.statuses.find(
          ({ state, description }) => state === 'error' && description?.includes(id ?? '?'),
        ),
      deadline(),
    );
  });

  it('forbids caching, frames, indexing and referrers of a page, and its requests to other hosts', async () => {
    const begun = await begin();
    // The raw log of a running build ends with the build.
    await expectRunning(begun);
    for (const rest of ['', '/log']) {
      const { headers } = await get(begun.look, rest);
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'referrer-policy': expect.stringMatching(/^(no-referrer|same-origin)$/),
        'x-robots-tag': expect.stringMatching(/noindex/),
        'x-content-type-options': 'nosniff',
        'content-security-policy': expect.stringMatching(/default-src 'none'.*frame-ancestors 'none'/),
      });
      expect(headers['content-security-policy']).not.toMatch(/unsafe|\*|https?:/);
      expect(headers).not.toHaveProperty('set-cookie');
    }
  });
});
