import { describe, expect, it } from 'vitest';
import { toNeedles, toSpellings } from './needles.ts';

describe('toSpellings', () => {
  it('are those in which a secret turns up, and no other', () => {
    // Of 8 bytes base64 makes 10 2/3 characters: each of the three places begins and ends elsewhere in a character.
    expect(toSpellings('a?>~&"b!').toSorted()).toEqual(
      [
        'a?>~&"b!',
        // printf 'a?>~&"b!' | base64, with the character that the bytes after it have a part in, and without
        'YT8+fiYiYiE',
        'YT8-fiYiYiE',
        'YT8+fiYiYi',
        'YT8-fiYiYi',
        // after one byte
        'E/Pn4mImIh',
        'E_Pn4mImIh',
        // after two bytes
        'hPz5+JiJiIQ',
        'hPz5-JiJiIQ',
        'hPz5+JiJiI',
        'hPz5-JiJiI',
        '613f3e7e26226221',
        '613F3E7E26226221',
        // encodeURIComponent, RFC 3986's reserved marks, an HTML form
        'a%3F%3E~%26%22b!',
        'a%3f%3e~%26%22b!',
        'a%3F%3E~%26%22b%21',
        'a%3f%3e~%26%22b%21',
        'a%3F%3E%7E%26%22b%21',
        'a%3f%3e%7e%26%22b%21',
        // JSON, and Go's JSON
        'a?>~&\\"b!',
        'a?\\u003e~\\u0026\\"b!',
      ].toSorted(),
    );
  });

  it.each(["it's(a)*<b>", 'x'.repeat(8)])('are told once each, of %s', (secret) => {
    const spellings = toSpellings(secret);
    expect(new Set(spellings).size).toBe(spellings.length);
  });

  it("cover the marks that encodeURIComponent leaves, and the marks that only Go's JSON escapes", () => {
    const spellings = toSpellings("it's(a)*<b>!");
    expect(spellings).toContain('it%27s%28a%29%2A%3Cb%3E%21');
    expect(spellings).toContain("it's(a)*\\u003cb\\u003e!");
  });

  it('are none of a secret of 7 characters, and some of one of 8', () => {
    expect(toSpellings('1234567')).toEqual([]);
    expect(toSpellings('')).toEqual([]);
    expect(toSpellings('12345678')).toContain('12345678');
  });

  it.each(['\n', '\r', '\r\n'])('are also those of each line long enough, with lines ended by %j', (end) => {
    const spellings = toSpellings(`first line${end}  second line\t${end}short`);
    expect(spellings).toContain('first line');
    expect(spellings).toContain('second line');
    expect(spellings).toContain(Buffer.from('second line').toString('hex'));
    expect(spellings).not.toContain('short');
    expect(spellings).not.toContain('  second line\t');
  });

  it('are those of the whole too, where it has lines', () => {
    expect(toSpellings('first line\nsecond line')).toContain('first line\nsecond line');
    expect(toSpellings('one\ntwo\n')).toContain('one\\ntwo\\n');
  });

  it('exist for a secret that is no Unicode', () => {
    expect(toSpellings('broken \ud800 half')).toContain('broken%20%EF%BF%BD%20half');
  });
});

describe('toNeedles', () => {
  // Those of the secret as it is, without its other spellings.
  const piecesOf = (text: string): string[] =>
    toNeedles([text])
      .map(String)
      .filter((piece) => text.includes(piece));

  it('are the pieces of 64 bytes of a longer spelling, the last one reaching back', () => {
    const text = Array.from({ length: 150 }, (_, index) => String.fromCharCode(0x4e00 + index)).join('');
    const bytes = Buffer.from(text);
    const needles = toNeedles([text]).map((needle) => needle.toString('latin1'));
    for (const start of [0, 64, 128, 192, 256, 320, 384, 386]) {
      expect(needles).toContain(bytes.subarray(start, start + 64).toString('latin1'));
    }
    expect(bytes).toHaveLength(450);
  });

  it.each([
    [8, 1],
    [63, 1],
    [64, 1],
    [65, 2],
    [128, 2],
    [129, 3],
  ])('are for %d bytes as they are %d', (length, count) => {
    const text = Array.from({ length }, (_, index) => String.fromCharCode(0x30 + (index % 71))).join('');
    expect(piecesOf(text)).toHaveLength(count);
  });

  it('are 8 to 64 bytes long, and none is there twice', () => {
    const needles = toNeedles(['hunter2-hunter2', 'hunter2-hunter2', 'x'.repeat(1000), `${'y'.repeat(70)}\nzzzzzzzz`]);
    for (const needle of needles) {
      expect(needle.length).toBeGreaterThanOrEqual(8);
      expect(needle.length).toBeLessThanOrEqual(64);
    }
    expect(new Set(needles.map((needle) => needle.toString('latin1'))).size).toBe(needles.length);
  });

  it('are none of no secret', () => {
    expect(toNeedles([])).toEqual([]);
    expect(toNeedles(['short', ''])).toEqual([]);
  });
});
