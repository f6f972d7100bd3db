import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countHeld } from '../../test/fakes/memory.ts';
import { FrameDecoder, type Frame } from './frames.ts';

const encoder = new TextEncoder();

function read(chunks: readonly Uint8Array[]): Frame[] {
  const reader = new FrameDecoder();
  return chunks.flatMap((chunk) => [...reader.push(chunk)]);
}

function readText(text: string): Frame[] {
  return read([encoder.encode(text)]);
}

/** Cuts bytes at the given fractions. */
function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)).toSorted((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

describe('a frame decoder', () => {
  it('reads every kind of frame', () => {
    expect(
      readText(
        'R 1700000000000 4711 4700 c0ffee\nR 0 4711   a1b2\nK 3 9\nD 0 3\na\nbX 3 7 exited end\nX 3 0 exited end c0ffee\nP 12 5\nJ a  b\nJ \nT\nH 3\nL it was killed\nN\nC\nS clean c0ffee\nS left 12 13\nE no room\n',
      ),
    ).toEqual([
      { kind: 'ready', begunAtMs: 1_700_000_000_000, start: 4711, first: { start: '4700', mac: 'c0ffee' }, nonce: '' },
      { kind: 'ready', begunAtMs: 0, start: 4711, first: { start: '', mac: '' }, nonce: 'a1b2' },
      { kind: 'skipped', from: 3, to: 9 },
      { kind: 'data', offset: 0, bytes: encoder.encode('a\nb') },
      { kind: 'exit', offset: 3, exitCode: 7, why: 'exited', proof: '' },
      { kind: 'exit', offset: 3, exitCode: 0, why: 'exited', proof: 'c0ffee' },
      { kind: 'part-sent', offset: 12, base: 5 },
      { kind: 'text', text: 'a  b' },
      { kind: 'text', text: '' },
      { kind: 'told' },
      { kind: 'heartbeat', size: 3 },
      { kind: 'lost', message: 'it was killed' },
      { kind: 'never-started' },
      { kind: 'cancel-noted' },
      { kind: 'swept', isClean: true, nonce: 'c0ffee' },
      { kind: 'swept', isClean: false, nonce: '12' },
      { kind: 'fault', message: 'no room' },
    ]);
  });

  it('yields the same bytes and ending however the stream is cut', () => {
    const logs = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 6 });
    const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
    fc.assert(
      fc.property(logs, fractions, (pieces, cuts) => {
        let offset = 0;
        const stream = pieces.flatMap((piece) => {
          const header = encoder.encode(`D ${offset} ${piece.length}\n`);
          offset += piece.length;
          return [header, piece];
        });
        const frames = read(split(Buffer.concat([...stream, encoder.encode(`X ${offset} 0 exited end \n`)]), cuts));
        const data = frames.filter((frame) => frame.kind === 'data');
        let next = 0;
        for (const frame of data) {
          expect(frame.offset).toBe(next);
          next += frame.bytes.length;
        }
        expect(Buffer.concat(data.map(({ bytes }) => bytes)).equals(Buffer.concat(pieces))).toBe(true);
        expect(frames.at(-1)).toMatchObject({ kind: 'exit', offset, exitCode: 0, why: 'exited' });
      }),
    );
  });

  it.each([
    'X 3 256 exited end',
    'X 3 0',
    'X 3 0 exited',
    'X 3 0 passed end',
    'X -1 0 exited end',
    'X 3 00 exited end',
    'H',
    'D 0 0',
    'R /c3/.c3',
    'R 1 /c3/.c3',
    'K 9 9',
    'D 0 99999999',
    'Z',
    'hello world',
    '',
  ])('takes "%s" for a fault and reads no further', (line) => {
    const frames = readText(`${line}\nX 0 0 exited end\n`);
    expect(frames.map(({ kind }) => kind)).toEqual(['fault']);
  });

  it('takes an endless line for a fault', () => {
    const reader = new FrameDecoder();
    const kinds = Array.from({ length: 10 }, () => [...reader.push(new Uint8Array(1000).fill(0x41))]).flat();
    expect(kinds).toEqual([{ kind: 'fault', message: 'the agent sent a line that is too long' }]);
  });

  it('keeps no chunk for the sake of the line that begins in it', async () => {
    const readers = Array.from({ length: 20 }, () => new FrameDecoder());
    const held = readers.map((reader) => {
      const chunk = Buffer.concat([encoder.encode('D 0 100000\n'), Buffer.alloc(100_000), encoder.encode('X 100000 ')]);
      expect([...reader.push(chunk)]).toHaveLength(1);
      return new WeakRef(chunk.buffer);
    });
    expect(await countHeld(held)).toBe(0);
    for (const reader of readers)
      expect([...reader.push(encoder.encode('7 exited end\n'))]).toMatchObject([{ exitCode: 7 }]);
  });

  it('never throws and never makes an exit of noise', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
        const hasExit = read(chunks).some(({ kind }) => kind === 'exit');
        expect(hasExit && !Buffer.concat(chunks).toString('latin1').includes('X ')).toBe(false);
      }),
    );
  });
});
