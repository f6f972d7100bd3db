import { inspect } from 'node:util';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { C3Error } from '../errors.ts';
import { formatSecret, parseKeyring, toJwks } from './keyring.ts';

const BYTES = Buffer.from(Array.from({ length: 32 }, (_, index) => index * 7));
const OTHER = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index));
const SECRET = formatSecret(BYTES);

function toKeyIds(text: string): string[] {
  return parseKeyring(text).keys.map(({ id, publicKey }) => `${id} ${publicKey}`);
}

/** An entry of 32 bytes, so many of them different. */
function withDistinct(count: number): string {
  return formatSecret(Buffer.from(Array.from({ length: 32 }, (_, index) => index % count)));
}

function mistakesOf(text: string): unknown {
  try {
    return parseKeyring(text);
  } catch (error) {
    return error;
  }
}

describe('parseKeyring', () => {
  it('reads base64url and base64, with and without padding and white space, as the same key', () => {
    const spellings = [SECRET, ` ${SECRET}\n`, BYTES.toString('base64'), BYTES.toString('base64').replace('=', '')];
    expect(new Set(spellings.map((text) => parseKeyring(text).keys[0].publicKey)).size).toBe(1);
  });

  it('keeps the order of the entries', () => {
    const [first, second] = [parseKeyring(SECRET).keys[0].id, parseKeyring(formatSecret(OTHER)).keys[0].id];
    expect(parseKeyring(`${SECRET},${formatSecret(OTHER)}`).keys.map((key) => key.id)).toStrictEqual([first, second]);
  });

  it.each([
    ['', 'C3_SECRET entry 1 of 1 is empty'],
    [`${SECRET},`, 'C3_SECRET entry 2 of 2 is empty'],
    [BYTES.toString('hex'), 'C3_SECRET entry 1 of 1 looks like hex, not base64url'],
    ['swordfish', 'C3_SECRET entry 1 of 1 is 6 bytes long, not 32'],
    [`${SECRET},${SECRET}AAAA`, 'C3_SECRET entry 2 of 2 is 35 bytes long, not 32'],
    ['pass word', 'C3_SECRET entry 1 of 1 has a character that is not base64url'],
    [`${SECRET.slice(0, -1)}l`, 'C3_SECRET entry 1 of 1 is not base64url as an encoder writes it: it is damaged'],
    [formatSecret(new Uint8Array(32)), 'C3_SECRET entry 1 of 1 is not random'],
    [
      `${SECRET},${SECRET}`,
      'C3_SECRET entry 2 of 2 has the same key id as an earlier entry: it is there twice, or a new key is needed',
    ],
    [`*${SECRET}`, 'C3_SECRET entry 1 of 1 has a character that is not base64url'],
    [`${SECRET}*`, 'C3_SECRET entry 1 of 1 has a character that is not base64url'],
    ['_'.repeat(30) + '+'.repeat(13), 'C3_SECRET entry 1 of 1 has a character that is not base64url'],
    [`${BYTES.toString('base64')}*`, 'C3_SECRET entry 1 of 1 has a character that is not base64url'],
    [BYTES.toString('hex').toUpperCase(), 'C3_SECRET entry 1 of 1 looks like hex, not base64url'],
    [`${BYTES.toString('hex')}00`, 'C3_SECRET entry 1 of 1 is 49 bytes long, not 32'],
    [`A${BYTES.toString('hex')}`, 'C3_SECRET entry 1 of 1 is 48 bytes long, not 32'],
    [withDistinct(11), 'C3_SECRET entry 1 of 1 is not random'],
    [',x', 'C3_SECRET entry 1 of 2 is empty\nC3_SECRET entry 2 of 2 is 0 bytes long, not 32'],
  ])('refuses %j and says why', (text, expected) => {
    expect(mistakesOf(text)).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expected,
      hint: 'c3 keygen prints a new key',
    });
  });

  it('never quotes an entry', () => {
    const text = fc.string({
      minLength: 8,
      maxLength: 80,
      unit: fc.constantFrom('q', 'w', 'z', 'Q', '_', '-', '+', '/', '=', '*'),
    });
    fc.assert(
      fc.property(text, (entry) => {
        fc.pre(Buffer.from(entry, 'base64').length !== 32);
        expect(mistakesOf(entry)).toMatchObject({ message: expect.not.stringContaining(entry) as string });
      }),
    );
  });

  it('shows no key when a keyring is logged', () => {
    const keyring = parseKeyring(SECRET);
    const printed = `${inspect(keyring, { depth: 9 })}${JSON.stringify(keyring)}`;
    const { d = '' } = keyring.keys[0].privateKey.export({ format: 'jwk' });
    const { k = '' } = keyring.keys[0].secretKey.export({ format: 'jwk' });
    expect(printed).toContain(keyring.keys[0].publicKey);
    for (const secret of [SECRET, d, k]) {
      expect(secret).toHaveLength(43);
      expect(printed).not.toContain(secret);
    }
  });
});

describe('a key', () => {
  it('may have only 12 different bytes', () => {
    expect(parseKeyring(withDistinct(12)).keys).toHaveLength(1);
  });

  it('may contain the characters in which base64 and base64url differ', () => {
    const bytes = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - (index >> 1)));
    const [url, plain] = [bytes.toString('base64url'), bytes.toString('base64')];
    expect([url, plain]).toEqual([expect.stringMatching(/_.*-|-.*_/), expect.stringMatching(/\/.*\+|\+.*\//)]);
    expect(toKeyIds(url)).toEqual(toKeyIds(plain));
  });

  it('is refused if another entry is wrong', () => {
    expect(mistakesOf(`${SECRET},`)).toBeInstanceOf(C3Error);
    expect(mistakesOf(`,${SECRET}`)).toBeInstanceOf(C3Error);
  });
});

describe('formatSecret', () => {
  it('writes 32 bytes as 43 characters', () => {
    expect(SECRET).toMatch(/^[\w-]{43}$/);
  });

  it('refuses another length', () => {
    expect(() => formatSecret(new Uint8Array(31))).toThrow(
      new C3Error('CONFIG_INVALID', 'A secret is 32 bytes long, not 31'),
    );
  });
});

describe('toJwks', () => {
  it('contains only the public keys, the first key first', async () => {
    const keyring = parseKeyring(`${SECRET},${formatSecret(OTHER)}`);
    const { keys } = toJwks(keyring);
    expect(keys.map((key) => key.kid)).toStrictEqual(keyring.keys.map((key) => key.id));
    for (const key of keys) expect(Object.keys(key).sort()).toStrictEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x']);
  });
});
