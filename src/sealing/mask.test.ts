import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { createMasking, MASK_REACH_BYTES, MAX_SPELLED_BYTES, type Masker } from './mask.ts';
import { toPatterns, toSpellings } from './patterns.ts';

const SECRET = 'S3cr3t/+<&>"pass\\wörd 1';

/** The definition of masking, slowly: a byte is hidden if any pattern covers it, and each run of hidden bytes is one mask. */
function maskNaively(patterns: readonly Buffer[], bytes: Buffer): string {
  const covered = new Uint8Array(bytes.length);
  for (const pattern of patterns) {
    for (let at = bytes.indexOf(pattern); at !== -1; at = bytes.indexOf(pattern, at + 1)) {
      covered.fill(1, at, at + pattern.length);
    }
  }
  const output: Buffer[] = [];
  for (const [at, byte] of bytes.entries()) {
    if (!covered[at]) output.push(Buffer.of(byte));
    else if (!covered[at - 1]) output.push(Buffer.from('***'));
  }
  return Buffer.concat(output).toString('latin1');
}

function patternsOf(secrets: readonly string[]): Buffer[] {
  return (toPatterns(secrets, Infinity) ?? []).map((pattern) => Buffer.from(pattern, 'latin1'));
}

function maskInChunks(masker: Masker, chunks: readonly Uint8Array[]): string {
  const output = chunks.map((chunk) => Buffer.from(masker.push(chunk)));
  return Buffer.concat([...output, Buffer.from(masker.flush())]).toString('latin1');
}

describe('mask', () => {
  it.each([
    ['plain', SECRET],
    ['base64', Buffer.from(SECRET).toString('base64').replace(/=+$/, '')],
    ['base64url', Buffer.from(SECRET).toString('base64url')],
    ['hex', Buffer.from(SECRET).toString('hex')],
    ['upper-case hex', Buffer.from(SECRET).toString('hex').toUpperCase()],
    ['URL-encoded', encodeURIComponent(SECRET)],
    ['URL-encoded in lower case', encodeURIComponent(SECRET).replace(/%../g, (escape) => escape.toLowerCase())],
    ['form-encoded', new URLSearchParams({ '': SECRET }).toString().slice(1)],
    ['JSON-escaped', JSON.stringify(SECRET).slice(1, -1)],
    ['JSON-escaped as Go does', 'S3cr3t/+\\u003c\\u0026\\u003e\\"pass\\\\wörd 1'],
  ])('hides a secret that is %s', (_, spelling) => {
    expect(createMasking([SECRET]).mask(`before ${spelling} after`)).toBe('before *** after');
  });

  it.each([0, 1, 2, 3, 4, 5])('hides a secret within base64, after %i bytes', (before) => {
    const text = Buffer.from(`${'x'.repeat(before)}${SECRET}yyy`).toString('base64');
    const masked = createMasking([SECRET]).mask(text);
    // The rest decodes to what surrounds the secret, and at each border to a few bits of the secret.
    expect(masked).toMatch(/^[\w+/=]{0,8}\*\*\*[\w+/=]{0,7}$/);
  });

  it.each([
    ['base64', 76],
    ['openssl base64', 64],
  ])('hides a secret of any length that %s writes in lines', (_encoder, width) => {
    for (let length = 8; length <= 260; length += 1) {
      const secret = Array.from({ length }, (_, at) => String.fromCharCode(0x30 + ((at * 7 + length) % 71))).join('');
      for (const text of [secret, `${secret}\n`]) {
        const lines =
          Buffer.from(text)
            .toString('base64')
            .match(new RegExp(`.{1,${width}}`, 'g')) ?? [];
        const rest = createMasking([secret])
          .mask(lines.join('\n'))
          .replaceAll(/[\n=*]/g, '');
        // Less than 8 characters of the secret may be left in a last line.
        expect(rest.length, `of ${text.length} characters`).toBeLessThanOrEqual(8);
      }
    }
  });

  it('hides each line of a secret, without the white space around it', () => {
    const key = '-----BEGIN KEY-----\n  MIIEvQIBADANBgkq\r\nhkiG9w0BAQEFAASC\nshort\n-----END KEY-----\n';
    const masked = createMasking([key]).mask('a MIIEvQIBADANBgkq b hkiG9w0BAQEFAASC c short');
    expect(masked).toBe('a *** b *** c short');
  });

  it('hides secrets that overlap, and writes one mask for secrets that touch', () => {
    expect(createMasking(['abcdefgh', 'efghijklmn']).mask('-abcdefghijklmn-')).toBe('-***-');
    expect(createMasking(['abcdefgh']).mask('-abcdefghabcdefgh-')).toBe('-***-');
  });

  it('does not mask a secret shorter than 8 characters', () => {
    expect(createMasking(['secret7', '', '\n']).mask('secret7')).toBe('secret7');
  });

  it('changes nothing if there is no secret', () => {
    const chunk = Buffer.from('any');
    expect(createMasking([]).mask('any \ud800')).toBe('any \ud800');
    const masker = createMasking([]).createMasker();
    expect(masker.push(chunk)).toStrictEqual(chunk);
    expect(masker.flush()).toHaveLength(0);
  });
});

