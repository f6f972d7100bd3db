import { describe, expect, it } from 'vitest';
import { toPatterns, toSpellings } from './patterns.ts';

function toUserInfo(password: string): string {
  const url = new URL('https://git@forge.example');
  url.password = password;
  return url.password;
}

function patternsOf(...secrets: readonly string[]): string[] {
  return toPatterns(secrets, Infinity) ?? [];
}

describe('toSpellings', () => {
  it('are these, and no others', () => {
    // Base64 turns 8 bytes into 10 2/3 characters: each of the three places begins and ends elsewhere in a character.
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
        // the user info of Go and of the WHATWG, encodeURI
        'a%3F%3E~&%22b%21',
        'a%3f%3e~&%22b%21',
        'a%3F%3E~&%22b!',
        'a%3f%3e~&%22b!',
        'a?%3E~&%22b!',
        'a?%3e~&%22b!',
        // JSON, that of Go, that of .NET, and both with the letters of the other case
        'a?>~&\\"b!',
        'a?\\u003e~\\u0026\\"b!',
        'a?\\u003E~\\u0026\\"b!',
        'a?\\u003e~\\u0026\\u0022b!',
        'a?\\u003E~\\u0026\\u0022b!',
        // JSON in JSON, twice
        'a?>~&\\\\\\"b!',
        'a?>~&\\\\\\\\\\\\\\"b!',
        // printf %q of bash and of zsh, CSV
        'a\\?\\>~\\&\\"b\\!',
        'a\\?\\>\\~\\&\\"b\\!',
        'a?>~&""b!',
        // XML, HTML, that of Go
        'a?&gt;~&amp;"b!',
        'a?&gt;~&amp;&quot;b!',
        'a?&gt;~&amp;&#34;b!',
      ].toSorted(),
    );
  });

  it.each(["it's(a)*<b>", 'x'.repeat(8)])('are all different, of %s', (secret) => {
    const spellings = toSpellings(secret);
    expect(new Set(spellings).size).toBe(spellings.length);
  });

  const AWS = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

  // The output of each of them.
  it.each([
    ['encodeURIComponent', "it's(a)*b!", "it's(a)*b!"],
    ['an RFC 3986 encoder', "it's(a)*<b>!~", 'it%27s%28a%29%2A%3Cb%3E%21~'],
    ['a form', 'pass ~*word', 'pass+%7E*word'],
    ["Python's quote", `${AWS}+x=`, `${AWS}%2Bx%3D`],
    ["Python's quote_plus and Go's QueryEscape", 'pass ~*word/', 'pass+~%2Aword%2F'],
    ["Go's PathEscape", 'abc+def/ghi=jkl$m', 'abc+def%2Fghi=jkl$m'],
    ["Go's UserPassword", 'abc+def/ghi:jkl,m', 'abc+def%2Fghi%3Ajkl,m'],
    ['new URL().password', 'abc+def/ghi=jkl$m', toUserInfo('abc+def/ghi=jkl$m')],
    ['encodeURI', 'pass word/with+x', encodeURI('pass word/with+x')],
    ['JSON of JavaScript', 'a "quoted"\\ one', 'a \\"quoted\\"\\\\ one'],
    ['JSON of Go', 'abcd<e>&fgh', 'abcd\\u003ce\\u003e\\u0026fgh'],
    ['JSON of Gson', "abcd<e>='fgh", 'abcd\\u003ce\\u003e\\u003d\\u0027fgh'],
    ['JSON of PHP', AWS, AWS.replaceAll('/', '\\/')],
    ['JSON of PHP, not of ASCII', 'pässwörter/1', 'p\\u00e4ssw\\u00f6rter\\/1'],
    ['JSON of Python', 'pässwörter123', 'p\\u00e4ssw\\u00f6rter123'],
    ['JSON of .NET', 'abcd+efgh&"ij"', 'abcd\\u002Befgh\\u0026\\u0022ij\\u0022'],
    ['JSON of .NET, beyond 16 bits', 'grin😀grin', 'grin\\uD83D\\uDE00grin'],
  ])('include that of %s', (_encoder, secret, written) => {
    expect(toSpellings(secret)).toContain(written);
  });

  it('include the lines that base64, openssl and xxd write', () => {
    const secret = Array.from({ length: 100 }, (_, index) => String.fromCharCode(0x30 + (index % 71))).join('');
    const lines = { base64: [0, 76], hex: [0, 60, 120, 180] };
    const base64 = Buffer.from(secret).toString('base64').replace(/=+$/, '');
    const hex = Buffer.from(secret).toString('hex');
    const spellings = toSpellings(secret);
    for (const at of lines.base64) expect(spellings).toContain(base64.slice(at, at + 76));
    for (const at of lines.hex) expect(spellings).toContain(hex.slice(at, at + 60));
    // A short last line may occur by chance.
    expect(toSpellings('x'.repeat(58))).not.toContain(Buffer.from('x'.repeat(58)).toString('base64').slice(76, 78));
  });

  it('exist for a secret that is not well-formed Unicode', () => {
    expect(toSpellings('broken \ud800 half')).toContain('broken%20%EF%BF%BD%20half');
  });
});

