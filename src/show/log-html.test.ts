import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readLine } from '../terminal/text.ts';
import { MAX_STYLE } from '../terminal/style.ts';
import { CHUNK_LINES, FIRST_LINE, renderLines, renderPartial } from './log-html.ts';

const ESC = '\u001B';

function render(...texts: readonly string[]): string {
  const lines = texts.map((text) => ({ text, seconds: undefined }));
  return renderLines(lines, { id: 's', from: FIRST_LINE })
    .chunks.map(({ html }) => html)
    .join('');
}

describe('a line', () => {
  test.each([
    ['has an id and nothing that it does not need', 'plain', '<li id=s-L1>plain'],
    ['is escaped', '<b a="1">&', '<li id=s-L1>&lt;b a=&quot;1&quot;&gt;&amp;'],
    ['has a class for its colour', `${ESC}[31mred`, '<li id=s-L1><span class=f1>red</span>'],
    ['has several classes', `${ESC}[1;4;38;5;208mx`, '<li id=s-L1><span class="f208 bold underline">x</span>'],
    [
      'chooses the text colour by the background',
      `${ESC}[41mx${ESC}[97my`,
      '<li id=s-L1><span class=b1>x</span><span class="b1 r15">y</span>',
    ],
    ['can be inverse', `${ESC}[7mx${ESC}[31my`, '<li id=s-L1><span class=inverse>x</span><span class=b1>y</span>'],
    ['can be inverse on a background', `${ESC}[7;44mx`, '<li id=s-L1><span class="inverse r4">x</span>'],
    [
      'can be a link, which sends no referrer',
      `${ESC}]8;;https://a.example/?x=1&y=2${ESC}\\a`,
      '<li id=s-L1><a href="https://a.example/?x=1&amp;y=2" rel="noopener noreferrer nofollow">a</a>',
    ],
  ])('%s', (_, text, html) => {
    expect(render(text)).toBe(html);
  });

  test('opens a link once, whatever styles it contains', () => {
    const text = `${ESC}]8;;https://a.example${ESC}\\a${ESC}[1mb${ESC}[mc${ESC}]8;;${ESC}\\d`;
    expect(render(text)).toBe(
      '<li id=s-L1><a href="https://a.example" rel="noopener noreferrer nofollow">a<span class=bold>b</span>c</a>d',
    );
  });

  test('has tags only in proportion to its length, and keeps all of its text', () => {
    const link = `${ESC}]8;;https://a.example/${'&'.repeat(1_900)}\u0007`;
    const text = `${link}${'x'.repeat(2_000)}\r${ESC}]8;;\u0007${`${ESC}[Cy`.repeat(1_000)}`;
    const html = render(text);
    expect(html.split('<a ').length).toBeGreaterThan(3);
    expect(html.length).toBeLessThan(10 * text.length);
    expect(html.replaceAll(/<[^>]*>/g, '')).toBe('xy'.repeat(1_000));
    expect(html).toMatch(/<\/a>[xy]+$/);
  });

  test('shows the elapsed time when it changes', () => {
    const lines = [1, 1, 75, 3_723, undefined, 3_723].map((seconds) => ({ text: 'x', seconds }));
    const [chunk] = renderLines(lines, { id: 's', from: FIRST_LINE }).chunks;
    expect(chunk?.html.match(/data-t=[^>]*|<li id=s-L\d>/g)).toStrictEqual([
      'data-t=0:01',
      '<li id=s-L2>',
      'data-t=1:15',
      'data-t=1:02:03',
      '<li id=s-L5>',
      'data-t=1:02:03',
    ]);
  });
});

const output = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.constantFrom(
        '<script>',
        '"',
        '&lt;',
        `${ESC}[31m`,
        `${ESC}[7;48;5;99m`,
        `${ESC}]8;;https://a.example/"<${ESC}\\`,
        '\r',
        '\b',
        '\u202E',
      ),
    ),
  )
  .map((parts) => parts.join(''));

describe('any output', () => {
  test("becomes only c3's own markup around its text", () => {
    fc.assert(
      fc.property(output, (text) => {
        const html = render(text);
        const ours =
          /<li id=s-L1>|<span class=(?:[a-z0-9]+|"[a-z0-9 ]+")>|<\/span>|<a href="https?:[^"<>]*" rel="noopener noreferrer nofollow">|<\/a>/g;
        const rest = html.replaceAll(ours, '');
        expect(rest).not.toMatch(/[<>"]/);
        expect(rest).not.toMatch(/&(?!amp;|lt;|gt;|quot;)/);
        const shown = rest
          .replaceAll('&lt;', '<')
          .replaceAll('&gt;', '>')
          .replaceAll('&quot;', '"')
          .replaceAll('&amp;', '&');
        expect(shown).toBe(readLine(text));
      }),
    );
  });

  test('becomes HTML in proportion to its length', () => {
    const link = `${ESC}]8;;https://a.example/${'&'.repeat(500)}\u0007`;
    const noLink = `${ESC}]8;;\u0007`;
    const styles = ['[1m', '[m', '[7m', '[27m', '[1;2;3;4;9;38;5;255;48;5;254m'].map((style) => ESC + style);
    const moves = ['[C', '[2C', '[240G', '[K', '[2K'].map((move) => ESC + move);
    const texts = ['x', '"', '&', '漢', 'x'.repeat(300), `${ESC}[Cy`, `${link}${'x'.repeat(300)}\r${noLink}`];
    const piece = fc.constantFrom(link, noLink, '\r', '\b', ...styles, ...moves, ...texts);
    const run = fc
      .record({ pieces: fc.array(piece, { maxLength: 5 }), times: fc.integer({ min: 1, max: 200 }) })
      .map(({ pieces, times }) => pieces.join('').repeat(times));
    fc.assert(
      fc.property(fc.array(run, { maxLength: 6 }), fc.nat(MAX_STYLE), (runs, style) => {
        const text = runs.join('');
        const { chunks, length } = renderLines([{ text, seconds: 3_723 }], { id: 's', from: { line: 0, style } });
        expect(chunks[0]?.html).toHaveLength(length);
        expect(length).toBeLessThanOrEqual(16 * text.length + 500);
      }),
      { numRuns: 1_000 },
    );
  });

  test('renders the same at once and in pieces', () => {
    fc.assert(
      fc.property(fc.array(output, { maxLength: 12 }), fc.nat(12), (texts, cut) => {
        const lines = texts.map((text) => ({ text, seconds: undefined }));
        const first = renderLines(lines.slice(0, cut), { id: 's', from: FIRST_LINE });
        const second = renderLines(lines.slice(cut), { id: 's', from: first.end });
        const pieces = [...first.chunks, ...second.chunks].map(({ html }) => html).join('');
        expect(pieces).toBe(render(...texts));
      }),
    );
  });
});

test('lists begin with the first line and after each full list', () => {
  const lines = Array.from({ length: CHUNK_LINES + 1 }, () => ({ text: '', seconds: undefined }));
  const first = renderLines(lines, { id: 's', from: FIRST_LINE });
  expect(first.chunks.map((chunk) => chunk.first)).toStrictEqual([1, CHUNK_LINES + 1]);
  const second = renderLines(lines, { id: 's', from: first.end });
  expect(second.chunks.map((chunk) => chunk.first)).toStrictEqual([CHUNK_LINES + 2, 2 * CHUNK_LINES + 1]);
});

test('a partial line starts with the style of the line before it', () => {
  const { end } = renderLines([{ text: `${ESC}[32m`, seconds: undefined }], { id: 's', from: FIRST_LINE });
  expect(renderPartial('Password: ', end)).toBe('<span class=f2>Password: </span>');
});
