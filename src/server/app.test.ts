import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encrypt, SECRET, serveApp, TOKEN } from '../../test/fakes/served-app.ts';
import { openSealed, parseKeyring, parseScope } from '../sealing/index.ts';

describe('POST /encrypt', () => {
  const { app } = serveApp();

  it('returns a token that opens for this repository and purpose', async () => {
    const { status, text } = await encrypt(app, 'repo=github.com/Acme/Shop&for=secret:KEY', 'value\n');
    expect(status).toBe(200);
    const binding = { scope: parseScope('github.com/acme/shop'), purpose: { kind: 'secret', name: 'KEY' } } as const;
    expect(await openSealed(parseKeyring(SECRET), text, binding)).toEqual({ plaintext: 'value', isOldKey: false });
  });

  it('returns the hook URL and the webhook secret on two lines, or as JSON', async () => {
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
      serveApp({ baseUrl: () => base }).app,
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

  it('responds 429 with Retry-After once it has sealed the values of a minute', async () => {
    const { app: busy } = serveApp();
    const query = 'repo=github.com/acme/shop&for=secret:KEY';
    for (let n = 0; n < 60; n += 1) expect((await encrypt(busy, query, 'value')).status).toBe(200);
    const answer = await busy.request(`/encrypt?${query}`, { method: 'POST', body: 'value' });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await answer.text()).toMatch(/^c3 seals no more values in this minute\n/);
  });

  it('seals a key whose signature is optional, and says so in the URL', async () => {
    const { text } = await encrypt(app, 'repo=github.com/acme/shop&for=hook&signature=optional', TOKEN);
    const [url = ''] = text.split('\n');
    expect(url).toMatch(/^https:\/\/c3\.example\/hook\?key=[\w.-]+&repo=acme\/shop&signature=optional$/);
    const scope = parseScope('github.com/acme/shop');
    const key = new URL(url).searchParams.get('key') ?? '';
    const open = openSealed(parseKeyring(SECRET), key, { scope, purpose: { kind: 'hook' } });
    await expect(open).rejects.toMatchObject({ code: 'SEALED_INVALID' });
  });

  it.each([
    ['for=hook&signature=none', 'Signature "none" is not one of required, optional'],
    ['for=k8s&signature=optional', 'Only a hook has a signature'],
  ])('refuses ?%s', async (query, text) => {
    expect(await encrypt(app, `repo=github.com/acme/shop&${query}`, 'x')).toEqual({ status: 400, text });
  });

  it('refuses an empty body and one that is not text', async () => {
    expect(await encrypt(app, 'repo=github.com/acme/shop&for=k8s', '')).toMatchObject({ status: 400 });
    const bytes = await encrypt(app, 'repo=github.com/acme/shop&for=k8s', new Uint8Array([0xff, 0xfe]));
    expect(bytes).toEqual({ status: 400, text: 'The body is not UTF-8 text' });
  });
});

describe('other routes', () => {
  const { app } = serveApp();

  it('shows the public keys', async () => {
    const answer = await app.request('/.well-known/jwks.json');
    expect(await answer.json()).toEqual({ keys: [expect.objectContaining({ kty: 'OKP', crv: 'X25519' })] });
  });

  it('responds 404 without the query', async () => {
    const answer = await app.request('/decrypt?key=secret');
    expect(answer.status).toBe(404);
    expect(await answer.text()).toBe('There is no GET /decrypt here\n');
  });

  it('shows the schema of c3.yaml', async () => {
    const answer = await app.request('/schema.json');
    expect(await answer.json()).toMatchObject({
      $schema: expect.any(String),
      properties: { steps: expect.anything() },
    });
  });

  it.each(['/healthz', '/nowhere', '/schema.json', '/.well-known/jwks.json', '/encrypt'])(
    'lets no browser or proxy store or sniff the response to %s',
    async (path) => {
      const { headers } = await app.request(path);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toBe(
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
      );
    },
  );
});
