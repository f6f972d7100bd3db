/** Shorter secrets are not masked: they occur by chance, and masking them would show where. In characters. */
const MIN_MASKED_CHARACTERS = 8;

/**
 * Longest needle. A longer spelling is looked for in pieces of this length: all of it is hidden where it stands whole, and
 * long pieces of a key are hidden by themselves. It bounds what a live log holds back, and what a place in it costs.
 */
export const MAX_NEEDLE_BYTES = 64;

/**
 * The byte strings that hide secrets, each 8 to 64 bytes long, none twice; Latin-1, a character for each byte.
 *
 * @returns undefined when the spellings they are cut from are more than `maxLength` characters together: of a secret that repeats
 *   itself there are few needles, and as much work
 */
export function toNeedles(secrets: readonly string[], maxLength: number): string[] | undefined {
  const needles = new Set<string>();
  let length = 0;
  for (const part of new Set(secrets.flatMap(toParts))) {
    for (const spelling of toSpellings(part)) {
      length += spelling.length;
      if (length > maxLength) return undefined;
      for (const needle of cutNeedles(spelling)) needles.add(needle);
    }
  }
  return [...needles];
}

/** The secret and its lines, without the white space around these, as far as they are long enough. */
function toParts(secret: string): string[] {
  const lines = secret.split(/\r\n|\r|\n/).map((line) => line.trim());
  return [secret, ...lines].filter((part) => part.length >= MIN_MASKED_CHARACTERS);
}

/**
 * Every spelling under which a text is looked for: as it is; of both base64 (at each of the three places it may begin within a
 * group, with and without more after it, and in lines), hex (and in lines), URL-encoded and JSON-escaped. None twice.
 */
export function toSpellings(text: string): string[] {
  return [...new Set([text, ...toBase64(text), ...toHex(text), ...toUrl(text), ...toJson(text)])];
}

/** Pieces that follow each other without a gap; the last one reaches back, so that none is short. */
function cutNeedles(spelling: string): string[] {
  const bytes = Buffer.from(spelling).toString('latin1');
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += MAX_NEEDLE_BYTES) {
    const start = Math.max(0, Math.min(at, bytes.length - MAX_NEEDLE_BYTES));
    pieces.push(bytes.slice(start, start + MAX_NEEDLE_BYTES));
  }
  return pieces;
}

/** Characters of a line that `base64` writes, one that `openssl base64` does, and one of `xxd -p`. */
const BASE64_LINES = [76, 64] as const;
const HEX_LINE = 60;

/** The lines of what is encoded by itself, as far as they are long enough. */
function toLines(encoded: string, width: number): string[] {
  const lines = Array.from({ length: Math.ceil(encoded.length / width) }, (_, at) =>
    encoded.slice(at * width, (at + 1) * width),
  );
  return lines.filter(({ length }) => length >= MIN_MASKED_CHARACTERS);
}

/** Bytes before the secret that do not fill a group of three, and the characters that such bytes have a part in. */
const BASE64_PLACES = [
  { bytesBefore: 0, charactersBefore: 0 },
  { bytesBefore: 1, charactersBefore: 2 },
  { bytesBefore: 2, charactersBefore: 3 },
] as const;

function toBase64(text: string): string[] {
  const needles = BASE64_PLACES.flatMap(({ bytesBefore, charactersBefore }) => {
    const bytes = Buffer.concat([Buffer.alloc(bytesBefore), Buffer.from(text)]);
    // At the end of the encoded data the last character is made of the secret alone, elsewhere of what follows as well.
    const atEnd = bytes
      .toString('base64')
      .replace(/={1,2}$/, '')
      .slice(charactersBefore);
    const inside = atEnd.slice(0, Math.floor((bytes.length * 8) / 6) - charactersBefore);
    return [atEnd, inside].flatMap((needle) => [needle, needle.replaceAll('+', '-').replaceAll('/', '_')]);
  });
  // Those of the secret by itself, and with a line's end after it.
  const alone = [needles[0] ?? '', needles[2] ?? ''];
  return [...needles, ...BASE64_LINES.flatMap((width) => alone.flatMap((encoded) => toLines(encoded, width)))];
}

function toHex(text: string): string[] {
  const hex = Buffer.from(text).toString('hex');
  return [hex, ...toLines(hex, HEX_LINE)].flatMap((spelling) => [spelling, spelling.toUpperCase()]);
}

/** What encoders leave as it is, besides letters, digits and `-_.`. */
const URL_KEPT = [
  "!~*'()", // encodeURIComponent
  '~', // RFC 3986
  '', // an HTML form has "*" for that
  '*',
  '~/', // Python's quote
  "!~*'();/?:@&=+$,#", // encodeURI
  '~$&+=:@', // Go's PathEscape
  '~$&+,;=', // Go's user info
  "~!$%&'()*+,", // the WHATWG's user info
] as const;

function toUrl(text: string): string[] {
  const bytes = Buffer.from(text.toWellFormed()).toString('latin1');
  // Encoders of whom this text has no character are the same.
  const kinds = new Set(
    URL_KEPT.map((kept) => kept.replace(/./g, (character) => (bytes.includes(character) ? character : ''))),
  );
  const encoded = [...kinds].map((kept) => encodePercent(bytes, kept));
  // A form, and the query of some libraries, has a plus sign for a blank.
  const all = new Set([...encoded, ...encoded.map((url) => url.replaceAll('%20', '+'))]);
  return [...all].flatMap((needle) => [needle, needle.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase())]);
}

function encodePercent(bytes: string, kept: string): string {
  return bytes.replace(/[^A-Za-z0-9\-_.]/g, (byte) =>
    kept.includes(byte) ? byte : `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

/** Characters that encoders of JSON escape though they need not: Go and kubectl, Gson, .NET; PHP has a way of its own for "/". */
const JSON_ESCAPED = [/[<>&]/g, /[<>&='\u2028\u2029]/g, /[<>&'+`\u007F]|\\"/g] as const;

function toJson(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  // Each once, before more is made of it: most texts need few of these escapes.
  const plain = new Set([
    json,
    ...JSON_ESCAPED.map((escaped) => json.replace(escaped, (found) => toUnicodeEscape(found.at(-1)))),
  ]);
  const ascii = [...plain].map((spelling) => spelling.replace(/[^\0-\u007F]/g, toUnicodeEscape));
  const all = new Set([...plain, ...ascii]);
  const slashed = [...all].map((spelling) => spelling.replaceAll('/', '\\/'));
  return [...new Set([...all, ...slashed])].flatMap((spelling) => [
    spelling,
    spelling.replace(/\\u[0-9a-f]{4}/g, (escape) => `\\u${escape.slice(2).toUpperCase()}`),
  ]);
}

function toUnicodeEscape(unit = ''): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
