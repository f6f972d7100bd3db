import { toQuoted } from './quoting.ts';

/** Characters. Shorter secrets are not masked: they occur by chance, and masks would show where they do. */
export const MIN_MASKED_CHARACTERS = 8;

/**
 * Longest pattern. A longer spelling is cut into patterns of this length. So a whole secret is hidden, and also each
 * long piece of a key. It limits what a live log holds back, and what the search costs at each place.
 */
export const MAX_PATTERN_BYTES = 64;

/**
 * Lists the byte strings to hide, each 8 to 64 bytes long, no two equal; Latin-1, a character for each byte.
 *
 * @returns undefined if all spellings of the secrets together have more than `maxLength` characters. A secret that
 *   repeats itself has few patterns, but costs as much to spell.
 */
export function toPatterns(secrets: readonly string[], maxLength: number): string[] | undefined {
  const patterns = new Set<string>();
  let length = 0;
  for (const part of new Set(secrets.flatMap(toParts))) {
    for (const spelling of toSpellings(part)) {
      length += spelling.length;
      if (length > maxLength) return undefined;
      for (const pattern of cutSpelling(spelling)) patterns.add(pattern);
    }
  }
  return [...patterns];
}

/** Returns the secret and its lines without white space around them, those that are long enough. */
function toParts(secret: string): string[] {
  const lines = secret.split(/\r\n|\r|\n/).map((line) => line.trim());
  return [secret, ...lines].filter((part) => part.length >= MIN_MASKED_CHARACTERS);
}

/**
 * Returns the spellings of a text that are hidden: plain, base64 and base64url (at each of the three places in a
 * group where it may start, at the end and inside of the encoded data, and in lines), hex (also in lines),
 * URL-encoded, JSON-escaped once and twice, and quoted as in shells, languages and XML. No two are equal.
 */
export function toSpellings(text: string): string[] {
  const quoted = [...toJson(text), ...toJsonInJson(text), ...toQuoted(text)];
  return [...new Set([text, ...toBase64(text), ...toHex(text), ...toUrl(text), ...quoted])];
}

/** Cuts a spelling into pieces without a gap. The last one overlaps the one before, so that none is short. */
function cutSpelling(spelling: string): string[] {
  const bytes = Buffer.from(spelling).toString('latin1');
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += MAX_PATTERN_BYTES) {
    const start = Math.max(0, Math.min(at, bytes.length - MAX_PATTERN_BYTES));
    pieces.push(bytes.slice(start, start + MAX_PATTERN_BYTES));
  }
  return pieces;
}

/** Characters in a line of `base64`, of `openssl base64`, and of `xxd -p`. */
const BASE64_LINES = [76, 64] as const;
const HEX_LINE = 60;

/** Returns the lines of an encoded text, those that are long enough. */
function toLines(encoded: string, width: number): string[] {
  const lines = Array.from({ length: Math.ceil(encoded.length / width) }, (_, at) =>
    encoded.slice(at * width, (at + 1) * width),
  );
  return lines.filter(({ length }) => length >= MIN_MASKED_CHARACTERS);
}

function toBase64(text: string): string[] {
  // The secret starts after this number of bytes in a group of three.
  const spellings = [0, 1, 2].flatMap((bytesBefore) => {
    // The characters that depend on the bytes before it.
    const charactersBefore = Math.ceil((bytesBefore * 8) / 6);
    const bytes = Buffer.concat([Buffer.alloc(bytesBefore), Buffer.from(text)]);
    // At the end of the encoded data the last character depends only on the secret, inside of it also on what
    // follows.
    const atEnd = bytes
      .toString('base64')
      .replace(/={1,2}$/, '')
      .slice(charactersBefore);
    const inside = atEnd.slice(0, Math.floor((bytes.length * 8) / 6) - charactersBefore);
    return [atEnd, inside].flatMap((spelling) => [spelling, spelling.replaceAll('+', '-').replaceAll('/', '_')]);
  });
  // The secret alone, and with a newline after it.
  const alone = [spellings[0] ?? '', spellings[2] ?? ''];
  return [...spellings, ...BASE64_LINES.flatMap((width) => alone.flatMap((encoded) => toLines(encoded, width)))];
}

function toHex(text: string): string[] {
  const hex = Buffer.from(text).toString('hex');
  return [hex, ...toLines(hex, HEX_LINE)].flatMap((spelling) => [spelling, spelling.toUpperCase()]);
}

/** Characters that URL encoders do not encode, besides letters, digits and `-_.`. */
const URL_KEPT = [
  "!~*'()", // encodeURIComponent
  '~', // RFC 3986
  '',
  '*', // an HTML form
  '~/', // Python's quote
  "!~*'();/?:@&=+$,#", // encodeURI
  '~$&+=:@', // Go's PathEscape
  '~$&+,;=', // Go's user info
  "~!$%&'()*+,", // the WHATWG's user info
] as const;

function toUrl(text: string): string[] {
  const bytes = Buffer.from(text.toWellFormed()).toString('latin1');
  // Encoders are equal for this text if they differ only in characters that it does not contain.
  const kinds = new Set(
    URL_KEPT.map((kept) => kept.replace(/./g, (character) => (bytes.includes(character) ? character : ''))),
  );
  const encoded = [...kinds].map((kept) => encodePercent(bytes, kept));
  // A form, and the query of some libraries, encode a space as a plus sign.
  const all = new Set([...encoded, ...encoded.map((url) => url.replaceAll('%20', '+'))]);
  return [...all].flatMap((url) => [url, url.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase())]);
}

function encodePercent(bytes: string, kept: string): string {
  return bytes.replace(/[^A-Za-z0-9\-_.]/g, (byte) =>
    kept.includes(byte) ? byte : `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

/** Characters that JSON encoders escape without need: Go and kubectl, Gson, .NET. PHP escapes "/" in its own way. */
const JSON_ESCAPED = [/[<>&]/g, /[<>&='\u2028\u2029]/g, /[<>&'+`\u007F]|\\"/g] as const;

function toJson(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  // A set, since most texts need few of these escapes.
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

/** JSON as a text in JSON: a request that a program logs. */
function toJsonInJson(text: string): string[] {
  const escape = (json: string): string => JSON.stringify(json).slice(1, -1);
  const json = escape(text);
  return json === text ? [] : [escape(json), escape(escape(json))];
}

function toUnicodeEscape(unit = ''): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
