import { createHmac } from 'node:crypto';
import type { Hono } from 'hono';
import { beforeEach, describe, expect, it } from 'vitest';
import type { BuildRequest, Ending } from '../engine/index.ts';
import { C3Error } from '../errors.ts';
import { createForges } from '../forges/index.ts';
import { openSealed, parseKeyring, parseScope } from '../sealing/index.ts';
import { createApp } from './app.ts';
import { createBuilds, type Builds } from './builds.ts';

const SECRET = 'YzMtdGVzdC1zZWNyZXQtb2YtMzItYnl0ZXMtISEhISE';
const SHA = '1'.repeat(40);
const TOKEN = `github_pat_${'x'.repeat(82)}`;

interface Served {
  readonly app: Hono;
  readonly builds: Builds;
  readonly requests: BuildRequest[];
  readonly log: string[];
  /** Lets the builds end. */
  end(): void;
}

function serve(baseUrl = 'https://c3.example'): Served {
  const keyring = parseKeyring(SECRET);
  const forges = createForges([{ kind: 'github', origin: 'https://github.com', apiBase: 'https://api.github.com' }]);
  const requests: BuildRequest[] = [];
  const log: string[] = [];
  const ended = Promise.withResolvers<Ending>();
  function note(fields: object, message: string): void {
    log.push(`${JSON.stringify(fields)} ${message}`);
  }
  const logger = { info: note, warn: note, error: note };
  const builds = createBuilds({
    log: logger,
    run(request) {
      requests.push(request);
      return ended.promise;
    },
  });
  const app = createApp({
    keyring,
    baseUrl: () => baseUrl,
    builds,
    log: logger,
    forgeFor: (scope) => forges.forgeFor(scope),
    checkScope(scope) {
      if (scope.owner === 'stranger')
        throw new C3Error('SCOPE_REFUSED', 'This c3 does not serve github.com/stranger/shop');
    },
  });
  return { app, builds, requests, log, end: () => ended.resolve({ kind: 'passed' }) };
}

async function encrypt(
  app: Hono,
  query: string,
  body: string | Uint8Array,
  headers = {},
): Promise<{ status: number; text: string }> {
  const answer = await app.request(`/encrypt?${query}`, { method: 'POST', body, headers });
  return { status: answer.status, text: (await answer.text()).trimEnd() };
}

describe('POST /encrypt', () => {
  const { app } = serve();

  it('answers a token that opens for this repository and purpose', async () => {
    const { status, text } = await encrypt(app, 'repo=github.com/Acme/Shop&for=secret:KEY', 'value\n');
    expect(status).toBe(200);
    const binding = { scope: parseScope('github.com/acme/shop'), purpose: { kind: 'secret', name: 'KEY' } } as const;
    expect(await openSealed(parseKeyring(SECRET), text, binding)).toEqual({ plaintext: 'value', isOldKey: false });
  });

  it('answers the hook URL and the webhook secret on two lines, and as JSON when asked', async () => {
    const { text } = await encrypt(app, 'repo=github.com/acme/shop&for=hook', TOKEN);
    const [url, secret] = text.split('\n');
    expect(url).toMatch(/^https:\/\/c3\.example\/hook\?key=[\w.-]+&repo=acme\/shop$/);
    expect(secret).toBe(createHmac('sha256', TOKEN).update('c3-webhook-v1\ngithub.com/acme/shop').digest('base64url'));
    const json = await encrypt(app, 'repo=github.com/acme/shop&for=hook', TOKEN, { accept: 'application/json' });
    expect(JSON.parse(json.text)).toEqual({ url: expect.stringMatching(/^https:\/\/c3\.example\/hook\?key=/), secret });
  });

  it('keeps the hook URL of a token of 93 characters and a base of 45 within 255', async () => {
    const base = `https://${'c'.repeat(37)}`;
    expect([TOKEN.length, base.length]).toEqual([93, 45]);
    const { text } = await encrypt(
      serve(base).app,
      `repo=github.com/some-organisation/some-rather-long-repository&for=hook`,
      TOKEN,
    );
    expect(text.split('\n')[0]?.length).toBeLessThanOrEqual(255);
  });

  it.each([
    ['for=k8s', 'x', 400, 'The query parameter "repo" is missing\nadd repo=HOST/OWNER/NAME'],
    [
      'repo=github.com/acme/shop',
      'x',
      400,
      'The query parameter "for" is missing\nadd for=hook, k8s, telegram or secret:NAME',
    ],
    [
      'repo=shop&for=k8s',
      'x',
      400,
      'Repository "shop" is not of the form HOST/OWNER/NAME\nfor example github.com/acme/shop',
    ],
    ['repo=github.com/stranger/shop&for=k8s', 'x', 403, 'This c3 does not serve github.com/stranger/shop'],
    ['repo=github.com/acme/shop&for=k8s', 'x'.repeat(17_000), 413, 'The body is larger than 16 KiB'],
  ])('refuses ?%s', async (query, body, status, text) => {
    expect(await encrypt(app, query, body)).toEqual({ status, text });
  });

  it('refuses an empty body and one that is not text', async () => {
    expect(await encrypt(app, 'repo=github.com/acme/shop&for=k8s', '')).toMatchObject({ status: 400 });
    const bytes = await encrypt(app, 'repo=github.com/acme/shop&for=k8s', new Uint8Array([0xff, 0xfe]));
    expect(bytes).toEqual({ status: 400, text: 'The body is not UTF-8 text' });
  });
});

