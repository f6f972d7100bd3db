import { describe, expect, it } from 'vitest';
import { type BuildLink, openLink, sealLink } from '../build/index.ts';
import { createLink, type LinkPart } from '../../test/fakes/sample-build.ts';
import { createState } from '../../dev/telegram/build-states.ts';
import { SECRET, serveApp, TOKEN, type ServedApp } from '../../test/fakes/served-app.ts';
import { parseKeyring, parseScope } from '../sealing/index.ts';
import type { NewBuild } from './builds.ts';

const keyring = parseKeyring(SECRET);
const LINK = createLink({
  right: 'control',
  scope: parseScope('github.com/acme/shop'),
  id: '5f3a0c91d2e4',
  sha: 'a1'.repeat(20),
  trust: 'protected',
  ref: { kind: 'branch', name: 'feature/cart' },
  before: 'b2'.repeat(20),
  token: TOKEN,
});
const NONCE = 'AbCdEfGhIjKlMnOpQrStUv';

interface Posted {
  readonly status: number;
  readonly text: string;
  readonly location: string | null;
}

async function post(
  { app }: ServedApp,
  path: string,
  { link = {}, headers = {}, body = `nonce=${NONCE}` }: PostOptions = {},
): Promise<Posted> {
  const sealed = await sealLink(keyring, createLink({ ...LINK.build, right: LINK.right, token: LINK.token, ...link }));
  const answer = await app.request(`https://c3.example/b/${sealed}/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body,
  });
  const location = answer.headers.get('location');
  return { status: answer.status, text: (await answer.text()).trimEnd(), location };
}

interface PostOptions {
  readonly link?: LinkPart;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** Opens the link that a redirect leads to. */
function openLocation({ location }: Posted): Promise<BuildLink> {
  expect(location).toMatch(/^\.\.\/[\w.-]+$/);
  return openLink(keyring, location?.slice('../'.length) ?? '');
}

/** Starts a build, and returns the part of a link that names it. */
function begin(served: ServedApp): { id: string } {
  const id = 'f00df00df00d';
  served.builds.start({
    build: { ...LINK.build, id },
    hook: { id: 'a-hook', repository: 'github.com/acme/shop', isSealedWithSecret: true },
    token: TOKEN,
    repository: {} as NewBuild['repository'],
    isOldKey: false,
  });
  served.contexts[0]?.onState(createState({ kind: 'running' }));
  return { id };
}

describe('POST /b/SEALED/cancel', () => {
  it('cancels the build and redirects to its page', async () => {
    const served = serveApp();
    const link = begin(served);
    const answer = await post(served, 'cancel', { link });
    expect(answer.status).toBe(303);
    expect(await openLocation(answer)).toMatchObject({ build: link, right: 'control' });
    expect(served.requests[0]?.signal.reason).toMatchObject({ message: 'cancelled by somebody with the control link' });
    served.end();
  });

  it('explains what to do if the build does not run here', async () => {
    expect(await post(serveApp(), 'cancel')).toMatchObject({
      status: 409,
      text: 'This c3 does not run build 5f3a0c91d2e4, so it cannot cancel it\nsee its page; if it has not ended and the c3 that ran it is gone, run it again',
    });
  });
});

describe('POST /b/SEALED/rerun', () => {
  it('starts a new build of the same commit, reads its subject from the forge, and redirects to its page', async () => {
    const served = serveApp();
    const answer = await post(served, 'rerun');
    expect(answer.status).toBe(303);
    const [request] = served.requests;
    expect(request).toMatchObject({
      build: {
        ref: { kind: 'branch', name: 'feature/cart' },
        sha: LINK.build.sha,
        before: LINK.build.before,
        cause: 'rerun',
        commit: { subject: 'Fix the cart', author: 'Ann' },
      },
      isResumed: false,
    });
    expect(request?.build.id).toMatch(/^[0-9a-f]{12}$/);
    expect(request?.build.id).not.toBe(LINK.build.id);
    expect(served.contexts[0]).toMatchObject({ token: TOKEN });
    expect(await openLocation(answer)).toEqual({ ...LINK, build: { ...LINK.build, id: request?.build.id } });
    served.end();
  });

  it('starts one build for each form, however often it is sent', async () => {
    const served = serveApp();
    const [first, again] = await Promise.all([post(served, 'rerun'), post(served, 'rerun')]);
    expect((await openLocation(first)).build.id).toBe((await openLocation(again)).build.id);
    const other = await post(served, 'rerun', { body: `nonce=${NONCE}2` });
    expect((await openLocation(other)).build.id).not.toBe((await openLocation(first)).build.id);
    expect(served.requests).toHaveLength(2);
    served.end();
  });

  it('runs the build of a tag again', async () => {
    const served = serveApp();
    await post(served, 'rerun', { link: { ref: { kind: 'tag', name: 'v1' }, before: undefined } });
    expect(served.requests[0]?.build).toMatchObject({
      event: 'tag',
      ref: { kind: 'tag', name: 'v1' },
      before: undefined,
    });
    served.end();
  });

  it('starts at most as many builds as a webhook', async () => {
    const served = serveApp({ maxBuilds: 1 });
    expect((await post(served, 'rerun')).status).toBe(303);
    expect(await post(served, 'rerun', { body: `nonce=${NONCE}2` })).toMatchObject({
      status: 429,
      text: expect.stringMatching(/^1 builds of this repository run or wait already/),
    });

    expect(served.requests).toHaveLength(1);
    served.end();
  });

  it('starts no build while c3 shuts down', async () => {
    const served = serveApp();
    await served.builds.drain(new AbortController().signal);
    expect(await post(served, 'rerun')).toMatchObject({ status: 503 });
  });

  it.each([
    ['no nonce', 'nonse=1'],
    ['a short one', 'nonce=1'],
    ['no form', '{"nonce": "AbCdEfGhIjKlMnOpQrStUv"}'],
  ])('refuses a body with %s', async (_, body) => {
    const served = serveApp();
    expect(await post(served, 'rerun', { body })).toMatchObject({ status: 400, text: expect.stringMatching(/nonce/) });
    expect(served.requests).toHaveLength(0);
  });

  it('refuses a body that is larger than a form', async () => {
    expect((await post(serveApp(), 'rerun', { body: `nonce=${'x'.repeat(5000)}` })).status).toBe(413);
  });
});

describe.each(['cancel', 'rerun'])('POST /b/SEALED/%s', (path) => {
  it('does nothing for a view link', async () => {
    const served = serveApp();
    const link = begin(served);
    expect(await post(served, path, { link: { ...link, right: 'view' } })).toMatchObject({
      status: 403,
      text: 'This is a view link. It cannot cancel a build or run it again\nuse the buttons in Telegram, which have a control link, or get one with `c3 link`',
    });
    expect(served.requests.map(({ signal }) => signal.aborted)).toEqual([false]);
    served.end();
  });

  it('does nothing for a repository that is no longer served', async () => {
    expect(await post(serveApp(), path, { link: { scope: parseScope('github.com/stranger/shop') } })).toMatchObject({
      status: 403,
    });
  });

  it.each([
    ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }, 403],
    ['another site that hides its origin', { 'sec-fetch-site': 'cross-site', origin: 'null' }, 403],
    ['another origin of the same site', { 'sec-fetch-site': 'same-site', origin: 'https://evil.c3.example' }, 403],
    ['no page at all', { 'sec-fetch-site': 'none' }, 403],
    ['another site, by an old browser', { origin: 'https://evil.example' }, 403],
    ['a hidden origin, by an old browser', { origin: 'null' }, 403],
    ['the page', { 'sec-fetch-site': 'same-origin', origin: 'null' }, 303],
    ['the page, by an old browser', { origin: 'https://c3.example' }, 303],
    ['a program', {}, 303],
  ])('responds %2$j to a request from %s', async (_, headers, status) => {
    const served = serveApp();
    const link = begin(served);
    expect((await post(served, path, { link, headers })).status).toBe(status);
    served.end();
  });

  it('has no GET, which programs that follow links would send', async () => {
    const served = serveApp();
    const link = begin(served);
    const sealed = await sealLink(
      keyring,
      createLink({ ...LINK.build, right: LINK.right, token: LINK.token, ...link }),
    );
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      expect((await served.app.request(`https://c3.example/b/${sealed}/${path}`, { method })).status).toBe(405);
    }
    expect(served.requests.map(({ signal }) => signal.aborted)).toEqual([false]);
    served.end();
  });

  it('writes no link to the log', async () => {
    const served = serveApp();
    const sealed = await sealLink(keyring, LINK);
    for (const link of [sealed, `${sealed}x`]) {
      await served.app.request(`https://c3.example/b/${link}/${path}`, { method: 'POST' });
    }
    expect(served.log.join('\n')).toMatch(/\/b\/…\//);
    expect(served.log.join('\n')).not.toContain(sealed.slice(3, 20));
    served.end();
  });
});
