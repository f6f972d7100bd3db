/** Finds many byte strings in one pass. */
export interface NeedleIndex {
  /** Calls `visit` for the longest needle at each place where one stands, by rising start; occurrences may overlap. */
  eachOccurrence(bytes: Buffer, visit: (start: number, end: number) => void): void;
  /** The first place from which `bytes` runs out within a needle; its length when there is none. */
  findOpenEnd(bytes: Buffer): number;
}

/** Bytes that are looked at together. Three tell base64 and hex texts apart better than two; four would gain little. */
const BLOCK_BYTES = 3;

/** Size of the table: a hash of a block is 16 bits wide. */
const HASHES = 0x1_0000;

/**
 * The search of Wu and Manber ("A fast algorithm for multi-pattern searching", 1994): a table tells, for the last block of a
 * window as wide as the shortest needle, how far the window may jump. A build has some hundred needles (each secret in a
 * dozen spellings, each line of a key); one `indexOf` for each would read the log as often.
 *
 * Where no jump is possible, a binary search in the sorted needles decides. Lists by hash would be a little faster, until a
 * tenant chooses secrets that all fall into one of them.
 *
 * @param needles Latin-1, a character for each byte; each at least 3 and at most 250 bytes long, none twice
 */
export function createNeedleIndex(needles: readonly string[]): NeedleIndex {
  const sorted = createSortedNeedles(needles);
  const { count } = sorted;
  const lengths = Array.from({ length: count }, (_, at) => sorted.lengthOf(at));
  const width = lengths.reduce((least, length) => Math.min(least, length), Infinity);
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  const shifts = toShifts(sorted, width);
  const shorter = linkShorter(sorted);

  const eachOccurrence: NeedleIndex['eachOccurrence'] = (bytes, visit) => {
    const last = count === 0 ? -1 : bytes.length - width;
    for (let start = 0; start <= last;) {
      const shift = shifts[hashBlock(bytes, start + width - BLOCK_BYTES)] ?? 1;
      if (shift > 0) {
        start += shift;
        continue;
      }
      // Every needle that stands here is the one that sorts last before the text, or the beginning of that one.
      const next = sorted.findNext(bytes, start);
      let at = next.at - 1;
      while (at >= 0 && sorted.lengthOf(at) > next.commonBefore) at = shorter[at] ?? -1;
      if (at >= 0) visit(start, start + sorted.lengthOf(at));
      start += 1;
    }
  };

  const findOpenEnd: NeedleIndex['findOpenEnd'] = (bytes) => {
    for (let start = Math.max(0, bytes.length - longest + 1); start < bytes.length; start += 1) {
      // Needles that begin with the rest and go on sort right after it.
      if (sorted.findNext(bytes, start).commonAfter === bytes.length - start) return start;
    }
    return bytes.length;
  };

  return { eachOccurrence, findOpenEnd };
}

/** Needles in order, in memory of their own: an object for each would take ten times as much. */
interface SortedNeedles {
  readonly count: number;
  lengthOf(at: number): number;
  byteOf(at: number, place: number): number;
  /** How many bytes two needles have in common. */
  countShared(one: number, other: number): number;
  /**
   * The first needle that sorts after what stands in `bytes` from `start`, or the count; and how many bytes that has in common with
   * the needle before the place, and with the one at it.
   */
  findNext(bytes: Buffer, start: number): { at: number; commonBefore: number; commonAfter: number };
}

