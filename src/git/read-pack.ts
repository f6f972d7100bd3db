import { createHash } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';

export interface GitObject {
  /** Hexadecimal. */
  readonly id: string;
  readonly type: ObjectType;
  readonly content: Buffer;
}

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag';

const TYPES: Readonly<Record<number, ObjectType>> = { 1: 'commit', 2: 'tree', 3: 'blob', 4: 'tag' };
const OFFSET_DELTA = 6;
const ID_DELTA = 7;

/** A small commit has a few dozen objects. */
const MAX_OBJECTS = 2000;
/** Limits what a pack can grow to (A12). */
const MAX_CONTENT_BYTES = 4 * 1024 * 1024;
const HEADER_BYTES = 12;

/**
 * Reads all objects of a pack that contains the bases of its deltas. Returns undefined for anything else, and for a
 * pack that grows to more than 4 MiB. An object's id is computed from its content, so it is never wrong.
 *
 * @param algorithm of the repository's ids
 * @see https://git-scm.com/docs/gitformat-pack
 */
export function readPack(pack: Uint8Array, algorithm: 'sha1' | 'sha256'): readonly GitObject[] | undefined {
  const bytes = Buffer.from(pack.buffer, pack.byteOffset, pack.byteLength);
  const end = bytes.length - (algorithm === 'sha1' ? 20 : 32);
  if (end < HEADER_BYTES || bytes.toString('latin1', 0, 4) !== 'PACK' || bytes.readUInt32BE(4) !== 2) return undefined;
  if (!createHash(algorithm).update(bytes.subarray(0, end)).digest().equals(bytes.subarray(end))) return undefined;
  const count = bytes.readUInt32BE(8);
  if (count > MAX_OBJECTS) return undefined;
  try {
    const entries = readEntries(bytes.subarray(0, end), { count, idBytes: bytes.length - end });
    return entries && resolve(entries, algorithm);
  } catch {
    // zlib, or a number outside the buffer.
    return undefined;
  }
}

interface Entry {
  readonly offset: number;
  readonly code: number;
  /** For a delta: the offset of its base in the pack, or the id of its base. */
  readonly base: number | string | undefined;
  readonly data: Buffer;
}

function readEntries(
  bytes: Buffer,
  { count, idBytes }: { readonly count: number; readonly idBytes: number },
): readonly Entry[] | undefined {
  const entries: Entry[] = [];
  let total = 0;
  let at = HEADER_BYTES;
  for (let index = 0; index < count; index += 1) {
    const offset = at;
    let byte = bytes.readUInt8(at++);
    const code = (byte >> 4) & 7;
    let size = byte & 15;
    for (let factor = 16; byte >= 128; factor *= 128) {
      byte = bytes.readUInt8(at++);
      size += (byte & 127) * factor;
    }
    let base: Entry['base'];
    if (code === OFFSET_DELTA) {
      byte = bytes.readUInt8(at++);
      let distance = byte & 127;
      while (byte >= 128) {
        byte = bytes.readUInt8(at++);
        distance = (distance + 1) * 128 + (byte & 127);
      }
      base = offset - distance;
    } else if (code === ID_DELTA) {
      base = bytes.toString('hex', at, at + idBytes);
      at += idBytes;
    } else if (TYPES[code] === undefined) return undefined;
    total += size;
    if (total > MAX_CONTENT_BYTES) return undefined;
    const { buffer: data, engine } = inflateSync(bytes.subarray(at), {
      info: true,
      maxOutputLength: size + 1,
    }) as unknown as InflateResult;
    if (data.length !== size) return undefined;
    at += engine.bytesWritten;
    entries.push({ offset, code, base, data });
  }
  return at === bytes.length ? entries : undefined;
}

type InflateResult = { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } };

/** Applies deltas until none is left. Each round applies those whose base is known. */
function resolve(entries: readonly Entry[], algorithm: string): readonly GitObject[] | undefined {
  const byOffset = new Map<number, GitObject>();
  const byId = new Map<string, GitObject>();
  let left = entries;
  let total = 0;
  while (left.length > 0) {
    const later: Entry[] = [];
    for (const entry of left) {
      const { base, code, data, offset } = entry;
      const found = typeof base === 'string' ? byId.get(base) : base === undefined ? undefined : byOffset.get(base);
      if (base !== undefined && !found) {
        later.push(entry);
        continue;
      }
      const type = found?.type ?? TYPES[code] ?? 'blob';
      const content = found ? applyDelta(found.content, data, MAX_CONTENT_BYTES - total) : data;
      if (!content) return undefined;
      total += content.length;
      const object = { id: toId(type, content, algorithm), type, content };
      byOffset.set(offset, object);
      byId.set(object.id, object);
    }
    if (later.length === left.length) return undefined;
    left = later;
  }
  return [...byId.values()];
}

/** Applies a delta: two sizes, then instructions that copy from the base or insert bytes. */
function applyDelta(base: Buffer, delta: Buffer, maxBytes: number): Buffer | undefined {
  let at = 0;
  function readSize(): number {
    let size = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = delta.readUInt8(at++);
      size += (byte & 127) * factor;
      if (byte < 128) return size;
    }
  }
  const baseSize = readSize();
  const size = readSize();
  if (baseSize !== base.length || size > maxBytes) return undefined;
  const parts: Buffer[] = [];
  let length = 0;
  while (at < delta.length) {
    const code = delta.readUInt8(at++);
    let part: Buffer;
    if (code >= 128) {
      const read = (bits: number): number =>
        Array.from({ length: bits }, (_, index) => index).reduce(
          (sum, index) => sum + (code & ((bits === 4 ? 1 : 16) << index) ? delta.readUInt8(at++) * 256 ** index : 0),
          0,
        );
      const from = read(4);
      const bytes = read(3) || 0x10000;
      part = base.subarray(from, from + bytes);
      if (part.length !== bytes) return undefined;
    } else {
      part = delta.subarray(at, at + code);
      if (code === 0 || part.length !== code) return undefined;
      at += code;
    }
    parts.push(part);
    length += part.length;
    if (length > size) return undefined;
  }
  return length === size ? Buffer.concat(parts) : undefined;
}

function frame(type: ObjectType, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content]);
}

function toId(type: ObjectType, content: Buffer, algorithm: string): string {
  return createHash(algorithm).update(frame(type, content)).digest('hex');
}

/** Makes the file of a loose object. */
export function toLooseFile({ type, content }: GitObject): Buffer {
  return deflateSync(frame(type, content));
}

/** Lists the parents of a commit. */
export function parentsOf({ content }: GitObject): readonly string[] {
  const [head = ''] = content.toString('latin1').split('\n\n', 1);
  return [...head.matchAll(/^parent ([0-9a-f]+)$/gm)].map(([, id = '']) => id);
}

/** Returns whether a tree has a submodule. */
export function hasSubmodule({ content }: GitObject): boolean {
  return content.includes('160000 ', 0, 'latin1');
}

/** Returns whether a tree has git attributes. */
export function hasAttributes({ content }: GitObject): boolean {
  return content.includes(' .gitattributes\0', 0, 'latin1');
}
