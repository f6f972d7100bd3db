import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encrypt, SECRET, serveApp, TOKEN } from '../../test/fakes/served-app.ts';
import { escapeHtml } from '../show/index.ts';
import { openSealed, parseKeyring, parseScope } from '../sealing/index.ts';

describe('POST /encrypt', () => {
  const { app } = serveApp();

  it('returns a token that opens for this repository and purpose', async () => {
    const { status, text } = await encrypt(app, 'repo=github.com/Acme/Shop&for=secret:KEY', 'value\n');
    expect(status).toBe(200);
    const binding = { scope: parseScope('github.com/acme/shop'), purpose: { kind: 'secret', name: 'KEY' } } as const;
    expect(await openSealed(parseKeyring(SECRET), text, binding)).toEqual({ plaintext: 'value', isOldKey: false });
  });

  it('seals for the builds of a ref', async () => {
    const { status, text } = await encrypt(app, 'repo=github.com/acme/shop&for=secret:KEY&ref=refs/tags/v*', 'value');
    expect(status).toBe(200);
    const binding = { scope: parseScope('github.com/acme/shop'), purpose: { kind: 'secret', name: 'KEY' } } as const;
    const bound = { ...binding, ref: 'refs/tags/v*' };
    expect(await openSealed(parseKeyring(SECRET), text, bound)).toMatchObject({ plaintext: 'value' });
    await expect(openSealed(parseKeyring(SECRET), text, binding)).rejects.toMatchObject({ code: 'SEALED_INVALID' });
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
    for (let n = 0; n < 7; n += 1) expect((await encrypt(busy, query, 'value')).status).toBe(200);
    const answer = await busy.request(`/encrypt?${query}`, { method: 'POST', body: 'value' });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '3']);
    expect(await answer.text()).toMatch(/^c3 seals no more values in this minute\n/);
  });

  it('seals a hook only if the forge says that the token may push', async () => {
    const refusal = 'the token may not push to github.com/acme/shop';
    const { app: strict } = serveApp({ refusal });
    expect(await encrypt(strict, 'repo=github.com/acme/shop&for=hook', TOKEN)).toEqual({
      status: 403,
      text: `c3 seals no key for this hook: ${refusal}\nmake a token that may push to this repository, and check the name in repo=`,
    });
    expect(await encrypt(strict, 'repo=github.com/acme/shop&for=secret:KEY', TOKEN)).toMatchObject({ status: 200 });
    expect(await encrypt(strict, 'repo=github.com/acme/shop&for=hook', 'two words')).toMatchObject({ status: 400 });
  });

  it('seals values and hooks of other repositories while one repository uses up its part', async () => {
    const { app: busy } = serveApp();
    const values = 'for=secret:KEY';
    while ((await encrypt(busy, `repo=github.com/acme/shop&${values}`, 'value')).status === 200);
    expect(await encrypt(busy, `repo=github.com/acme/other&${values}`, 'value')).toMatchObject({ status: 200 });
    while ((await encrypt(busy, 'repo=github.com/acme/shop&for=hook', TOKEN)).status === 200);
    expect(await encrypt(busy, 'repo=github.com/acme/other&for=hook', TOKEN)).toMatchObject({ status: 200 });
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
    ['for=k8s&ref=v*', 'Ref "v*" must be refs/heads/ or refs/tags/ and a name\nwrite refs/tags/v*'],
    [
      'for=k8s&ref=',
      'Ref "" must be refs/heads/ or refs/tags/ and a name\nfor example refs/heads/main or refs/tags/v*',
    ],
    [
      'for=hook&ref=refs/heads/main',
      'A hook key cannot be sealed for a ref: its webhook reports every push\nleave the ref out; `when` in c3.yaml selects the refs that are built',
    ],
  ])('refuses ?%s', async (query, text) => {
    expect(await encrypt(app, `repo=github.com/acme/shop&${query}`, 'x')).toEqual({ status: 400, text });
  });

  it('reports what c3 cannot hide in a header, and in JSON', async () => {
    const warning = 'c3 does not hide this value in logs: it has 7 characters, and c3 hides 8 or more';
    const send = async (accept: string): Promise<Response> =>
      await app.request('/encrypt?repo=github.com/acme/shop&for=secret:PIN', {
        method: 'POST',
        body: 'seven77',
        headers: { accept },
      });
    expect((await send('*/*')).headers.get('c3-warning')).toBe(warning);
    expect(await (await send('application/json')).json()).toEqual({ token: expect.any(String), warnings: [warning] });
  });

  it('refuses a text that is not a kubeconfig', async () => {
    expect(await encrypt(app, 'repo=github.com/acme/shop&for=k8s', 'hello')).toEqual({
      status: 400,
      text: 'This is not a kubeconfig: it has no "clusters"\ngive the text that kubectl config view --raw --minify --flatten prints',
    });
  });

  it('refuses an empty body and one that is not text', async () => {
    expect(await encrypt(app, 'repo=github.com/acme/shop&for=k8s', '')).toMatchObject({ status: 400 });
    const bytes = await encrypt(app, 'repo=github.com/acme/shop&for=k8s', new Uint8Array([0xff, 0xfe]));
    expect(bytes).toEqual({ status: 400, text: 'The body is not UTF-8 text' });
  });

  it.each(['secret:PIN', 'k8s', 'telegram'])('names UTF-16 as the mistake of a %s', async (purpose) => {
    const own = serveApp();
    for (const text of ['clusters: []', '\uFEFFclusters: []']) {
      const answer = await encrypt(own.app, `repo=github.com/acme/shop&for=${purpose}`, Buffer.from(text, 'utf16le'));
      expect(answer).toEqual({
        status: 400,
        text: expect.stringMatching(/^The text is UTF-16, as the `>` of Windows/),
      });
    }
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
    expect(await answer.text()).toBe('There is no /decrypt here\n');
  });

  it('responds 405 to another method, with the methods that exist', async () => {
    const answer = await app.request('/hook?key=secret');
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
    expect(await answer.text()).toBe('/hook accepts POST, not GET\n');
  });

  it('shows the documents of this version, and no other file', async () => {
    const answer = await app.request('/docs/README.md');
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await answer.text()).toContain('(get-started.md)');
    const page = await app.request('/docs/README.md', { headers: { accept: 'text/html' } });
    expect(await page.text()).toMatch(/<a href="get-started\.md">[^<]+<\/a>[^]*<a href="c3-yaml\.md">c3\.yaml<\/a>/);
    for (const name of ['..%2fpackage.json', '%2e%2e%2fREADME.md', 'pictures', 'README.md%00', 'no-such.md']) {
      expect((await app.request(`/docs/${name}`)).status).toBe(404);
    }
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

describe('an error', () => {
  const served = serveApp();
  const draining = serveApp();
  const html = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } };

  it.each([
    ['a link that does not open', '/b/kS.a.b.c', served, 401, 'Unauthorized', /^This link does not open/],
    ['an address that does not exist', '/<b>', served, 404, 'Not Found', /^There is no \/<b> here/],
    ['another method', '/encrypt', served, 405, 'Method Not Allowed', /^\/encrypt accepts POST, not GET/],
    ['a c3 that shuts down', '/readyz', draining, 503, 'Service Unavailable', /^This c3 is shutting down\ntry again/],
  ])('is a page for a browser and text for others: %s', async (_, path, { app, builds }, status, title, sentence) => {
    await draining.builds.drain(new AbortController().signal);
    expect(builds.count).toBe(0);
    const plain = await app.request(path);
    const text = await plain.text();
    expect([plain.status, plain.headers.get('content-type')]).toEqual([status, 'text/plain; charset=utf-8']);
    expect(text).toMatch(sentence);
    const answer = await app.request(path, html);
    const page = await answer.text();
    expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'text/html; charset=utf-8']);
    expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-[^;]+;/);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(page).toContain(`<h1>${title}</h1>`);
    expect(page).toContain(`<p>${escapeHtml(text.split('\n')[0] ?? '')}</p>`);
    expect(page).not.toContain('<script');
  });

  it('keeps Retry-After on its page', async () => {
    const { app } = serveApp();
    const seal = (): Response | Promise<Response> =>
      app.request('/encrypt?repo=github.com/acme/shop&for=secret:KEY', { ...html, method: 'POST', body: 'value' });
    for (let n = 0; n < 60; n += 1) await seal();
    const answer = await seal();
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, expect.stringMatching(/^\d+$/)]);
    expect(await answer.text()).toContain('<h1>Too Many Requests</h1>');
  });
});
