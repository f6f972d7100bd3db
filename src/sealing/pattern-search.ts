/** Finds many byte strings in one pass. */
export interface PatternSearch {
  /**
   * Calls `visit` for the longest pattern at each offset where one starts, in order of the offsets. Matches can
   * overlap.
   */
  eachMatch(bytes: Buffer, visit: (start: number, end: number) => void): void;
  /**
   * Returns the first offset at which `bytes` may end with the start of a pattern, or the length of `bytes` if there
   * is none.
   */
  findOpenEnd(bytes: Buffer): number;
}

/**
 * Bytes in one block of the skip table. Three distinguish base64 and hex texts better than two. Four would gain
 * little.
 */
const BLOCK_BYTES = 3;
/** Size of the skip table. The hash of a block has 16 bits. */
const HASHES = 0x1_0000;

/**
 * Combines two methods. The skip table of Wu and Manber ("A fast algorithm for multi-pattern searching", 1994) says
 * how far the search may skip. Where it may not skip, a binary search in the sorted patterns decides.
 *
 * A build has thousands of patterns, and many builds run at the same time. So an Aho–Corasick automaton takes too
 * much memory: 10 bytes for each byte of a pattern, where this takes one. A tenant chooses the patterns and the text.
 * So buckets by hash, or a radix tree, are too slow in the worst case (A12): here each offset of a text costs at most
 * about as many reads as the longest pattern has bytes.
 *
 * @param patterns Latin-1, a character for each byte; each at least 3 and at most 250 bytes long, no two equal
 */
export function createPatternSearch(patterns: readonly string[]): PatternSearch {
  const sorted = new SortedPatterns(patterns);
  const longest = patterns.reduce((most, { length }) => Math.max(most, length), 0);
  /** The width of the window that skips. Without patterns it is wider than any text. */
  const width = patterns.reduce((least, { length }) => Math.min(least, length), Infinity);
  const skips = createSkips(patterns, width);
  return {
    eachMatch(bytes, visit): void {
      for (let start = 0; start + width <= bytes.length;) {
        const skip = skips[hashBlock(bytes, start + width - BLOCK_BYTES)] ?? 1;
        if (skip > 0) {
          start += skip;
          continue;
        }
        const length = sorted.findLongest(bytes, start);
        if (length > 0) visit(start, start + length);
        start += 1;
      }
    },
    findOpenEnd(bytes): number {
      for (let start = Math.max(0, bytes.length - longest + 1); start < bytes.length; start += 1) {
        // The patterns that start with the rest of the text, and go on, follow it directly in the order.
        if (sorted.find(bytes, start).sharedAfter === bytes.length - start) return start;
      }
      return bytes.length;
    },
  };
}

/**
 * Creates a table from a block's hash to how far a window that ends with the block may skip: 0 if a pattern may start
 * where it does.
 */
function createSkips(patterns: readonly string[], width: number): Uint8Array {
  const lastBlock = patterns.length === 0 ? 0 : width - BLOCK_BYTES;
  const skips = new Uint8Array(HASHES).fill(lastBlock + 1);
  for (const pattern of patterns) {
    const bytes = Buffer.from(pattern, 'latin1');
    for (let at = 0; at <= lastBlock; at += 1) {
      const hash = hashBlock(bytes, at);
      skips[hash] = Math.min(skips[hash] ?? 0, lastBlock - at);
    }
  }
  return skips;
}

function hashBlock(bytes: Buffer, at: number): number {
  return (((bytes[at] ?? 0) << 10) ^ ((bytes[at + 1] ?? 0) << 5) ^ (bytes[at + 2] ?? 0)) & (HASHES - 1);
}

/** Where a text belongs among the patterns. */
interface Position {
  /** The first pattern that sorts after the text, or the number of patterns. */
  readonly index: number;
  /** Bytes that the text shares with the pattern before `index`, at their starts. */
  readonly sharedBefore: number;
  /** The same with the pattern at `index`. */
  readonly sharedAfter: number;
}

/** The patterns in order, in a few arrays: a string for each would take ten times the memory. */
class SortedPatterns {
  readonly #count: number;
  /** The patterns, one after the other. */
  readonly #bytes: Buffer;
  /** Where each pattern starts in them, and the last one ends. */
  readonly #starts: Uint32Array;
  /** The bytes that each pattern shares with the two between which a binary search comes upon it. */
  readonly #shared: { readonly before: Uint8Array; readonly after: Uint8Array };
  /** For each pattern the longest other one that it starts with, or -1. */
  readonly #prefix: Int32Array;

