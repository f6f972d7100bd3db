/** Shorter secrets are not masked: they occur by chance, and masking them would show where. In characters. */
const MIN_MASKED_CHARACTERS = 8;

/**
 * Longest needle. A longer spelling is looked for in pieces of this length: all of it is hidden where it stands whole, and
 * long pieces of a key are hidden by themselves. It bounds what a live log holds back, and what a place in it costs.
 */
export const MAX_NEEDLE_BYTES = 64;

/** The byte strings that hide secrets, each 8 to 64 bytes long, none twice. */
export function toNeedles(secrets: readonly string[]): Buffer[] {
  const pieces = secrets.flatMap(toSpellings).flatMap((spelling) => cutNeedles(Buffer.from(spelling)));
  return [...new Map(pieces.map((piece) => [piece.toString('latin1'), piece])).values()];
}

/**
 * Every spelling under which a secret is looked for: as it is, and each of its lines; of both base64 (at each of the three
 * places it may begin within a group, with and without more after it), hex, URL-encoded and JSON-escaped.
 *
 * @returns no spelling twice; none for a secret that is too short
 */
export function toSpellings(secret: string): string[] {
  const lines = secret.split(/\r\n|\r|\n/).map((line) => line.trim());
  const parts = [...new Set([secret, ...lines])].filter((part) => part.length >= MIN_MASKED_CHARACTERS);
  return [
    ...new Set(parts.flatMap((part) => [part, ...toBase64(part), ...toHex(part), ...toUrl(part), ...toJson(part)])),
  ];
}

/** Pieces that follow each other without a gap; the last one reaches back, so that none is short. */
function cutNeedles(spelling: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < spelling.length; at += MAX_NEEDLE_BYTES) {
    const start = Math.max(0, Math.min(at, spelling.length - MAX_NEEDLE_BYTES));
    pieces.push(spelling.subarray(start, start + MAX_NEEDLE_BYTES));
  }
  return pieces;
}

/** Bytes before the secret that do not fill a group of three, and the characters that such bytes have a part in. */
const BASE64_PLACES = [
  { bytesBefore: 0, charactersBefore: 0 },
  { bytesBefore: 1, charactersBefore: 2 },
  { bytesBefore: 2, charactersBefore: 3 },
] as const;

function toBase64(text: string): string[] {
  return BASE64_PLACES.flatMap(({ bytesBefore, charactersBefore }) => {
    const bytes = Buffer.concat([Buffer.alloc(bytesBefore), Buffer.from(text)]);
    // At the end of the encoded data the last character is made of the secret alone, elsewhere of what follows as well.
    const atEnd = bytes.toString('base64').replace(/=+$/, '').slice(charactersBefore);
    const inside = atEnd.slice(0, Math.floor((bytes.length * 8) / 6) - charactersBefore);
    return [atEnd, inside].flatMap((needle) => [needle, needle.replaceAll('+', '-').replaceAll('/', '_')]);
  });
}

function toHex(text: string): string[] {
  const hex = Buffer.from(text).toString('hex');
  return [hex, hex.toUpperCase()];
}

function toUrl(text: string): string[] {
  const component = encodeURIComponent(text.toWellFormed());
  const strict = component.replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  const form = new URLSearchParams({ '': text }).toString().slice(1);
  return [component, strict, form].flatMap((needle) => [
    needle,
    needle.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()),
  ]);
}

function toJson(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  // Go's encoding/json, and with it kubectl, escapes three characters more.
  const go = json.replace(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
  return [json, go];
}
