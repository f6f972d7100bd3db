import { CompactEncrypt } from 'jose';
import { randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { C3Error } from '../../src/errors.ts';
import {
  formatSecret,
  openSealed,
  parseHookQuery,
  parseKeyring,
  parsePurpose,
  parseScope,
  seal,
  sealForPublicKey,
  toJwks,
  type Binding,
} from '../../src/sealing/index.ts';

const keyring = parseKeyring(formatSecret(randomBytes(32)));
const jwks = toJwks(keyring);
const BINDING: Binding = { scope: parseScope('github.com/acme/shop'), purpose: { kind: 'hook' } };
const TOKEN = `github_pat_${'a1B2'.repeat(20)}`;
const kid = keyring.keys[0].id;

function refusal(token: string, binding = BINDING): Promise<{ code: string; message: string; hint: string }> {
  return openSealed(keyring, token, binding).then(
    () => {
      throw new Error(`it opened: ${token}`);
    },
    (error: unknown) => {
      const { code, message, hint, cause } = error as C3Error;
      expect(cause).toBeUndefined();
      return { code, message, hint: hint ?? '' };
    },
  );
}

/** Returns the different refusals of these tokens. */
async function refusalsOf(tokens: readonly string[]): Promise<unknown[]> {
  const refusals = await Promise.all(tokens.map((token) => refusal(token)));
  return [...new Map(refusals.map((one) => [JSON.stringify(one), one])).values()];
}

/** The refusal of a text that is no token. All other refusals equal it, so that an attacker learns nothing. */
const ALIKE = [await refusal('x')];

function flip(token: string, part: number, bit: number): string {
  return token
    .split('.')
    .map((text, index) => {
      if (index !== part) return text;
      const bytes = Buffer.from(text, 'base64url');
      const at = (bit >> 3) % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
      return bytes.toString('base64url');
    })
    .join('.');
}

describe('A1 A sealed value that is changed', () => {
  const ways = [
    ['the secret', () => seal(keyring, TOKEN, BINDING), ['iv', 'ciphertext', 'tag']],
    ['the public key', () => sealForPublicKey(jwks, TOKEN, BINDING), ['ephemeral key', 'iv', 'ciphertext', 'tag']],
  ] as const;

  it('does not open with any one bit of any part flipped', async () => {
    for (const [, sealIt, parts] of ways) {
      const token = await sealIt();
      for (const index of parts.keys()) {
        const bits = Buffer.from(token.split('.')[index + 1] ?? '', 'base64url').length * 8;
        // The highest bit of an X25519 point has no effect (RFC 7748 §5), but the header that contains it is
        // authenticated.
        expect(await refusalsOf(Array.from({ length: bits }, (_, bit) => flip(token, index + 1, bit)))).toEqual(ALIKE);
      }
    }
  });

  it('does not open when it is cut at any place', async () => {
    for (const [, sealIt] of ways) {
      const token = await sealIt();
      const cut = Array.from({ length: token.length }, (_, length) => token.slice(0, length));
      expect(await refusalsOf(cut)).toMatchObject([{ code: 'SEALED_INVALID' }]);
    }
  });

  it('does not open if its bytes are encoded in another way', async () => {
    const token = await seal(keyring, TOKEN, BINDING);
    const [id = '', iv = '', text = '', tag = ''] = token.split('.');
    // A tag's last character has four bits that no byte uses.
    const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const neighbour = tag.slice(0, -1) + last.charAt(last.indexOf(tag.slice(-1)) ^ 1);
    expect(
      await refusalsOf([
        `${id}.${iv}.${text}.${neighbour}`,
        `${id}.${iv}.${text}.${tag}=`,
        `${id}.${iv}.${text}.${tag}==`,
        `${id}.${iv}. ${text}.${tag}`,
        `${id}.${iv}.${text}\n.${tag}`,
        `${token}.`,
        `.${token}`,
        ` ${token}`,
        `${token}\0`,
      ]),
    ).toEqual(ALIKE);
  });

  it('does not open when its form differs from its declared form', async () => {
    const symmetric = (await seal(keyring, TOKEN, BINDING)).split('.');
    const [id = '', epk = '', ...rest] = (await sealForPublicKey(jwks, TOKEN, BINDING)).split('.');
    expect(await refusalsOf([[id, ...rest].join('.'), [symmetric[0], epk, ...symmetric.slice(1)].join('.')])).toEqual(
      ALIKE,
    );
  });

  it('does not open with an ephemeral key that makes every shared secret zero', async () => {
    const [id = '', , ...rest] = (await sealForPublicKey(jwks, TOKEN, BINDING)).split('.');
    const points = ['00'.repeat(32), `01${'00'.repeat(31)}`, 'ff'.repeat(32), `ecff${'ff'.repeat(29)}7f`];
    expect(
      await refusalsOf(points.map((hex) => [id, Buffer.from(hex, 'hex').toString('base64url'), ...rest].join('.'))),
    ).toEqual(ALIKE);
  });

  it('does not open a whole JWE that names its own algorithm, key or compression', async () => {
    const secret = randomBytes(32);
    const headers = [
      { alg: 'dir', enc: 'A256GCM' },
      { alg: 'dir', enc: 'A256GCM', zip: 'DEF' },
      { alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', p2c: 2_000_000_000, p2s: 'c2FsdHNhbHQ' },
      { alg: 'none', enc: 'none' },
      { alg: 'dir', enc: 'A256GCM', jku: 'http://127.0.0.1:1/keys' },
    ];
    const jwe = await new CompactEncrypt(Buffer.from('x'))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .encrypt(secret);
    const [, key = '', iv = '', text = '', tag = ''] = jwe.split('.');
    expect(
      await refusalsOf(
        headers.flatMap((header) => {
          const encoded = Buffer.from(JSON.stringify(header)).toString('base64url');
          return [`${encoded}.${key}.${iv}.${text}.${tag}`, `${kid}.${encoded}.${iv}.${text}.${tag}`];
        }),
      ),
    ).toEqual(ALIKE);
  });

  it('does not decompress a bomb that was sealed with the right key', async () => {
    const { secretKey } = keyring.keys[0];
    const bomb = deflateRawSync(Buffer.alloc(10_000_000));
    const jwe = await new CompactEncrypt(bomb)
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid, typ: 'c3/hook', sub: 'github.com/acme/shop', zip: 'DEF' })
      .encrypt(secretKey)
      .catch(() => undefined);
    // jose may refuse to seal it. Then only the compressed bytes under the ordinary header are tested.
    const plain = await new CompactEncrypt(bomb)
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid, typ: 'c3/hook', sub: 'github.com/acme/shop' })
      .encrypt(secretKey);
    expect(
      await refusalsOf(
        [jwe, plain].filter((one) => one !== undefined).map((one) => [kid, ...one.split('.').slice(2)].join('.')),
      ),
    ).toEqual(ALIKE);
  });

  it('does not open if another c3 sealed it under the same key id', async () => {
    let other = parseKeyring(formatSecret(randomBytes(32)));
    while (other.keys[0].id !== kid) other = parseKeyring(formatSecret(randomBytes(32)));
    expect(
      await refusalsOf([await seal(other, TOKEN, BINDING), await sealForPublicKey(toJwks(other), TOKEN, BINDING)]),
    ).toEqual(ALIKE);
  });

  it('is refused with one message for a wrong repository, a wrong purpose and damage', async () => {
    const elsewhere: Binding[] = [
      { scope: parseScope('github.com/mallory/shop'), purpose: { kind: 'hook' } },
      { scope: parseScope('git.example.com/acme/shop'), purpose: { kind: 'hook' } },
      { scope: BINDING.scope, purpose: parsePurpose('secret:TOKEN') },
      { scope: BINDING.scope, purpose: { kind: 'telegram' } },
    ];
    const telegram = '{"token": "123:abcdefghijkl", "chat": -100123}';
    const sealed = await Promise.all(
      elsewhere.map((binding) => seal(keyring, binding.purpose.kind === 'telegram' ? telegram : TOKEN, binding)),
    );
    expect(await refusalsOf([...sealed, flip(await seal(keyring, TOKEN, BINDING), 3, 5)])).toEqual(ALIKE);
  });

  it('does not open if it contains a token with a line break, which would inject a header', async () => {
    const smuggled = await sealForPublicKey(jwks, `x\r\nX-Admin: yes`, {
      scope: BINDING.scope,
      purpose: parsePurpose('secret:A'),
    });
    expect(await refusalsOf([smuggled])).toEqual(ALIKE);
    const { secretKey } = keyring.keys[0];
    const jwe = await new CompactEncrypt(Buffer.from('\0x\r\nX-Admin: yes'))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid, typ: 'c3/hook', sub: 'github.com/acme/shop' })
      .encrypt(secretKey);
    expect(await refusalsOf([[kid, ...jwe.split('.').slice(2)].join('.')])).toEqual(ALIKE);
  });

  it('does not open if it is a token of the first c3, without a scope', async () => {
    expect(
      await refusalsOf([randomBytes(24 + 16 + 40).toString('hex'), `${kid}${randomBytes(80).toString('hex')}`]),
    ).toEqual(ALIKE);
  });

  it('is not read if it is larger than any value of c3', async () => {
    expect(await refusalsOf([`${kid}.${'A'.repeat(16)}.${'A'.repeat(32 * 1024)}.${'A'.repeat(22)}`])).toEqual(ALIKE);
  });

  it('may have the name of a JavaScript property, which has no other effect', async () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      const purpose = parsePurpose(`secret:${name}`);
      const sealed = await seal(keyring, 'a value', { scope: BINDING.scope, purpose });
      expect(await openSealed(keyring, sealed, { scope: BINDING.scope, purpose })).toMatchObject({
        plaintext: 'a value',
      });
      await refusal(sealed);
    }
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('is refused if the hook URL has a second key or a second repository', async () => {
    const key = await seal(keyring, TOKEN, BINDING);
    const queries = [
      `key=${key}&key=x&repo=acme/shop`,
      `key=${key}&repo=acme/shop&repo=mallory/shop`,
      `repo=acme/shop`,
      `key=${key}`,
    ];
    for (const query of queries) expect(() => parseHookQuery(new URLSearchParams(query))).toThrow(/hook URL has/);
  });

  it('does not open with the public key set, which contains only public halves', async () => {
    const text = JSON.stringify(toJwks(keyring));
    expect(text).not.toMatch(/"(?:d|k|p|q)":/);
    for (const { keys } of [toJwks(keyring)]) {
      expect(Object.keys(keys[0] ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x']);
    }
  });
});
