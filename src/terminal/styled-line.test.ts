import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_STYLE, PLAIN, readStyle, toRgb, type Style } from './style.ts';
import { readLine, styleLine, toPlainText } from './text.ts';

const ESC = '\u001B';

/** `bold f1:text` for each span. */
function show(line: string, style: Style = PLAIN): string[] {
  return styleLine(line, style).spans.map((span) => {
    const { foreground, background, attributes } = readStyle(span.style);
    const colours = [
      foreground === undefined ? [] : `f${foreground}`,
      background === undefined ? [] : `b${background}`,
    ];
    const words = [...attributes, ...colours.flat(), ...(span.href === undefined ? [] : [span.href])];
    return `${words.join(' ')}:${span.text}`;
  });
}

describe('styles', () => {
  test.each([
    ['plain text has no style', 'a\tb', [':a\tb']],
    ['the sixteen colours', `${ESC}[31ma${ESC}[91mb${ESC}[44mc${ESC}[104md`, ['f1:a', 'f9:b', 'f9 b4:c', 'f9 b12:d']],
    ['256 colours', `${ESC}[38;5;208ma${ESC}[48:5:17mb`, ['f208:a', 'f208 b17:b']],
    ['24 bits become the nearest of 256', `${ESC}[38;2;255;135;0ma${ESC}[38:2::95:175:255mb`, ['f208:a', 'f75:b']],
    ['24 bits without a colour space', `${ESC}[48:2:8:8:8ma`, ['b232:a']],
    [
      'parameters after a colour are applied',
      `${ESC}[38;5;208;1ma${ESC}[58;2;1;2;3;4mb`,
      ['bold f208:a', 'bold underline f208:b'],
    ],
    [
      'attributes are set and cleared',
      `${ESC}[1;2;3;4;7;9ma${ESC}[22;23mb${ESC}[24;27;29mc`,
      ['bold dim italic underline inverse strike:a', 'underline inverse strike:b', ':c'],
    ],
    ['wavy underlines and none', `${ESC}[4:3ma${ESC}[4:0mb`, ['underline:a', ':b']],
    ['the default colours', `${ESC}[31;44ma${ESC}[39mb${ESC}[49mc`, ['f1 b4:a', 'b4:b', ':c']],
    ['an empty parameter resets', `${ESC}[31ma${ESC}[mb`, ['f1:a', ':b']],
    [
      'colours that do not exist have no effect',
      `${ESC}[38;5;256ma${ESC}[38;2;1;2mb${ESC}[38mc${ESC}[38;9md`,
      [':abc', 'strike:d'],
    ],
    ['8-bit sequences', '\u009B31ma', ['f1:a']],
    ['private sequences have no effect', `${ESC}[>4;1ma${ESC}[?25lb`, [':ab']],
    ['text of one style is one span', `${ESC}[31ma${ESC}[31mb`, ['f1:ab']],
  ])('%s', (_, line, spans) => {
    expect(show(line)).toStrictEqual(spans);
  });

  test('continue in the next line', () => {
    const { style } = styleLine(`a${ESC}[1;32m`, PLAIN);
    expect(show('b', style)).toStrictEqual(['bold f2:b']);
  });

  test('fit into the maximum style', () => {
    expect(styleLine(`${ESC}[1;2;3;4;7;9;38;5;255;48;5;255m`, PLAIN).style).toBeLessThanOrEqual(MAX_STYLE);
  });

  test('use the cube and the greys of xterm', () => {
    expect([16, 21, 208, 231, 232, 255].map(toRgb)).toStrictEqual([
      [0, 0, 0],
      [0, 0, 255],
      [255, 135, 0],
      [255, 255, 255],
      [8, 8, 8],
      [238, 238, 238],
    ]);
  });
});

describe('the cursor', () => {
  test.each([
    ['moves back, with the colours of what it writes', `${ESC}[31mabc\r${ESC}[32mx`, ['f2:x', 'f1:bc']],
    ['moves left and right', `abc${ESC}[2DX${ESC}[1CY`, [':aXcY']],
    ['moves to a column', `abc${ESC}[1GX${ESC}[5GY`, [':Xbc Y']],
    ['erases to the right, also as "erase below"', `abc\rx${ESC}[J`, [':x']],
    ['erases the line', `abc${ESC}[2K\rx`, [':x']],
    [
      'moves at most to the edge of the screen after a long line is erased',
      `${'a'.repeat(300)}${ESC}[2Kb${ESC}[2Kc`,
      [`:${' '.repeat(240)}c`],
    ],
    ['does not erase to the left', `abc${ESC}[1K`, [':abc']],
    ['stays on the screen', `${ESC}[99999999999999Ca`, [`:${' '.repeat(240)}a`]],
    ['stops at the beginning', `a${ESC}[99Db`, [':b']],
    ['ignores Windows line ends', `${ESC}[31ma\r\r`, ['f1:a']],
  ])('%s', (_, line, spans) => {
    expect(show(line)).toStrictEqual(spans);
  });
});

describe('links', () => {
  const link = (address: string): string => `${ESC}]8;id=1;${address}${ESC}\\x${ESC}]8;;\u0007y`;

  test('to the web are kept', () => {
    expect(show(link('https://c3.example/a?b=1&c#d'))).toStrictEqual(['https://c3.example/a?b=1&c#d:x', ':y']);
  });

  test.each([
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'https://a b',
    'https://"onclick=',
    'HTTPS:',
  ])('to %s are removed, and their text is kept', (address) => {
    expect(show(link(address))).toStrictEqual([':xy']);
  });

  test('end at the end of the line', () => {
    const { style } = styleLine(`${ESC}]8;;https://a.example${ESC}\\a`, PLAIN);
    expect(show('b', style)).toStrictEqual([':b']);
  });
});

const sequences = [
  '[',
  '[K',
  '[2K',
  '[J',
  '[3D',
  '[9C',
  '[2G',
  '[31m',
  '[38;2;1;2;3m',
  ']8;;https://a.example',
  'P',
  'c',
];
const characters = [
  '\r',
  '\b',
  '\u0007',
  '\u009B',
  '\u0090',
  '\t',
  'a',
  '漢',
  '\uD83D',
  '😀',
  '\u202E',
  '\uFEFF',
  ' ',
  ';',
  '<',
];
const pieces = fc.constantFrom(...sequences.map((text) => ESC + text), ...characters);
const output = fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join(''));

test('the text of the spans equals the plain text', () => {
  fc.assert(
    fc.property(output, fc.nat(MAX_STYLE), (line, style) => {
      const { spans } = styleLine(line, style);
      const text = spans.map((span) => span.text).join('');
      expect(readLine(line)).toBe(text);
      expect(text.replaceAll('\t', '    ').trimEnd()).toBe(toPlainText(`.\n${line}\n.`).slice(2, -2).trimEnd());
      expect(text.isWellFormed()).toBe(true);
      expect(text.replaceAll('\t', '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
      for (const span of spans) expect(span.href ?? 'https://').toMatch(/^https?:\/\/[^"<>\s]*$/);
    }),
  );
});

test('hostile lines of two million characters are read in linear time: quadratic work would take hours', () => {
  for (const unit of [
    `${ESC}[240Gx${ESC}[2K`,
    `a\b${ESC}[1K`,
    `${ESC}[38;2;`,
    `${ESC}]8;;https://`,
    '1;',
    '\r',
    `${ESC}[9C`,
  ]) {
    const input = `abc${ESC}[${unit.repeat(2_000_000 / unit.length)}`;
    const columns = styleLine(input, PLAIN).spans.map(({ text }) => text.length);
    expect(columns.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(input.length);
  }
});
