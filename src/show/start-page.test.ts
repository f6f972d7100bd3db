import { readFileSync } from 'node:fs';
import { deriveWebhookSecret, openSealed, parseKeyring, parsePurpose, parseScope, seal } from '../sealing/index.ts';
import { describe, expect, test } from 'vitest';
import { renderStartPage } from './start-page.ts';

interface Vectors {
  readonly secret: string;
  readonly jwks: { readonly keys: readonly [{ readonly kid: string; readonly x: string }] };
  readonly values: readonly { repo: string; purpose: string; plaintext: string }[];
}

interface BrowserScript {
  sealForPublicKey(key: object, plaintext: string, binding: { scope: string; purpose: string }): Promise<string>;
  deriveWebhookSecret(token: string, scope: string): Promise<string>;
  toScope(text: string): string | undefined;
  findMistake(purpose: string, plaintext: string): string | undefined;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../test/vectors/sealing.json', import.meta.url), 'utf8'),
) as Vectors;
const browser = (await import(new URL('browser/start-page.js', import.meta.url).href)) as BrowserScript;
const keyring = parseKeyring(vectors.secret);
const [publicKey] = vectors.jwks.keys;

describe('a value that the browser seals', () => {
  test.each(vectors.values)('opens on the server: $purpose of $repo, $plaintext.length characters', async (value) => {
    const { repo, purpose, plaintext } = value;
    const sealed = await browser.sealForPublicKey(publicKey, plaintext, { scope: repo, purpose });
    const binding = { scope: parseScope(repo), purpose: parsePurpose(purpose) };
    expect(await openSealed(keyring, sealed, binding)).toStrictEqual({ plaintext, isOldKey: false });
  });

  test('does not open in another repository', async () => {
    const binding = { scope: 'github.com/acme/shop', purpose: 'k8s' };
    const sealed = await browser.sealForPublicKey(publicKey, 'apiVersion: v1', binding);
    const other = { scope: parseScope('github.com/acme/other'), purpose: parsePurpose('k8s') };
    await expect(openSealed(keyring, sealed, other)).rejects.toMatchObject({ code: 'SEALED_INVALID' });
  });

  test('comes with the webhook secret that the server derives', async () => {
    const scope = 'github.com/acme/shop';
    expect(await browser.deriveWebhookSecret('ghp_abc', scope)).toBe(deriveWebhookSecret('ghp_abc', parseScope(scope)));
  });
});

test.each([
  'github.com/acme/shop',
  'https://GitHub.com/Acme/Shop.git/',
  'git.example.com:8443/a/b/c',
  'nonsense',
  'a/b/../c',
  'a/b',
])('reads the repository "%s" as the server does', (text) => {
  let expected: string | undefined;
  try {
    const { host, owner, name } = parseScope(text);
    expected = `${host}/${owner}/${name}`;
  } catch {
    expected = undefined;
  }
  expect(browser.toScope(text)).toBe(expected);
});

test.each([
  ['hook', 'two words'],
  ['hook', 'ghp_abc'],
  ['k8s', ' \n'],
  ['telegram', '{"token": "1:a", "chat": -100123}'],
  ['telegram', '{"token": "1:a", "chat": -100123, "other": 1}'],
  ['telegram', 'nonsense'],
  ['telegram', '{"token": "1:a", "chat": "@shop_builds", "thread": 0}'],
  ['secret:DEPLOY_KEY', 'x'.repeat(16 * 1024)],
  ['secret:DEPLOY_KEY', 'x'.repeat(16 * 1024 + 1)],
  ['secret:1', 'x'],
])('accepts or refuses %s as the server does', async (purpose, plaintext) => {
  async function isAccepted(): Promise<boolean> {
    try {
      await seal(keyring, plaintext, { scope: parseScope('github.com/acme/shop'), purpose: parsePurpose(purpose) });
      return true;
    } catch {
      return false;
    }
  }
  expect(browser.findMistake(purpose, plaintext) === undefined).toBe(await isAccepted());
});

describe('the page', () => {
  const { html, contentSecurityPolicy } = renderStartPage({ baseUrl: 'https://c3.example/<b>&"', publicKey });

  test('contains the base URL escaped, in its HTML and in its data', () => {
    expect(html).not.toContain('<b>');
    const data = /id="c3">(.*?)<\/script>/s.exec(html)?.[1] ?? '';
    expect(JSON.parse(data)).toStrictEqual({
      baseUrl: 'https://c3.example/<b>&"',
      publicKey: { kid: publicKey.kid, x: publicKey.x },
    });
  });

  test('allows only its own script and style, and no form', () => {
    expect(contentSecurityPolicy).toMatch(
      /^default-src 'none'; script-src 'sha256-[^ ]{44}'; style-src 'sha256-[^ ]{44}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    );
  });
});
