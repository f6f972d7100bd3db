import { readFileSync } from 'node:fs';
import {
  checkValue,
  deriveWebhookSecret,
  openSealed,
  parseKeyring,
  parsePurpose,
  parseScope,
  seal,
} from '../sealing/index.ts';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { findRefMistake } from '../pipeline/ref-pattern.ts';
import { renderStartPage } from './start-page.ts';

interface Vectors {
  readonly secret: string;
  readonly jwks: { readonly keys: readonly [{ readonly kid: string; readonly x: string }] };
  readonly values: readonly { repo: string; purpose: string; ref?: string; plaintext: string }[];
}

interface SealOptions {
  readonly scope: string;
  readonly purpose: string;
  readonly ref?: string | undefined;
}

interface BrowserScript {
  sealForPublicKey(key: object, plaintext: string, binding: SealOptions): Promise<string>;
  deriveWebhookSecret(token: string, scope: string): Promise<string>;
  toScope(text: string): string | undefined;
  findMistake(purpose: string, plaintext: string): string | undefined;
  findRefMistake(ref: string): string | undefined;
  findKubeconfigMistake(purpose: string, plaintext: string): string | undefined;
  findUnmaskable(purpose: string, plaintext: string): string[];
  formatLines(purpose: string, token: string, ref: string): string;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../test/vectors/sealing.json', import.meta.url), 'utf8'),
) as Vectors;
const browser = (await import(new URL('browser/start-page.js', import.meta.url).href)) as BrowserScript;
const keyring = parseKeyring(vectors.secret);
const [publicKey] = vectors.jwks.keys;

describe('a value that the browser seals', () => {
  test.each(vectors.values)('opens on the server: $purpose of $repo, $plaintext.length characters', async (value) => {
    const { repo, purpose, ref, plaintext } = value;
    const sealed = await browser.sealForPublicKey(publicKey, plaintext, { scope: repo, purpose, ref });
    const binding = { scope: parseScope(repo), purpose: parsePurpose(purpose), ref };
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

test.each([
  ['k8s', 'hello'],
  ['k8s', 'clusters: []\nusers: []'],
  ['k8s', 'clusters: []\ncontexts: []\nusers: []'],
  ['k8s', '{"clusters":[],"contexts":[],"users":[]}'],
  ['secret:A', 'short'],
  ['secret:A', 'short\nline of a key\n}'],
  ['secret:A', 'a long value'],
  ['secret:A', '{"password": "correct horse"}'],
  ['secret:A', 'postgres://me:correct-horse@db/shop'],
  ['secret:A', 'PASSWORD=correct-horse'],
  ['telegram', 'short'],
])('treats the %s %j as the server does', (purpose, plaintext) => {
  function check(): readonly string[] | undefined {
    try {
      return checkValue(parsePurpose(purpose), plaintext);
    } catch {
      return undefined;
    }
  }
  const found = check();
  expect(browser.findKubeconfigMistake(purpose, plaintext) === undefined).toBe(found !== undefined);
  expect(browser.findUnmaskable(purpose, plaintext)).toStrictEqual(found ?? []);
});

test.each(['hook', 'k8s', 'telegram', 'secret:A'])(
  'refuses UTF-16 for %s with the sentence of the server',
  (purpose) => {
    for (const text of ['\uFEFFcorrect horse\r\n', 'correct horse']) {
      const plaintext = Buffer.from(text, 'utf16le').toString();
      const sentence = browser.findMistake(purpose, plaintext) ?? '';
      expect(sentence).toContain('Windows PowerShell');
      expect(() => checkValue(parsePurpose(purpose), plaintext)).toThrow(sentence);
    }
  },
);

test.each([
  ['refs/heads/main', 'accepted'],
  ['refs/tags/v*', 'accepted'],
  ['refs/heads/release/**', 'accepted'],
  ['refs/heads/{main,release/*}', 'accepted'],
  ['refs/heads/größe?', 'accepted'],
  ['refs/heads/]},!', 'accepted'],
  [`refs/tags/${'😀'.repeat(246)}`, 'accepted'],
  [`refs/tags/${'😀'.repeat(247)}`, 'refused'],
  ['main', 'refused'],
  ['refs/heads/', 'refused'],
  ['refs/heads/a b', 'refused'],
  ["refs/heads/it's", 'refused'],
  ['refs/heads/a\u200b', 'refused'],
  ['refs/heads/a\ud800', 'refused'],
  ['refs/heads/{a', 'refused'],
  ['refs/heads/[a', 'refused'],
  ['refs/heads/a\\', 'refused'],
  // The form has no parser for these, which c3 encrypt accepts.
  ['refs/heads/[ab]', 'unknown'],
  ['refs/heads/{a,{b,c}}', 'unknown'],
])('treats the ref %j as the server does: %s', (ref, expected) => {
  expect(browser.findRefMistake(ref) === undefined).toBe(expected === 'accepted');
  expect(findRefMistake(ref) === undefined).toBe(expected !== 'refused');
});

test.each([
  ['k8s', { k8s: { value: 'a.b.c.d', ref: 'refs/heads/{a,b}' } }],
  ['telegram', { telegram: { to: 'a.b.c.d', ref: 'refs/heads/{a,b}' } }],
  ['secret:KEY', { secrets: { KEY: { value: 'a.b.c.d', ref: 'refs/heads/{a,b}' } } }],
])('formats the lines of c3.yaml for %s', (purpose, expected) => {
  expect(parse(browser.formatLines(purpose, 'a.b.c.d', 'refs/heads/{a,b}'))).toStrictEqual(expected);
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
