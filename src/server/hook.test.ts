import { createHmac, randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { createOfflineHook } from '../../test/fakes/offline-hook.ts';
import { encrypt, SECRET, serveApp, TOKEN, type ServedApp } from '../../test/fakes/served-app.ts';
import { formatSecret, parseKeyring, toJwks } from '../sealing/index.ts';

const SHA = '1'.repeat(40);

describe('POST /hook', () => {
  let served: ServedApp;
  let url: string;
  let secret: string;

  beforeEach(async () => {
    served = serveApp();
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
    options: { to?: string; headers?: Record<string, string | undefined>; event?: string } = {},
  ): Promise<{ status: number; text: string }> {
    const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
    const headers = {
      'content-type': 'application/json',
      'x-github-event': options.event ?? 'push',
      'x-hub-signature-256': signature,
      ...options.headers,
    };
    const given = Object.entries(headers).filter((header): header is [string, string] => header[1] !== undefined);
    const answer = await served.app.request(options.to ?? url, { method: 'POST', body, headers: given });
    return { status: answer.status, text: (await answer.text()).trimEnd() };
  }

  it('responds 202 with the id of the build before the build does anything', async () => {
    const { status, text } = await deliver(toPayload());
    expect(status).toBe(202);
    expect(text).toMatch(/^build [0-9a-f]{12}$/);
    expect(served.builds.count).toBe(1);
    expect(served.requests[0]).toMatchObject({
      build: {
        scope: { owner: 'acme', name: 'shop' },
        ref: { name: 'main' },
        sha: SHA,
        commit: { subject: 'Subject' },
      },
    });
    served.end();
  });

  it('starts one build for a push that arrives twice while it runs', async () => {
    const first = await deliver(toPayload());
    const second = await deliver(toPayload(), { headers: { 'x-github-delivery': 'another' } });
    expect(second).toEqual({ status: 202, text: `${first.text} is already running for this push` });
    expect(served.requests.length).toBe(1);
    served.end();
  });

  it('responds to a ping', async () => {
    const body = JSON.stringify({ zen: 'z', hook_id: 1, repository: { full_name: 'acme/shop' } });
    expect(await deliver(body, { event: 'ping' })).toEqual({
      status: 200,
      text: 'pong: the webhook of github.com/acme/shop works',
    });
  });

  it.each([
    ['a deletion', toPayload({ deleted: true, after: '0'.repeat(40), head_commit: null }), 'push'],
    ['an unknown event', toPayload(), 'watch'],
  ])('ignores %s and says why', async (_, body, event) => {
    const { status, text } = await deliver(body, { event });
    expect(status).toBe(200);
    expect(text).toMatch(/^ignored: \w/);
    expect(served.requests).toEqual([]);
  });

  it('reads no byte of the body if the key does not open', async () => {
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

  it('refuses a wrong and a missing signature before it parses the body', async () => {
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

  it('refuses a body that is too large, announced or not', async () => {
    const large = 'x'.repeat(25 * 1024 * 1024 + 1);
    expect(await deliver(large)).toEqual({ status: 413, text: 'The body is larger than 25600 KiB' });
    expect(await deliver(large, { headers: { 'content-length': String(large.length) } })).toMatchObject({
      status: 413,
    });
  });

  it('tells the build whether the key is an old one', async () => {
    const rotated = serveApp({ keys: `${formatSecret(randomBytes(32))},${SECRET}` });
    served = rotated;
    await deliver(toPayload());
    expect(rotated.requests[0]?.isOldKey).toBe(true);
    served = serveApp();
    await deliver(toPayload());
    expect(served.requests[0]?.isOldKey).toBe(false);
    rotated.end();
    served.end();
  });

  it('responds 429 if a repository has too many builds, and accepts another repository', async () => {
    const one = await deliver(toPayload());
    expect(await deliver(toPayload())).toMatchObject({ status: 202, text: expect.stringContaining('already running') });
    await deliver(toPayload({ after: '2'.repeat(40) }));
    const body = toPayload({ after: '3'.repeat(40) });
    expect(await deliver(body)).toEqual({
      status: 429,
      text: '2 builds of this repository run or wait already\ntry again later',
    });
    const { text } = await encrypt(served.app, 'repo=github.com/acme/other&for=hook', TOKEN);
    [url = '', secret = ''] = text.split('\n');
    const other = await deliver(toPayload({ repository: { full_name: 'acme/other' } }));
    expect(other.status).toBe(202);
    expect(other.text).not.toBe(one.text);
    served.end();
    const next = toPayload({ repository: { full_name: 'acme/other' }, after: '3'.repeat(40) });
    expect((await deliver(next)).status).toBe(202);
  });

  it('responds 429 if hooks of the public key send too much, and accepts a hook that c3 has sealed', async () => {
    const mine = { url, secret };
    const c3 = { baseUrl: 'https://c3.example', jwks: toJwks(parseKeyring(SECRET)) };
    const statuses: number[] = [];
    for (let n = 0; n < 10; n += 1) {
      ({ url, secret } = await createOfflineHook(c3, 'github.com/acme/shop', { token: `token-${n}` }));
      statuses.push((await deliver('{}', { event: 'watch' })).status);
    }
    expect(statuses).toEqual([200, 200, 200, 200, 200, 200, 200, 429, 429, 429]);
    ({ url, secret } = mine);
    expect((await deliver(toPayload(), { event: 'watch' })).status).toBe(200);
  });

  it('counts only deliveries with a right signature', async () => {
    const c3 = { baseUrl: 'https://c3.example', jwks: toJwks(parseKeyring(SECRET)) };
    for (const hook of [{ url, secret }, await createOfflineHook(c3, 'github.com/acme/shop', { token: TOKEN })]) {
      ({ url, secret } = hook);
      for (let n = 0; n < 100; n += 1) {
        const { status } = await deliver('{}', { headers: { 'x-hub-signature-256': undefined } });
        expect(status).toBe(401);
      }
      expect((await deliver(toPayload(), { event: 'watch' })).status).toBe(200);
    }
  });

  describe('with a key whose signature is optional', () => {
    beforeEach(async () => {
      const { text } = await encrypt(served.app, 'repo=github.com/acme/shop&for=hook&signature=optional', TOKEN);
      [url = ''] = text.split('\n');
    });
    const unsigned = { 'x-hub-signature-256': undefined };

    it('accepts a delivery without a signature, and one with the right signature', async () => {
      expect((await deliver(toPayload(), { headers: unsigned })).status).toBe(202);
      expect((await deliver(toPayload({ after: '2'.repeat(40) }))).status).toBe(202);
      served.end();
    });

    it('refuses a wrong signature', async () => {
      for (const signature of ['', 'sha256=', `sha256=${'0'.repeat(64)}`]) {
        const answer = await deliver(toPayload(), { headers: { 'x-hub-signature-256': signature } });
        expect(answer.status).toBe(401);
      }
    });

    it('does not open under the URL of a key that needs one, nor the reverse', async () => {
      const { text } = await encrypt(served.app, 'repo=github.com/acme/shop&for=hook', TOKEN);
      const [signed = ''] = text.split('\n');
      for (const to of [`${signed}&signature=optional`, url.replace('&signature=optional', '')]) {
        const answer = await deliver(toPayload(), { to, headers: unsigned });
        expect(answer).toMatchObject({ status: 401, text: expect.stringMatching(/^The key in the hook URL does not/) });
      }
      expect((await deliver(toPayload(), { to: signed, headers: unsigned })).text).toMatch(
        /^The webhook is not signed/,
      );
      expect(served.requests).toEqual([]);
    });
  });

  it('accepts nothing while it drains, and waits for running builds', async () => {
    await deliver(toPayload());
    const drained = served.builds.drain(new AbortController().signal);
    expect(await deliver(toPayload({ after: '2'.repeat(40) }))).toMatchObject({ status: 503 });
    expect((await served.app.request('/readyz')).status).toBe(503);
    expect((await served.app.request('/healthz')).status).toBe(200);
    served.end();
    await drained;
    expect(served.builds.count).toBe(0);
  });

  it('cancels running builds when the drain is cut short', async () => {
    await deliver(toPayload());
    const cut = new AbortController();
    const drained = served.builds.drain(cut.signal);
    cut.abort();
    expect(served.requests[0]?.signal.aborted).toBe(true);
    served.end();
    await drained;
  });

  it('writes no key, token or secret to its log', async () => {
    await deliver(toPayload());
    await deliver('{', { to: url.replace('repo=acme/shop', 'repo=acme/other') });
    const key = new URL(url).searchParams.get('key') ?? '';
    for (const hidden of [key, TOKEN, secret]) expect(served.log.join('\n')).not.toContain(hidden);
    served.end();
  });
});