describe('push and flush', () => {
  // Few letters, so that secrets overlap, repeat and nearly occur.
  const letters = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 8, maxLength: 12 });

  it('mask as the slow definition does, however the stream is cut', () => {
    const text = fc.array(fc.oneof(fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 20 }), letters));
    const cuts = fc.array(fc.nat({ max: 9 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(letters, { minLength: 1, maxLength: 4 }), text, cuts, (secrets, pieces, lengths) => {
        const bytes = Buffer.from([...pieces, ...secrets].join(''));
        const chunks: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const length = lengths[turn % lengths.length] || 1;
          chunks.push(bytes.subarray(at, at + length));
          at += length;
        }
        expect(maskInChunks(createMasking(secrets).createMasker(), chunks)).toBe(
          maskNaively(patternsOf(secrets), bytes),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('hide every spelling at every split in two', () => {
    const masker = createMasking([SECRET]).createMasker();
    for (const spelling of toSpellings(SECRET)) {
      const bytes = Buffer.from(`<${spelling}>`);
      for (let at = 0; at <= bytes.length; at += 1) {
        expect(maskInChunks(masker, [bytes.subarray(0, at), bytes.subarray(at)])).toBe('<***>');
      }
    }
  });

  it('return at once what cannot be the start of a secret', () => {
    const masker = createMasking(['hunter2-hunter2']).createMasker();
    const push = (text: string): string => Buffer.from(masker.push(Buffer.from(text))).toString();
    expect(push('compiling shop\n')).toBe('compiling shop\n');
    expect(push('password: hunter2-')).toBe('password: ');
    expect(push('hunt')).toBe('');
    expect(push('ing\n')).toBe('hunter2-hunting\n');
  });

  it('hide a long secret with one mask, in every spelling, in chunks of any size', () => {
    const long = Array.from({ length: 12 }, (_, index) => `line "${index * 7919}" & more/`).join('\n');
    const masker = createMasking([long]).createMasker();
    for (const spelling of toSpellings(long)) {
      const bytes = Buffer.from(`<${spelling}>`);
      for (const size of [1, 7, 64, 100, bytes.length]) {
        const count = Math.ceil(bytes.length / size);
        const chunks = Array.from({ length: count }, (_, turn) => bytes.subarray(turn * size, (turn + 1) * size));
        expect(maskInChunks(masker, chunks)).toBe('<***>');
      }
    }
  });

  it('hold back at most one byte less than the longest pattern, 64 bytes', () => {
    const masker = createMasking(['x'.repeat(5000)]).createMasker();
    for (let length = 1; length < 64; length += 1) {
      masker.push(Buffer.from(`-${'x'.repeat(length)}`));
      expect(masker.flush()).toHaveLength(length);
    }
    expect(Buffer.from(masker.push(Buffer.from(`${'x'.repeat(64)}-`))).toString()).toBe('***-');
  });

  it('keep no reference to the chunk', () => {
    const masker = createMasking(['hunter2-hunter2']).createMasker();
    const chunk = Buffer.from('hunter2-');
    masker.push(chunk);
    chunk.fill('x');
    expect(Buffer.from(masker.flush()).toString()).toBe('hunter2-');
  });

  it('start a new stream after a flush', () => {
    const masker = createMasking(['hunter2-hunter2']).createMasker();
    masker.push(Buffer.from('hunter2-'));
    masker.flush();
    expect(Buffer.from(masker.push(Buffer.from('hunter2!'))).toString()).toBe('hunter2!');
  });

  it('have a state of their own for each masker', () => {
    const masking = createMasking(['hunter2-hunter2']);
    const [one, other] = [masking.createMasker(), masking.createMasker()];
    expect(Buffer.from(one.push(Buffer.from('a hunter2-'))).toString()).toBe('a ');
    expect(Buffer.from(other.push(Buffer.from('hunter2, '))).toString()).toBe('hunter2, ');
    expect(masking.mask('hunter2-hunter2')).toBe('***');
    expect(Buffer.from(one.push(Buffer.from('hunter2.'))).toString()).toBe('***.');
    expect(Buffer.concat([one.flush(), other.flush(), masking.createMasker().flush()])).toHaveLength(0);
  });

  it('work after the search was freed', () => {
    const masking = createMasking(['hunter2-hunter2']);
    const masker = masking.createMasker();
    expect(Buffer.from(masker.push(Buffer.from('a hunter2-'))).toString()).toBe('a ');
    masking.rest();
    expect(Buffer.from(masker.push(Buffer.from('hunter2.'))).toString()).toBe('***.');
    expect(masking.mask('hunter2-hunter2')).toBe('***');
  });

  it('show nothing of the blind bytes, and mask what follows as usual', () => {
    const secrets = fc.array(letters, { minLength: 1, maxLength: 3 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 200 });
    fc.assert(
      fc.property(secrets, text, fc.nat({ max: 80 }), fc.nat({ max: 200 }), (hidden, log, blind, cut) => {
        const masker = createMasking(hidden).createMasker(blind);
        const bytes = Buffer.from(log);
        const pieces = createMasking(hidden).createPieceMasker();
        const shown = [...pieces.push(bytes), ...pieces.flush()].flatMap(({ bytes: some, offset, isMask }) => {
          if (isMask) return offset >= blind ? ['***'] : [];
          return [Buffer.from(some).toString('latin1', Math.max(0, blind - offset))];
        });
        expect(maskInChunks(masker, [bytes.subarray(0, cut), bytes.subarray(cut)])).toBe(shown.join(''));
      }),
      { numRuns: 300 },
    );
  });

  it('return bytes that are not text unchanged', () => {
    const bytes = Buffer.from(Array.from({ length: 1024 }, (_, index) => (index * 167) % 256));
    expect(maskInChunks(createMasking([SECRET]).createMasker(), [bytes])).toBe(bytes.toString('latin1'));
  });
});

describe('the pieces of a masked stream', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 60 });
  const secrets = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\n'), minLength: 8, maxLength: 90 }), {
    maxLength: 3,
  });

  it('are together what the masker returns, and each has its offset', () => {
    fc.assert(
      fc.property(secrets, fc.array(letters, { maxLength: 8 }), (hidden, parts) => {
        const chunks = [...parts, ...hidden, ...parts].map((part) => Buffer.from(part));
        const log = Buffer.concat(chunks);
        const masker = createMasking(hidden).createPieceMasker();
        const pieces = [...chunks.flatMap((chunk) => masker.push(chunk)), ...masker.flush()];
        const text = Buffer.concat(pieces.map(({ bytes }) => bytes)).toString('latin1');
        expect(text).toBe(maskInChunks(createMasking(hidden).createMasker(), [log]));
        for (const { bytes, offset, isMask } of pieces) {
          const shown = Buffer.from(bytes).toString('latin1');
          expect(shown).toBe(isMask ? '***' : log.toString('latin1', offset, offset + bytes.length));
        }
      }),
    );
  });

  it('after an offset are the same if the stream starts shortly before it', () => {
    fc.assert(
      fc.property(secrets, letters, fc.nat({ max: 400 }), (hidden, text, at) => {
        const log = Buffer.from([...hidden, text, ...hidden].join(text));
        const start = Math.max(0, at - MASK_REACH_BYTES);
        expect(listClear(hidden, log.subarray(start), start).filter((place) => place >= at)).toEqual(
          listClear(hidden, log, 0).filter((place) => place >= at),
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe('isTooMuch', () => {
  const linesOf = (count: number): string =>
    Array.from({ length: count }, (_, line) => `line ${line} of a <long> "secret"`).join('\n');

  it('is false for keys, and for two secrets of the largest size', () => {
    expect(createMasking(['k'.repeat(16 * 1024), 'x/'.repeat(8 * 1024)]).isTooMuch()).toBe(false);
    expect(createMasking([linesOf(200)]).isTooMuch()).toBe(false);
    expect(createMasking([]).isTooMuch()).toBe(false);
  });

  it('is true for secrets that repeat themselves, which have few patterns but many spellings', () => {
    const secrets = [1, 2, 3, 4].map((secret) =>
      Array.from({ length: 12 }, (_, line) => `${'<\u0001"'.repeat(400)}${secret}${line}`).join('\n'),
    );
    expect(toPatterns(secrets, Number.POSITIVE_INFINITY)?.join('').length).toBeLessThan(MAX_SPELLED_BYTES / 4);
    expect(createMasking(secrets).isTooMuch()).toBe(true);
  });

  it('is true for secrets whose search would take too much memory, which then mask nothing', () => {
    const masking = createMasking([linesOf(3000)]);
    expect(masking.isTooMuch()).toBe(true);
    expect(() => masking.mask('any')).toThrow('too many or too long');
    expect(toPatterns([linesOf(200)], MAX_SPELLED_BYTES)?.join('').length).toBeLessThan(MAX_SPELLED_BYTES);
  });
});

/** Returns the offsets of the bytes that are not hidden. */
function listClear(secrets: readonly string[], stream: Buffer, start: number): number[] {
  const masker = createMasking(secrets).createPieceMasker();
  const pieces = [...masker.push(stream), ...masker.flush()].filter(({ isMask }) => !isMask);
  return pieces.flatMap(({ bytes, offset }) => Array.from(bytes, (_byte, index) => start + offset + index));
}
