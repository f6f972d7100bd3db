import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import * as fc from 'fast-check';
import { toDelta } from '../../src/engine/delta.ts';
import { readFetchResponse, readPack } from '../../src/git/index.ts';
import { defineTarget, ensure, type Target } from './target.ts';

/** An entry of a pack, mostly with a size that fits, as plain object or as delta on an earlier one. */
const entry = fc
  .record({
    type: fc.constantFrom(1, 2, 3, 4, 6, 7, 0, 5),
    data: fc.uint8Array({ maxLength: 40 }),
    distance: fc.nat({ max: 127 }),
    error: fc.constantFrom(0, 0, 0, 1, 1000),
  })
  .map(({ type, data, distance, error }) => {
    const size = data.length + error;
    const head = [(type << 4) | (size & 15) | 128, (size >> 4) & 127];
    const base = type === 6 ? [distance] : type === 7 ? [...data.subarray(0, 20)] : [];
    return Buffer.concat([Buffer.from([...head, ...base]), deflateSync(data)]);
  });

const pack = fc.tuple(fc.array(entry, { maxLength: 6 }), fc.constantFrom(0, 0, 0, 1)).map(([entries, more]) => {
  const head = Buffer.from('PACK\0\0\0\u0002\0\0\0\0', 'latin1');
  head.writeUInt32BE(entries.length + more, 8);
  const bytes = Buffer.concat([head, ...entries]);
  return Buffer.concat([bytes, createHash('sha1').update(bytes).digest()]);
});

const line = fc
  .tuple(fc.constantFrom(1, 2, 3), fc.uint8Array({ maxLength: 30 }))
  .map(([band, bytes]) =>
    Buffer.concat([Buffer.from((bytes.length + 5).toString(16).padStart(4, '0')), Buffer.from([band]), bytes]),
  );
const words = fc
  .constantFrom('000dpackfile\n', '0011shallow-info\n', '0000', '0001', '0002', 'zzzz', 'ffff')
  .map((text) => Buffer.from(text));

export const gitTargets: readonly Target[] = [
  defineTarget('git-pack', pack, (bytes) => {
    for (const { id, type, content } of readPack(bytes, 'sha1') ?? []) {
      const framed = Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content]);
      ensure(createHash('sha1').update(framed).digest('hex') === id, 'an id is the hash of its object');
    }
    ensure(toDelta(bytes, { want: '1'.repeat(40), have: '2'.repeat(40) }) === undefined, 'it has no other commit');
  }),

  defineTarget('git-response', fc.array(fc.oneof(line, words), { maxLength: 8 }), (parts) => {
    const bytes = Buffer.concat(parts);
    const found = readFetchResponse(bytes);
    ensure(found === undefined || found.length < bytes.length, 'a pack is a part of the response');
  }),
];
