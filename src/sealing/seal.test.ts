import * as fc from 'fast-check';
import { CompactEncrypt } from 'jose';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import type { C3Error } from '../errors.ts';
import { formatSecret, parseKeyring, toJwks } from './keyring.ts';
import { parsePurpose } from './purpose.ts';
import { parseScope } from './scope.ts';
import { openSealed, seal, sealForPublicKey } from './seal.ts';

const NEW = formatSecret(Buffer.from(Array.from({ length: 32 }, (_, index) => index * 3)));
const OLD = formatSecret(Buffer.from(Array.from({ length: 32 }, (_, index) => index * 5)));
const keyring = parseKeyring(NEW);
const jwks = toJwks(keyring);

const bindingOf = (repo: string, purpose: string, ref?: string): Parameters<typeof seal>[2] => ({
  scope: parseScope(repo),
  purpose: parsePurpose(purpose),
  ref,
});
const binding = bindingOf('github.com/acme/shop', 'secret:KEY');

/** Both ways to seal with the same key. */
const ways = [
  { way: 'the secret', sealIt: (text: string, bound = binding) => seal(keyring, text, bound) },
  { way: 'the public key', sealIt: (text: string, bound = binding) => sealForPublicKey(jwks, text, bound) },
];
/** The digits of base64url, in the order of their values. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const SENTENCE =
  'The sealed secret KEY does not open for github.com/acme/shop: it is damaged, or was sealed for another repository or purpose, or with another ref';

function refusalOf(token: string): Promise<unknown> {
  return openSealed(keyring, token, binding).catch((error: unknown) => {
    const { code, message } = error as C3Error;
    return { code, message, hasCause: 'cause' in (error as C3Error) };
  });
}

/** As the format says, without this room's checks. */
async function sealElsewhere(plaintext: string): Promise<string> {
  const [{ id, secretKey }] = keyring.keys;
  const header = { alg: 'dir', enc: 'A256GCM', kid: id, typ: 'c3/hook', sub: 'github.com/acme/shop' };
  const jwe = await new CompactEncrypt(Buffer.from(`\0${plaintext}`)).setProtectedHeader(header).encrypt(secretKey);
  return [id, ...jwe.split('.').slice(2)].join('.');
}

