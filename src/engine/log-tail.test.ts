import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createLogTail } from './log-tail.ts';

function tailOf(chunks: readonly string[], maxBytes: number): string {
  const tail = createLogTail(maxBytes);
  for (const chunk of chunks) tail.push(Buffer.from(chunk));
  return tail.text();
}

it('keeps a short log whole', () => {
  expect(tailOf(['one\n', 'two\n'], 100)).toBe('one\ntwo\n');
});

it('keeps the last whole lines of a long log', () => {
  expect(tailOf(['first line\n', 'second\nthird\n'], 15)).toBe('second\nthird\n');
});

it('keeps the end of one endless line', () => {
  expect(tailOf(['a'.repeat(500), 'b'.repeat(4)], 73)).toBe('aaaaaabbbb');
});

it('shows nothing of a coloured secret that the cut went through', () => {
  const red = (text: string): string => `\u001B[31m${text}\u001B[m`;
  const line = `${'x'.repeat(30)}${red('hunter2-')}hunter3-hunter4${'.'.repeat(200)} the end`;
  for (let maxBytes = 210; maxBytes <= 240; maxBytes += 1) {
    const tail = tailOf([line], maxBytes);
    expect(tail).toMatch(/^\.{100,} the end$/);
  }
});

it('says how much of a huge log was left out, before the end of it', () => {
  const tail = createLogTail(100);
  tail.push(Buffer.from('the head\n'));
  tail.cut(1000 * 1024 * 1024);
  tail.cut(24 * 1024 * 1024);
  tail.push(Buffer.from('of a line\nthe end\n'));
  expect(tail.text()).toBe('… 1024 MiB left out …\nthe end\n');
});

it('says so in smaller words of less', () => {
  const tail = createLogTail(100);
  tail.cut(2000);
  expect(tail.text()).toBe('… 2 KiB left out …\n');
});

it('cuts no character in two', () => {
  expect(tailOf(['x'.repeat(20), 'é'.repeat(100)], 133)).toBe('éééé');
});

it('holds the end of the log, within its limit, however it comes', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.integer({ min: 1, max: 40 }), (chunks, maxBytes) => {
      const whole = Buffer.from(chunks.join('')).toString();
      const tail = tailOf(chunks, maxBytes);
      const isWhole = Buffer.byteLength(whole) <= maxBytes;
      expect(isWhole ? tail === whole : whole.endsWith(tail.replaceAll('\uFFFD', ''))).toBe(true);
    }),
  );
});