  constructor(patterns: readonly string[]) {
    // The order of UTF-16 units is the order of the bytes.
    const sorted = patterns.toSorted((a, b) => (a < b ? -1 : 1));
    this.#count = sorted.length;
    this.#starts = new Uint32Array(sorted.length + 1);
    for (const [index, { length }] of sorted.entries()) this.#starts[index + 1] = this.#startOf(index) + length;
    this.#bytes = Buffer.allocUnsafeSlow(this.#startOf(sorted.length));
    this.#bytes.write(sorted.join(''), 'latin1');
    this.#shared = { before: new Uint8Array(sorted.length), after: new Uint8Array(sorted.length) };
    this.#fillShared(0, sorted.length);
    this.#prefix = new Int32Array(sorted.length).fill(-1);
    for (let index = 1; index < sorted.length; index += 1) {
      this.#prefix[index] = this.#findPrefix(index - 1, this.#countShared(index - 1, index));
    }
  }

  /** Returns the length of the longest pattern that starts at an offset, or 0. */
  findLongest(bytes: Buffer, start: number): number {
    const { index, sharedBefore } = this.find(bytes, start);
    // Every pattern there is the one that sorts last before the text, or a prefix of that one.
    const found = this.#findPrefix(index - 1, sharedBefore);
    return found < 0 ? 0 : this.#lengthOf(found);
  }

  /** Finds the position of what `bytes` has from `start` on, by binary search. */
  find(bytes: Buffer, start: number): Position {
    let [low, high, sharedBefore, sharedAfter] = [0, this.#count, 0, 0];
    while (low < high) {
      const middle = (low + high) >> 1;
      // The text shares most with one of the two patterns around the range, and `alike` is what the middle shares
      // with that one. If these two numbers differ, they decide, and the text is not read again (Manber and Myers,
      // "Suffix arrays", 1993).
      const isNearerBefore = sharedBefore >= sharedAfter;
      const known = isNearerBefore ? sharedBefore : sharedAfter;
      const alike = (isNearerBefore ? this.#shared.before[middle] : this.#shared.after[middle]) ?? 0;
      const shared = alike === known ? this.#extendShared(middle, bytes, start, known) : Math.min(alike, known);
      const sortsAfter =
        alike === known ? this.#isAfter(middle, bytes, start, shared) : isNearerBefore ? alike < known : alike > known;
      if (sortsAfter) [high, sharedAfter] = [middle, shared];
      else [low, sharedBefore] = [middle + 1, shared];
    }
    return { index: low, sharedBefore, sharedAfter };
  }

  /** Returns a pattern, or the longest of its prefixes, that has at most `length` bytes; -1 if there is none. */
  #findPrefix(pattern: number, length: number): number {
    let found = pattern;
    while (found >= 0 && this.#lengthOf(found) > length) found = this.#prefix[found] ?? -1;
    return found;
  }

  /**
   * Counts on from `known` shared bytes. Most texts differ at once: a loop is several times faster than
   * Buffer.compare.
   */
  #extendShared(pattern: number, bytes: Buffer, start: number, known: number): number {
    const begin = this.#startOf(pattern);
    const limit = Math.min(this.#lengthOf(pattern), bytes.length - start);
    let shared = known;
    while (shared < limit && this.#bytes[begin + shared] === bytes[start + shared]) shared += 1;
    return shared;
  }

  /** Returns whether a pattern sorts after a text with which it shares its first `shared` bytes. */
  #isAfter(pattern: number, bytes: Buffer, start: number, shared: number): boolean {
    if (shared === this.#lengthOf(pattern)) return false;
    if (start + shared === bytes.length) return true;
    return (this.#bytes[this.#startOf(pattern) + shared] ?? 0) > (bytes[start + shared] ?? 0);
  }

  /** Fills `#shared` for the range of a binary search. */
  #fillShared(low: number, high: number): void {
    if (low >= high) return;
    const middle = (low + high) >> 1;
    this.#shared.before[middle] = this.#countShared(low - 1, middle);
    this.#shared.after[middle] = this.#countShared(middle, high);
    this.#fillShared(low, middle);
    this.#fillShared(middle + 1, high);
  }

  #countShared(one: number, other: number): number {
    if (one < 0 || other === this.#count) return 0;
    return this.#extendShared(one, this.#bytes.subarray(0, this.#startOf(other + 1)), this.#startOf(other), 0);
  }

  #startOf(pattern: number): number {
    return this.#starts[pattern] ?? 0;
  }

  #lengthOf(pattern: number): number {
    return this.#startOf(pattern + 1) - this.#startOf(pattern);
  }
}