describe('toPatterns', () => {
  // Only those of the plain secret.
  const piecesOf = (text: string): string[] => patternsOf(text).filter((piece) => text.includes(piece));

  it('are pieces of 64 bytes of a longer spelling, the last of which overlaps the one before', () => {
    const text = Array.from({ length: 150 }, (_, index) => String.fromCharCode(0x4e00 + index)).join('');
    const bytes = Buffer.from(text);
    const patterns = patternsOf(text);
    for (const start of [0, 64, 128, 192, 256, 320, 384, 386]) {
      expect(patterns).toContain(bytes.subarray(start, start + 64).toString('latin1'));
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
  ])('of %d plain bytes are %d', (length, count) => {
    const text = Array.from({ length }, (_, index) => String.fromCharCode(0x30 + (index % 71))).join('');
    expect(piecesOf(text)).toHaveLength(count);
  });

  it('are 8 to 64 bytes long, and all different', () => {
    const patterns = patternsOf('hunter2-hunter2', 'hunter2-hunter2', 'x'.repeat(1000), `${'y'.repeat(70)}\nzzzzzzzz`);
    for (const pattern of patterns) {
      expect(pattern.length).toBeGreaterThanOrEqual(8);
      expect(pattern.length).toBeLessThanOrEqual(64);
    }
    expect(new Set(patterns).size).toBe(patterns.length);
  });

  it('are none without a secret', () => {
    expect(patternsOf()).toEqual([]);
    expect(patternsOf('short', '')).toEqual([]);
  });

  it('are none for a secret of 7 characters, and some for one of 8', () => {
    expect(patternsOf('1234567')).toEqual([]);
    expect(patternsOf('12345678')).toContain('12345678');
  });

  it.each(['\n', '\r', '\r\n'])('include those of each long line, with lines that end with %j', (end) => {
    const patterns = patternsOf(`first line${end}  second line\t${end}short`);
    expect(patterns).toContain('first line');
    expect(patterns).toContain('second line');
    expect(patterns).toContain(Buffer.from('second line').toString('hex'));
    expect(patterns).not.toContain('short');
    expect(patterns).not.toContain('  second line\t');
  });

  it('include those of the whole secret, if it has lines', () => {
    expect(patternsOf('first line\nsecond line')).toContain('first line\nsecond line');
    expect(patternsOf('one\ntwo\n')).toContain('one\\ntwo\\n');
  });

  it('are undefined if the spellings are too long', () => {
    const { length } = toSpellings('hunter2-hunter2').join('');
    expect(toPatterns(['hunter2-hunter2'], length)).toHaveLength(patternsOf('hunter2-hunter2').length);
    expect(toPatterns(['hunter2-hunter2'], length - 1)).toBeUndefined();
  });
});
