import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { pack, unpack } from './token.ts';

const anyText = fc.string({ minLength: 1, unit: 'binary' }).filter((text) => text.isWellFormed());
const word = fc.stringMatching(/^[A-Za-z0-9_-]{1,60}$/);

describe('pack', () => {
  it('is reversed by unpack', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, word), (text) => {
        expect(unpack(pack(text))).toBe(text);
      }),
    );
  });

  it('turns a word of base64url characters into bytes whose encoding is one to four characters longer', () => {
    fc.assert(
      fc.property(word, (text) => {
        const added = Buffer.from(pack(text)).toString('base64url').length - text.length;
        expect(added).toBe(4 - (text.length % 4));
      }),
    );
  });

  it.each([
    ['abcde', '0c001a6dc75e'],
    ['a.b', '00612e62'],
    ['\ufeff', '00efbbbf'],
  ])('packs %j as %s', (text, hex) => {
    expect(Buffer.from(pack(text)).toString('hex')).toBe(hex);
  });
});

describe('unpack', () => {
  it.each(['', '04', '0400', 'ff0000', '00ff', '081f00', '100000', '140000'])('refuses the bytes %s', (hex) => {
    expect(() => unpack(Buffer.from(hex, 'hex'))).toThrow(/Not a packed text|encoded data was not valid/);
  });

  it('accepts only the bytes that pack returns for the text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        fc.pre(bytes[0] !== 0);
        expect(['refused', [...bytes]]).toContainEqual(repacked(bytes));
      }),
    );
  });
});

function repacked(bytes: Uint8Array): number[] | 'refused' {
  try {
    return [...pack(unpack(bytes))];
  } catch (error) {
    if (error instanceof RangeError) return 'refused';
    throw error;
  }
}