function createSortedNeedles(needles: readonly string[]): SortedNeedles {
  // The order of UTF-16 units is that of the bytes.
  const texts = needles.toSorted((one, other) => (one < other ? -1 : 1));
  const all = Buffer.allocUnsafeSlow(texts.reduce((sum, { length }) => sum + length, 0));
  const starts = new Uint32Array(texts.length + 1);
  for (const [at, text] of texts.entries()) {
    const start = starts[at] ?? 0;
    starts[at + 1] = start + all.write(text, start, 'latin1');
  }
  const count = texts.length;
  const startOf = (at: number): number => starts[at] ?? 0;
  const lengthOf = (at: number): number => startOf(at + 1) - startOf(at);

  /** From `known` on, which are the same. Most differ at once, where a loop is several times faster than Buffer.compare. */
  function countCommon(at: number, bytes: Buffer, start: number, known: number): number {
    const begin = startOf(at);
    const limit = Math.min(lengthOf(at), bytes.length - start);
    let common = known;
    while (common < limit && all[begin + common] === bytes[start + common]) common += 1;
    return common;
  }

  /** Whether a needle sorts after a text with which it has so much in common. */
  function isAfter(at: number, bytes: Buffer, start: number, common: number): boolean {
    if (common === lengthOf(at)) return false;
    if (start + common === bytes.length) return true;
    return (all[startOf(at) + common] ?? 0) > (bytes[start + common] ?? 0);
  }

  const countShared = (one: number, other: number): number =>
    one < 0 || other === count ? 0 : countCommon(one, all.subarray(0, startOf(other + 1)), startOf(other), 0);
  const shared = toShared(count, countShared);

  return {
    count,
    lengthOf,
    byteOf: (at, place) => all[startOf(at) + place] ?? 0,
    countShared,
    findNext(bytes, start) {
      let [low, high, commonBefore, commonAfter] = [0, count, 0, 0];
      while (low < high) {
        const middle = (low + high) >> 1;
        const isNearerBefore = commonBefore >= commonAfter;
        const known = isNearerBefore ? commonBefore : commonAfter;
        const alike = (isNearerBefore ? shared.before[middle] : shared.after[middle]) ?? 0;
        // Where it parts from that needle elsewhere than the text does, this says all: the text need not be read again.
        const common = alike === known ? countCommon(middle, bytes, start, known) : Math.min(alike, known);
        const sortsAfter =
          alike === known ? isAfter(middle, bytes, start, common) : isNearerBefore ? alike < known : alike > known;
        if (sortsAfter) [high, commonAfter] = [middle, common];
        else [low, commonBefore] = [middle + 1, common];
      }
      return { at: low, commonBefore, commonAfter };
    },
  };
}

/**
 * For each needle how much it shares with the two between which a binary search comes upon it: so the search reads a text once, however
 * alike needles begin (Manber and Myers, "Suffix arrays", 1993).
 */
function toShared(
  count: number,
  countShared: (one: number, other: number) => number,
): { readonly before: Uint8Array; readonly after: Uint8Array } {
  const [before, after] = [new Uint8Array(count), new Uint8Array(count)];
  function fill(low: number, high: number): void {
    if (low >= high) return;
    const middle = (low + high) >> 1;
    before[middle] = countShared(low - 1, middle);
    after[middle] = countShared(middle, high);
    fill(low, middle);
    fill(middle + 1, high);
  }
  fill(0, count);
  return { before, after };
}

/** How far the window may jump when it ends with a block: 0 when a needle's window may end here. */
function toShifts({ count, byteOf }: SortedNeedles, width: number): Uint8Array {
  if (count === 0) return new Uint8Array(HASHES).fill(1);
  const lastBlock = width - BLOCK_BYTES;
  const shifts = new Uint8Array(HASHES).fill(lastBlock + 1);
  for (let needle = 0; needle < count; needle += 1) {
    for (let at = 0; at <= lastBlock; at += 1) {
      const block = toHash(byteOf(needle, at), byteOf(needle, at + 1), byteOf(needle, at + 2));
      shifts[block] = Math.min(shifts[block] ?? 0, lastBlock - at);
    }
  }
  return shifts;
}

/** For each needle the place of the longest other one that it begins with, or -1. Those sort before it, the nearest last. */
function linkShorter({ count, lengthOf, countShared }: SortedNeedles): Int32Array {
  const links = new Int32Array(count).fill(-1);
  for (let needle = 1; needle < count; needle += 1) {
    // What it has in common with one that the needle before it begins with, it has in common with that needle.
    const common = countShared(needle - 1, needle);
    let at = needle - 1;
    while (at >= 0 && lengthOf(at) > common) at = links[at] ?? -1;
    links[needle] = at;
  }
  return links;
}

function hashBlock(bytes: Buffer, at: number): number {
  return toHash(bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0);
}

function toHash(first: number, second: number, third: number): number {
  return ((first << 10) ^ (second << 5) ^ third) & (HASHES - 1);
}
