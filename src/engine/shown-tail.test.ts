import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogEnd } from '../agent/index.ts';
import { createMasking } from '../sealing/index.ts';
import { toPlainText } from '../terminal/text.ts';
import { toShownTail } from './step-log.ts';

const KIB = 1024;
/** As the agent sends it (shell/log.sh). */
const END_BYTES = 8256;
const none = createMasking([]);

/** The end of a log with this text, of which the agent sends so many bytes. */
function toEnd(text: string, bytes = END_BYTES): LogEnd {
  const log = Buffer.from(text);
  return { size: log.length, bytes: log.subarray(-bytes) };
}

describe('the tail of a log', () => {
  it('is all of a short log', () => {
    expect(toShownTail(toEnd('one\ntwo\n'), none)).toBe('one\ntwo\n');
  });

  it('is the last 8 KiB of a long one, from the start of a line', () => {
    const lines = Array.from({ length: 2000 }, (_, index) => `line ${index}\n`).join('');
    for (const bytes of [END_BYTES, 12_352]) {
      const tail = toShownTail(toEnd(lines, bytes), none);
      expect(lines.endsWith(`\n${tail}`)).toBe(true);
      expect(tail.length).toBeGreaterThan(8 * KIB - 20);
      expect(tail.length).toBeLessThanOrEqual(8 * KIB);
    }
  });

  it('is the end of one endless line', () => {
    expect(toShownTail(toEnd(`${'a'.repeat(20_000)}the end`), none)).toMatch(/^a{8000,}the end$/);
  });

  it('cuts no character in two', () => {
    expect(toShownTail(toEnd(`${'é'.repeat(10_000)}x`), none)).toMatch(/^é+x$/);
  });

  it('shows no part of a secret that the cut goes through', () => {
    const secret = 'hunter2-hunter3-hunter4-0123456789abcdef';
    const masking = createMasking([secret]);
    const separator = fc.constantFrom('', ' ', '\n', 'x');
    const repeated = fc.tuple(fc.string({ maxLength: 40 }), separator, fc.integer({ min: 100, max: 9000 }));
    fc.assert(
      fc.property(repeated, fc.integer({ min: END_BYTES, max: 12_352 }), ([start, between, after], bytes) => {
        const log = `${start}${`${secret}${between}`.repeat(300)}${'.'.repeat(after)} the end`;
        const tail = toShownTail(toEnd(log, bytes), masking);
        expect(tail).toMatch(/ the end$/);
        expect(tail).not.toMatch(/hunter|0123|cdef/);
      }),
    );
  });

  it('shows no part of a coloured secret that the cut goes through', () => {
    const red = (text: string): string => `\u001B[31m${text}\u001B[m`;
    const masking = createMasking(['hunter2-hunter3-hunter4']);
    for (let after = 8_120; after <= 8_250; after += 1) {
      const log = `${'x'.repeat(200)}${red('hunter2-')}hunter3-hunter4${'.'.repeat(after)} the end`;
      expect(toPlainText(toShownTail(toEnd(log), masking))).toMatch(/^[.*]* the end$/);
    }
  });
});