describe('POST /hook', () => {
  let served: Served;
  let url: string;
  let secret: string;

  beforeEach(async () => {
    served = serve();
    const { text } = await encrypt(served.app, 'repo=github.com/acme/shop&for=hook', TOKEN);
    [url = '', secret = ''] = text.split('\n');
  });

  function toPayload(part: object = {}): string {
    return JSON.stringify({
      ref: 'refs/heads/main',
      before: '0'.repeat(40),
      after: SHA,
      created: false,
      deleted: false,
      forced: false,
      repository: { full_name: 'acme/shop', html_url: 'https://github.com/acme/shop' },
      head_commit: { id: SHA, message: 'Subject\n\nBody', author: { name: 'Ann' } },
      pusher: { name: 'ann' },
      ...part,
    });
  }

  async function deliver(
    body: string,
    options: { to?: string; headers?: Record<string, string>; event?: string } = {},
  ): Promise<{ status: number; text: string }> {
    const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
    const headers = {
      'content-type': 'application/json',
      'x-github-event': options.event ?? 'push',
      'x-hub-signature-256': signature,
      ...options.headers,
    };
    const answer = await served.app.request(options.to ?? url, { method: 'POST', body, headers });
    return { status: answer.status, text: (await answer.text()).trimEnd() };
  }

  it('answers a push with 202 and the build, before the build has done anything', async () => {
    const { status, text } = await deliver(toPayload());
    expect(status).toBe(202);
    expect(text).toMatch(/^build [0-9a-f]{12}$/);
    expect(served.builds.count).toBe(1);
    expect(served.requests[0]).toMatchObject({
      source: { scope: 'github.com/acme/shop', refName: 'main', sha: SHA, subject: 'Subject' },
    });
    served.end();
  });

  it('starts one build for a push that is delivered twice while it runs', async () => {
    const first = await deliver(toPayload());
    const second = await deliver(toPayload(), { headers: { 'x-github-delivery': 'another' } });
    expect(second).toEqual({ status: 202, text: `${first.text} is already running for this push` });
    expect(served.requests.length).toBe(1);
    served.end();
  });

  it('answers a ping', async () => {
    const body = JSON.stringify({ zen: 'z', hook_id: 1, repository: { full_name: 'acme/shop' } });
    expect(await deliver(body, { event: 'ping' })).toEqual({
      status: 200,
      text: 'pong: the webhook of github.com/acme/shop works',
    });
  });

  it.each([
    ['a deletion', toPayload({ deleted: true, after: '0'.repeat(40), head_commit: null }), 'push'],
    ['an event that it does not know', toPayload(), 'watch'],
  ])('ignores %s, with the reason', async (_, body, event) => {
    const { status, text } = await deliver(body, { event });
    expect(status).toBe(200);
    expect(text).toMatch(/^ignored: \w/);
    expect(served.requests).toEqual([]);
  });

  it('reads no byte of the body when the key does not open', async () => {
    let pulled = 0;
    const body = new ReadableStream(
      {
        pull(controller) {
          pulled += 1;
          controller.enqueue(new Uint8Array(1024));
        },
      },
      { highWaterMark: 0 },
    );
    const tampered = url.replace(
      /key=(..)\.(.)/,
      (_, kid: string, first: string) => `key=${kid}.${first === 'A' ? 'B' : 'A'}`,
    );
    const request = new Request(tampered, { method: 'POST', body, duplex: 'half' });
    const answer = await served.app.fetch(request);
    expect(answer.status).toBe(401);
    expect(pulled).toBe(0);
  });

  it.each([
    ['no key', 'https://c3.example/hook', 401, /^The hook URL has no key\n/],
    ['half a key', 'https://c3.example/hook?key=AA.bb', 401, /truncated/],
  ])('refuses a URL with %s', async (_, to, status, text) => {
    expect(await deliver('{}', { to })).toEqual({ status, text: expect.stringMatching(text) });
  });

  it('refuses a signature of another body and none at all, without parsing', async () => {
    const other = { 'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update('other').digest('hex')}` };
    expect(await deliver('{broken', { headers: other })).toMatchObject({ status: 401 });
    expect(await deliver('{broken', { headers: { 'x-hub-signature-256': '' } })).toMatchObject({ status: 401 });
    expect(await deliver('{broken')).toMatchObject({ status: 400 });
  });

  it('refuses an event of another repository', async () => {
    const { status, text } = await deliver(toPayload({ repository: { full_name: 'acme/other' } }));
    expect(status).toBe(403);
    expect(text).toMatch(/^The hook key is of github\.com\/acme\/shop, but the event is of github\.com\/acme\/other\n/);
    expect(served.requests).toEqual([]);
  });

  it('refuses a body that is too large, whether or not it says so', async () => {
    const large = 'x'.repeat(5 * 1024 * 1024 + 1);
    expect(await deliver(large)).toEqual({ status: 413, text: 'The body is larger than 5120 KiB' });
    expect(await deliver(large, { headers: { 'content-length': String(large.length) } })).toMatchObject({
      status: 413,
    });
  });

  it('takes nothing more while it drains, and waits for what runs', async () => {
    await deliver(toPayload());
    const drained = served.builds.drain(new AbortController().signal);
    expect(await deliver(toPayload({ after: '2'.repeat(40) }))).toMatchObject({ status: 503 });
    expect((await served.app.request('/readyz')).status).toBe(503);
    expect((await served.app.request('/healthz')).status).toBe(200);
    served.end();
    await drained;
    expect(served.builds.count).toBe(0);
  });

  it('cancels what runs when the draining is cut short', async () => {
    await deliver(toPayload());
    const cut = new AbortController();
    const drained = served.builds.drain(cut.signal);
    cut.abort();
    expect(served.requests[0]?.signal.aborted).toBe(true);
    served.end();
    await drained;
  });

  it('writes neither key nor token nor secret into its log', async () => {
    await deliver(toPayload());
    await deliver('{', { to: url.replace('repo=acme/shop', 'repo=acme/other') });
    const key = new URL(url).searchParams.get('key') ?? '';
    for (const hidden of [key, TOKEN, secret]) expect(served.log.join('\n')).not.toContain(hidden);
    served.end();
  });
});

describe('other routes', () => {
  const { app } = serve();

  it('shows the public keys', async () => {
    const answer = await app.request('/.well-known/jwks.json');
    expect(await answer.json()).toEqual({ keys: [expect.objectContaining({ kty: 'OKP', crv: 'X25519' })] });
  });

  it('says what is not there, without the query', async () => {
    const answer = await app.request('/decrypt?key=secret');
    expect(answer.status).toBe(404);
    expect(await answer.text()).toBe('There is no GET /decrypt here\n');
  });

  it('answers nothing that a browser or a proxy keeps or guesses at', async () => {
    const { headers } = await app.request('/healthz');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });
});
