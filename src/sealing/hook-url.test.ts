import { describe, expect, it } from 'vitest';

import { deriveWebhookSecret, formatHookUrl, MAX_HOOK_URL_CHARACTERS, parseHookQuery } from './hook-url.ts';
import { formatSecret, parseKeyring, toJwks } from './keyring.ts';
import { formatScope, parseScope } from './scope.ts';
import { openSealed, seal, sealForPublicKey } from './seal.ts';

const keyring = parseKeyring(formatSecret(Buffer.from(Array.from({ length: 32 }, (_, index) => index * 3))));
const jwks = toJwks(keyring);
const BASE_45 = `https://${'c'.repeat(29)}.example`;
const TOKEN_93 = `github_pat_${'a1B2'.repeat(20)}_z`;
const KEY = 'ab.iv.ct.tag';

describe('a hook URL', () => {
  it.each([
    ['github.com/acme/shop', 'https://c3.example/hook?key=ab.iv.ct.tag&repo=acme/shop'],
    ['git.example.com:3000/acme/shop', 'https://c3.example/hook?key=ab.iv.ct.tag&repo=git.example.com:3000/acme/shop'],
    ['gitlab.com/acme/back/shop', 'https://c3.example/hook?key=ab.iv.ct.tag&repo=gitlab.com/acme/back/shop'],
    ['github.com/acme/back/shop', 'https://c3.example/hook?key=ab.iv.ct.tag&repo=github.com/acme/back/shop'],
  ])('of %s is %s, which parses to the same', (repo, url) => {
    const scope = parseScope(repo);
    expect(formatHookUrl('https://c3.example', KEY, { scope, purpose: { kind: 'hook' } })).toBe(url);
    expect(parseHookQuery(new URL(url).searchParams)).toStrictEqual({ key: KEY, scope, signature: undefined });
  });

  it.each([
    ['the secret', (scope: string) => seal(keyring, TOKEN_93, hook(scope)), 55],
    ['the public key', (scope: string) => sealForPublicKey(jwks, TOKEN_93, hook(scope)), 11],
  ])(
    'has 255 characters with %s, a 45-character base, a 93-character token and OWNER/NAME of %3$i',
    async (_, sealIt, room) => {
      const repo = `acme/${'x'.repeat(room - 'acme/'.length)}`;
      const url = formatHookUrl(BASE_45, await sealIt(repo), hook(repo));
      expect([BASE_45.length, TOKEN_93.length, repo.length]).toStrictEqual([45, 93, room]);
      expect(url).toHaveLength(MAX_HOOK_URL_CHARACTERS);

      const { key, scope } = parseHookQuery(new URL(url).searchParams);
      expect(await openSealed(keyring, key, { scope, purpose: { kind: 'hook' } })).toMatchObject({
        plaintext: TOKEN_93,
      });
    },
  );

  it('opens only for the repository that it names', async () => {
    const key = await seal(keyring, TOKEN_93, hook('acme/shop'));
    const { scope } = parseHookQuery(new URLSearchParams({ key, repo: 'acme/other' }));
    await expect(openSealed(keyring, key, { scope, purpose: { kind: 'hook' } })).rejects.toMatchObject({
      message:
        'The key in the hook URL does not open for github.com/acme/other: it is damaged, or was sealed for another repository or purpose',
    });
  });
});

describe('a hook URL whose deliveries need no signature', () => {
  it('says so, and parses to the same', () => {
    const scope = parseScope('github.com/acme/shop');
    const url = formatHookUrl('https://c3.example', KEY, { scope, purpose: { kind: 'hook', signature: 'optional' } });
    expect(url).toBe('https://c3.example/hook?key=ab.iv.ct.tag&repo=acme/shop&signature=optional');
    expect(parseHookQuery(new URL(url).searchParams)).toStrictEqual({ key: KEY, scope, signature: 'optional' });
  });

  it.each(['signature=none', 'signature=', 'signature=optional&signature=optional', 'signature=required'])(
    'says nothing else: %s is refused',
    (text) => {
      expect(() => parseHookQuery(new URLSearchParams(`key=ab.iv.ct.tag&repo=a/b&${text}`))).toThrow(
        expect.objectContaining({
          code: 'SEALED_INVALID',
          message: 'The hook URL asks for a signature otherwise than "signature=optional"',
        }),
      );
    },
  );
});

describe('parseHookQuery', () => {
  it.each([
    ['', 'SEALED_INVALID', 'The hook URL has no key'],
    ['key=&repo=a/b', 'SEALED_INVALID', 'The hook URL has no key'],
    ['key=a.b.c.d&key=a.b.c.d&repo=a/b', 'SEALED_INVALID', 'The hook URL has more than one key'],
    ['key=ab.iv.ct', 'SEALED_INVALID', 'The key in the hook URL is not whole: the URL looks truncated'],
    ['key=ab.iv.ct.', 'SEALED_INVALID', 'The key in the hook URL is not whole: the URL looks truncated'],
    ['key=ab.iv.ct.tag', 'SCOPE_INVALID', 'The hook URL has no repository: the URL looks truncated'],
    ['key=ab.iv.ct.tag&repo=', 'SCOPE_INVALID', 'The hook URL has no repository: the URL looks truncated'],
    ['key=ab.iv.ct.tag&repo=a/b&repo=a/c', 'SCOPE_INVALID', 'The hook URL has more than one repository'],
    [
      'key=ab.iv.ct.tag&repo=acme/',
      'SCOPE_INVALID',
      'Repository "github.com/acme/" is not of the form HOST/OWNER/NAME',
    ],
    ['key=ab.iv.ct.tag&repo=acme', 'SCOPE_INVALID', 'Repository "acme" is not of the form HOST/OWNER/NAME'],
  ])('refuses %j', (query, code, message) => {
    expect(() => parseHookQuery(new URLSearchParams(query))).toThrow(expect.objectContaining({ code, message }));
  });
});

describe('deriveWebhookSecret', () => {
  const scope = parseScope('github.com/acme/shop');

  it('is the same each time, and 43 characters of base64url', () => {
    expect(deriveWebhookSecret(TOKEN_93, scope)).toBe(deriveWebhookSecret(TOKEN_93, scope));
    expect(deriveWebhookSecret(TOKEN_93, scope)).toMatch(/^[\w-]{43}$/);
  });

  it('differs by token and by repository', () => {
    const secrets = [
      deriveWebhookSecret(TOKEN_93, scope),
      deriveWebhookSecret('other', scope),
      deriveWebhookSecret(TOKEN_93, parseScope('github.com/acme/other')),
    ];
    expect(new Set(secrets).size).toBe(3);
  });

  it('is the same for every spelling of a scope', () => {
    expect(deriveWebhookSecret('t', parseScope('https://GitHub.com/ACME/Shop.git'))).toBe(
      deriveWebhookSecret('t', scope),
    );
    expect(formatScope(scope)).toBe('github.com/acme/shop');
  });
});

function hook(repo: string): Parameters<typeof seal>[2] {
  return { scope: parseScope(`github.com/${repo}`), purpose: { kind: 'hook' } };
}