describe.each(ways)('a value sealed with $way', ({ sealIt }) => {
  const plaintext = fc
    .string({ minLength: 1, maxLength: 60, unit: 'binary' })
    .filter((text) => text.isWellFormed() && text.trim() !== '' && !text.includes('\0'));

  it('opens to the same text', async () => {
    await fc.assert(
      fc.asyncProperty(plaintext, async (text) => {
        expect(await openSealed(keyring, await sealIt(text), binding)).toStrictEqual({
          plaintext: text,
          isOldKey: false,
        });
      }),
      { numRuns: 50 },
    );
  });

  it('is not too long to be read if the text has the maximum length', async () => {
    const text = 'я'.repeat(8192);
    const { plaintext: opened } = await openSealed(keyring, await sealIt(text), binding);
    expect(opened).toBe(text);
  });

  it('does not open if any character is changed, missing or doubled', async () => {
    const token = await sealIt('a b');
    for (const [at, was] of token.split('').entries()) {
      const [before, after] = [token.slice(0, at), token.slice(at + 1)];
      const other = was === 'A' ? 'B' : 'A';
      // The neighbour in the alphabet differs in the lowest bit, which a last character may not use.
      const neighbour = ALPHABET[ALPHABET.indexOf(was) ^ 1] ?? '-';
      for (const middle of [other, neighbour, '', was + was]) {
        await expect(openSealed(keyring, before + middle + after, binding)).rejects.toMatchObject({
          code: 'SEALED_INVALID',
        });
      }
    }
  });

  it.each([
    ['another repository', bindingOf('github.com/acme/other', 'secret:KEY')],
    ['another owner', bindingOf('github.com/evil/shop', 'secret:KEY')],
    ['another host', bindingOf('gitlab.com/acme/shop', 'secret:KEY')],
    ['another name', bindingOf('github.com/acme/shop', 'secret:OTHER')],
    ['a hook key', bindingOf('github.com/acme/shop', 'hook')],
    ['a kubeconfig', bindingOf('github.com/acme/shop', 'k8s')],
    ['a Telegram destination', bindingOf('github.com/acme/shop', 'telegram')],
    ['a value for a ref', bindingOf('github.com/acme/shop', 'secret:KEY', 'refs/heads/main')],
  ])('does not open as %s', async (_, other) => {
    const token = await sealIt('value');
    await expect(openSealed(keyring, token, other)).rejects.toMatchObject({ code: 'SEALED_INVALID' });
  });

  describe('for refs', () => {
    const bound = bindingOf('github.com/acme/shop', 'secret:KEY', 'refs/heads/*');

    it('opens with the same pattern', async () => {
      expect(await openSealed(keyring, await sealIt('value', bound), bound)).toMatchObject({ plaintext: 'value' });
    });

    it.each([
      undefined,
      '',
      'refs/heads/main',
      'refs/heads/**',
      'refs/heads/* ',
      'refs/Heads/*',
      'refs/tags/*',
      'refs/heads/∗',
    ])('does not open with the pattern %j', async (ref) => {
      const token = await sealIt('value', bound);
      await expect(openSealed(keyring, token, { ...bound, ref })).rejects.toMatchObject({ code: 'SEALED_INVALID' });
    });

    it('says with which ref it did not open, and how to seal it', async () => {
      await expect(openSealed(keyring, await sealIt('value'), bound)).rejects.toMatchObject({
        message:
          'The sealed secret KEY does not open for github.com/acme/shop and refs/heads/*: it is damaged, or was sealed for another repository or purpose, or with another ref',
        hint: "seal it again with c3 encrypt --repo github.com/acme/shop --for secret:KEY --ref 'refs/heads/*'",
      });
    });
  });

  it('opens with an older key, and says so', async () => {
    const token = await sealIt('value');
    const rotated = parseKeyring(`${OLD},${NEW}`);
    expect(await openSealed(rotated, token, binding)).toStrictEqual({ plaintext: 'value', isOldKey: true });
  });

  it('does not open with an unknown key, and says so', async () => {
    await expect(openSealed(parseKeyring(OLD), await sealIt('value'), binding)).rejects.toMatchObject({
      code: 'SEALED_INVALID',
      message: 'The sealed secret KEY was sealed with a key this c3 does not have',
      hint: 'seal it again with c3 encrypt --repo github.com/acme/shop --for secret:KEY',
    });
  });

  it('cannot be created from a text that its purpose refuses', async () => {
    await expect(sealIt('two words', bindingOf('github.com/acme/shop', 'hook'))).rejects.toMatchObject({
      code: 'PLAINTEXT_INVALID',
    });
  });

  it('differs each time', async () => {
    expect(await sealIt('value')).not.toBe(await sealIt('value'));
  });
});

describe('openSealed', () => {
  it.each([
    ['nothing', ''],
    ['a placeholder', '<encrypted-k8s-config>'],
    ['dots', '....'],
    ['a whole JWE', 'eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA'],
    ['more than 24 KiB', 'A'.repeat(24 * 1024 + 1)],
    ['a known key id and rubbish', `${keyring.keys[0].id}.AAAA.AAAA.AAAA`],
    ['a nonce of no use', `${keyring.keys[0].id}.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA`],
    ['a point of low order', `${keyring.keys[0].id}.${'A'.repeat(43)}.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA`],
  ])('refuses %s with one message', async (_, token) => {
    expect(await refusalOf(token)).toStrictEqual({ code: 'SEALED_INVALID', message: SENTENCE, hasCause: false });
  });

  it('refuses a damaged value, a foreign repository and a foreign purpose with the same message', async () => {
    const sealed = await seal(keyring, 'value', binding);
    const tokens = [
      // The first character of the tag.
      sealed.replace(/[^.](?=[^.]*$)/, (old) => (old === 'A' ? 'B' : 'A')),
      await seal(keyring, 'value', bindingOf('github.com/evil/shop', 'secret:KEY')),
      await seal(keyring, 'value', bindingOf('github.com/acme/shop', 'secret:OTHER')),
      await sealForPublicKey(jwks, 'value', bindingOf('github.com/evil/shop', 'secret:KEY')),
    ];
    for (const token of tokens) {
      expect(await refusalOf(token)).toStrictEqual({ code: 'SEALED_INVALID', message: SENTENCE, hasCause: false });
    }
  });

  it('throws only SEALED_INVALID, whatever the token is', async () => {
    const part = fc.stringMatching(/^[A-Za-z0-9_.=-]{0,50}$/);
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          part.map((rest) => `${keyring.keys[0].id}.${rest}`),
        ),
        async (token) => {
          await expect(openSealed(keyring, token, binding)).rejects.toMatchObject({ code: 'SEALED_INVALID' });
        },
      ),
    );
  });
});

