import { expect, it } from 'vitest';
import { createOutputLines, toShownLine } from './output-lines.ts';

it('makes lines of bytes, however they are cut', () => {
  const bytes = Buffer.from('grüße\n\nlast');
  for (let size = 1; size <= bytes.length; size++) {
    const lines = createOutputLines();
    const told: string[] = [];
    for (let at = 0; at < bytes.length; at += size) told.push(...lines.push(bytes.subarray(at, at + size)));
    expect([...told, ...lines.flush()]).toEqual(['grüße', '', 'last']);
    expect(lines.flush()).toEqual([]);
  }
});

it('cuts a line without an end in pieces', () => {
  const lines = createOutputLines();
  const told = lines.push(Buffer.from('x'.repeat(40_000)));
  expect(told.map(({ length }) => length)).toEqual([16_384, 16_384]);
  expect(lines.flush().map(({ length }) => length)).toEqual([40_000 - 2 * 16_384]);
});

it.each([
  ['\u001B[31mred\u001B[0m', '\u001B[31mred\u001B[0m\u001B[0m', 'red'],
  ['10%\r50%\r100%\r', '100%', '100%'],
  ['\u001B[2J\u001B[Htop\u001B[1A', 'top', 'top'],
  ['\u001B]0;title\u0007text', 'text', 'text'],
  ['\u001B]8;;https://example.com\u001B\\link\u001B]8;;\u001B\\', 'link', 'link'],
  ['bell\u0007 back\b\ttab', 'bell back\ttab', 'bell back\ttab'],
  ['half \u001B[', 'half ', 'half '],
])('shows %j as %j in colours, and as %j without', (line, coloured, plain) => {
  expect(toShownLine(line, { keepsColours: true })).toBe(coloured);
  expect(toShownLine(line, { keepsColours: false })).toBe(plain);
});
