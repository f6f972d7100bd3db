/**
 * How a text becomes the bytes that are sealed. A hook's URL has few characters to spare (see {@link ./hook.ts}), and an
 * access token is nearly always of base64url's alphabet, six bits a character: such a text is *decoded*, so that its
 * ciphertext, encoded again, is about as long as the text and not a third longer.
 *
 * The six highest bits of the first byte tell the form:
 * - 0: the byte is 0x00, and UTF-8 follows;
 * - 1…4: the bytes are base64url's decoding of a filler and the text. The filler is that many characters long and makes the
 *   whole a multiple of four: `B`, `CA`, `DAA` or `EAAA`.
 */
const FILLERS = ['B', 'CA', 'DAA', 'EAAA'] as const;

/** @param text well-formed Unicode (no lone surrogates) */
export function pack(text: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return Buffer.concat([Buffer.of(0), Buffer.from(text)]);
  const filler = FILLERS[3 - (text.length % 4)] ?? '';
  return Buffer.from(filler + text, 'base64url');
}

/** @throws {RangeError | TypeError} when {@link pack} does not make such bytes */
export function unpack(bytes: Uint8Array): string {
  const form = (bytes[0] ?? 0xff) >> 2;
  if (bytes[0] === 0) return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(1));
  const filler = FILLERS[form - 1];
  const text = Buffer.from(bytes).toString('base64url');
  if (filler === undefined || bytes.length % 3 !== 0 || !text.startsWith(filler) || text === filler) {
    throw new RangeError('Not a packed text');
  }
  return text.slice(filler.length);
}