describe('a hook key that another program sealed', () => {
  const hook = bindingOf('github.com/acme/shop', 'hook');

  it('opens to a token', async () => {
    expect(await openSealed(keyring, await sealElsewhere('token'), hook)).toMatchObject({ plaintext: 'token' });
  });

  it('does not open if it would inject a header', async () => {
    await expect(openSealed(keyring, await sealElsewhere('token\r\nX: y'), hook)).rejects.toMatchObject({
      code: 'SEALED_INVALID',
    });
  });
});

describe('sealForPublicKey', () => {
  it.each([
    ['nothing', undefined],
    ['null', null],
    ['no key', { keys: [] }],
    ['keys that are no list', { keys: 'x' }],
    ['a key of another kind', { keys: [{ kty: 'EC', crv: 'P-256', x: 'a'.repeat(43), kid: 'ab' }] }],
    ['a key id that would break the token', { keys: [{ kty: 'OKP', crv: 'X25519', x: 'a'.repeat(43), kid: 'a.' }] }],
    ['a null among the keys', { keys: [null] }],
    ['a text', 'keys'],
  ])('refuses %s instead of a key set', async (_, given) => {
    await expect(sealForPublicKey(given, 'value', binding)).rejects.toMatchObject({
      code: 'USAGE_INVALID',
      message: 'The public key is not the key set of a c3: it contains no X25519 key',
      hint: 'c3 serves it at /.well-known/jwks.json',
    });
  });

  const [usable] = jwks.keys;
  const unusable = [
    { kty: 'EC' },
    { crv: 'Ed25519' },
    { kid: 17 },
    { kid: ['ab'] },
    { kid: 'a' },
    { kid: 'abc' },
    { x: undefined },
    { x: [usable?.x] },
    { x: 'A'.repeat(42) },
    { x: `A${usable?.x}` },
    { x: `${usable?.x}A` },
    { x: `${usable?.x}=` },
  ].map((change) => ({ ...usable, ...change }));

  it.each(unusable)('does not seal with a key that is %j', async (key) => {
    await expect(sealForPublicKey({ keys: [key] }, 'value', binding)).rejects.toMatchObject({ code: 'USAGE_INVALID' });
  });

  it('uses the first usable key of a set', async () => {
    const other = toJwks(parseKeyring(OLD)).keys;
    const token = await sealForPublicKey({ keys: [null, ...unusable, ...jwks.keys, ...other] }, 'value', binding);
    expect(await openSealed(keyring, token, binding)).toMatchObject({ plaintext: 'value' });
  });
});

describe.each(ways)(
  'with $way, a library that writes another header than the one that opening rebuilds',
  ({ sealIt }) => {
    const { encrypt } = CompactEncrypt.prototype;
    const header = (jwe: string): string => jwe.slice(0, jwe.indexOf('.'));

    it.each<[string, (jwe: string) => string]>([
      ['fields more', (jwe) => jwe.replace(header(jwe), addField(header(jwe)))],
      ['no nonce', (jwe) => jwe.replace(/\.\.[^.]+/, '..')],
      ['no ciphertext', (jwe) => jwe.replace(/[^.]+\.([^.]+)$/, '.$1')],
      ['no tag', (jwe) => jwe.replace(/[^.]+$/, '')],
    ])('seals nothing: %s', async (_, change) => {
      const spy = vi.spyOn(CompactEncrypt.prototype, 'encrypt').mockImplementationOnce(async function (
        this: CompactEncrypt,
        ...args
      ) {
        return change(await encrypt.apply(this, args));
      });
      onTestFinished(() => spy.mockRestore());
      await expect(sealIt('value')).rejects.toMatchObject({
        code: 'INTERNAL',
        message: 'The sealed header is not the one that opening would rebuild; nothing was sealed',
      });
      expect(spy).toHaveBeenCalledOnce();
    });
  },
);

function addField(header: string): string {
  const fields = JSON.parse(Buffer.from(header, 'base64url').toString()) as object;
  return Buffer.from(JSON.stringify({ ...fields, cty: 'text/plain' })).toString('base64url');
}
