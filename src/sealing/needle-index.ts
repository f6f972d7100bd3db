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
 * @param needles each at least 3 and at most 250 bytes long, none twice
 */
export function createNeedleIndex(needles: readonly Buffer[]): NeedleIndex {
  const sorted = gather([...needles].sort((a, b) => a.compare(b)));
  const lengths = sorted.map((needle) => needle.length);
  const width = Math.min(...lengths);
  const longest = Math.max(...lengths);
  const shifts = toShifts(sorted, width);
  const shorter = linkShorter(sorted);

  /** How many needles sort before, or are, what stands in `bytes` from `start`. */
  const countUpTo = (bytes: Buffer, start: number): number => {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (!isAfter(sorted[middle], bytes, start)) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  const eachOccurrence: NeedleIndex['eachOccurrence'] = (bytes, visit) => {
    const last = sorted.length === 0 ? -1 : bytes.length - width;
    for (let start = 0; start <= last;) {
      const shift = shifts[hashBlock(bytes, start + width - BLOCK_BYTES)] ?? 1;
      if (shift > 0) {
        start += shift;
        continue;
      }
      // Every needle that stands here is the one that sorts last before the text, or the beginning of that one.
      let at: number | undefined = countUpTo(bytes, start) - 1;
      while (at !== undefined && !isAt(sorted[at], bytes, start)) at = shorter[at];
      if (at !== undefined) visit(start, start + (lengths[at] ?? 0));
      start += 1;
    }
  };

  const findOpenEnd: NeedleIndex['findOpenEnd'] = (bytes) => {
    for (let start = Math.max(0, bytes.length - longest + 1); start < bytes.length; start += 1) {
      // Needles that begin with the rest and go on sort right after it.
      const next = sorted[countUpTo(bytes, start)];
      if (next && countCommon(next, bytes, start, bytes.length - start) === bytes.length - start) return start;
    }
    return bytes.length;
  };

  return { eachOccurrence, findOpenEnd };
}

/** The same in memory of their own: small buffers are slices of large ones, which they would keep. */
function gather(needles: readonly Buffer[]): Buffer[] {
  const all = Buffer.allocUnsafeSlow(needles.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  return needles.map((needle) => {
    const start = end;
    end += needle.copy(all, start);
    return all.subarray(start, end);
  });
}

/** How far the window may jump when it ends with a block: 0 when a needle's window may end here. */
function toShifts(needles: readonly Buffer[], width: number): Uint8Array {
  const lastBlock = width - BLOCK_BYTES;
  const shifts = new Uint8Array(HASHES).fill(needles.length === 0 ? 1 : lastBlock + 1);
  for (const needle of needles) {
    for (let at = 0; at <= lastBlock; at += 1) {
      const block = hashBlock(needle, at);
      shifts[block] = Math.min(shifts[block] ?? 0, lastBlock - at);
    }
  }
  return shifts;
}

/** For each needle the place of the longest other one that it begins with. Those sort before it, the nearest last. */
function linkShorter(sorted: readonly Buffer[]): (number | undefined)[] {
  const links: (number | undefined)[] = [];
  for (const [index, needle] of sorted.entries()) {
    let at: number | undefined = index === 0 ? undefined : index - 1;
    while (at !== undefined && !isAt(sorted[at], needle, 0)) at = links[at];
    links.push(at);
  }
  return links;
}

function hashBlock(bytes: Buffer, at: number): number {
  return (((bytes[at] ?? 0) << 10) ^ ((bytes[at + 1] ?? 0) << 5) ^ (bytes[at + 2] ?? 0)) & (HASHES - 1);
}

/** Whether a needle sorts after the text that stands in `bytes` from `start` to their end. */
function isAfter(needle: Buffer | undefined, bytes: Buffer, start: number): boolean {
  if (!needle) return false;
  const common = Math.min(needle.length, bytes.length - start);
  const at = countCommon(needle, bytes, start, common);
  return at < common ? (needle[at] ?? 0) > (bytes[start + at] ?? 0) : needle.length > common;
}

function isAt(needle: Buffer | undefined, bytes: Buffer, start: number): boolean {
  if (!needle || start + needle.length > bytes.length) return false;
  return countCommon(needle, bytes, start, needle.length) === needle.length;
}

/** How many bytes are the same. Most differ at once, where a loop is several times faster than a call of Buffer.compare. */
function countCommon(needle: Buffer, bytes: Buffer, start: number, limit: number): number {
  let at = 0;
  while (at < limit && needle[at] === bytes[start + at]) at += 1;
  return at;
}
