/** Each rule writes some characters of a text in another way. Rules that find nothing return the text itself. */
type Rule = (text: string) => string;

const prefix =
  (found: RegExp): Rule =>
  (text) =>
    text.replace(found, '\\$&');

/**
 * How shells write a text that must be quoted, in `set -x`, `export -p`, `declare -p`, `printf %q` and `${A@Q}`.
 * Compared with bash 5.2, dash 0.5.12 and busybox 1.35; zsh and ksh from their sources.
 */
const SHELL: readonly Rule[] = [
  (text) => withoutOuterQuotes(text.replaceAll("'", String.raw`'\''`)),
  // dash and busybox
  (text) => withoutOuterQuotes(text.replace(/'+/g, `'"$&"'`)),
  prefix(/["\\$`]/g),
  // bash, zsh
  prefix(/[\s'"\\|&;()<>!{}*[\]?^$`,]|^#|(?<![^:=])~/g),
  prefix(/[\s'"\\|&;()<>!{}*[\]?^$`~#]|^=/g),
];

/** Where the text itself begins or ends with a quote, some shells leave out the empty quotes around it. */
function withoutOuterQuotes(spelling: string): string {
  return spelling.replace(/^'(?=[\\"])|(?<=['"])'$/g, '');
}

/** Quotes that are doubled (YAML, SQL, CSV, PowerShell), and quotes after a backslash where a newline stays (PHP, TOML). */
const DOUBLED: readonly Rule[] = [
  (text) => text.replaceAll("'", "''"),
  (text) => text.replaceAll('"', '""'),
  prefix(/['\\]/g),
  prefix(/["\\]/g),
];

const CONTROL_LETTERS: Readonly<Record<string, string>> = {
  '\u0007': 'a',
  '\b': 'b',
  '\t': 't',
  '\n': 'n',
  '\v': 'v',
  '\f': 'f',
  '\r': 'r',
};

const hex = (unit: number, width: number): string => unit.toString(16).padStart(width, '0');
const octal = (unit: number): string => `\\${unit.toString(8).padStart(3, '0')}`;
const eachByte = (character: string, write: (byte: number) => string): string =>
  [...Buffer.from(character)].map(write).join('');

/** Writes a control character without a letter, and one outside ASCII. */
interface Escapes {
  readonly control: (code: number) => string;
  readonly other: (character: string, code: number) => string;
}

const asIs = (character: string): string => character;

const toHexEscape = (code: number): string => `\\x${hex(code, 2)}`;

/** Python's `ascii` and PyYAML. */
function toShortEscape(_character: string, code: number): string {
  if (code < 0x100) return toHexEscape(code);
  return code < 0x1_0000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

/** Go's `%+q`. */
function toWideEscape(_character: string, code: number): string {
  return code < 0x1_0000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

/** `$'…'` of shells, C, Go, Python, Ruby, JavaScript, YAML. */
const ESCAPES: readonly Escapes[] = [
  { control: toHexEscape, other: asIs },
  { control: toHexEscape, other: toShortEscape },
  { control: toHexEscape, other: toWideEscape },
  { control: toHexEscape, other: (character) => eachByte(character, toHexEscape) },
  { control: (code) => (code === 0x1b ? '\\E' : octal(code)), other: asIs },
  // bash without a locale
  {
    control: (code) => (code === 0x1b ? '\\E' : octal(code)),
    other: (character) => eachByte(character, octal),
  },
];

function escape(text: string, quote: string, { control, other }: Escapes): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is escaped
  return text.replace(/[\u0000-\u001f\u007f\\'"]|[^\0-\u007f]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    const letter = CONTROL_LETTERS[character];
    if (letter !== undefined) return `\\${letter}`;
    if (character === '\\' || character === quote) return `\\${character}`;
    if (character === "'" || character === '"') return character;
    return code < 0x80 ? control(code) : other(character, code);
  });
}

/** Entities of XML and HTML, as encoders write them; `&` first. */
const ENTITIES: readonly Readonly<Record<string, string>>[] = [
  {},
  { '"': '&quot;' },
  { "'": '&#39;' },
  { '"': '&quot;', "'": '&#39;' },
  { '"': '&quot;', "'": '&#039;' },
  { '"': '&quot;', "'": '&apos;' },
  { '"': '&quot;', "'": '&#x27;' },
  { '"': '&#34;', "'": '&#39;' },
  { '"': '&quot;', "'": '&#x27;', '`': '&#x60;', '=': '&#x3D;' },
  { '"': '&quot;', "'": '&#39;', '/': '&#x2F;', '`': '&#x60;', '=': '&#x3D;' },
  { '"': '&quot;', '\n': '&#10;', '\t': '&#9;', '\r': '&#13;' },
  { '"': '&quot;', '\n': '&#xA;', '\t': '&#x9;', '\r': '&#xD;' },
];
const MARKUP: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

function toEntities(text: string): string[] {
  const named = ENTITIES.map((entities) =>
    text.replace(/[&<>"'`=/\n\t\r]/g, (character) => MARKUP[character] ?? entities[character] ?? character),
  );
  const numbered = (write: (code: number) => string): string[] =>
    named.map((each) => each.replace(/[^\0-\u007f]/gu, (character) => write(character.codePointAt(0) ?? 0)));
  return [...named, ...numbered((code) => `&#${code};`), ...numbered((code) => `&#x${hex(code, 1)};`)];
}

/**
 * Returns how shells, languages and formats write a text between quotes, or without quotes when it needs some. JSON and
 * URLs are not among them. The text itself, and spellings that are equal, can be too.
 */
export function toQuoted(text: string): string[] {
  const escaped = ['', "'", '"'].flatMap((quote) => ESCAPES.map((escapes) => escape(text, quote, escapes)));
  const upper = escaped.map((each) => each.replace(/\\x[0-9a-f]{2}/g, (found) => `\\x${found.slice(2).toUpperCase()}`));
  const rules = [...SHELL, ...DOUBLED].map((rule) => rule(text));
  // Ruby
  const ruby = escaped.map((each) => each.replace(/#(?=[{$@])/g, '\\#'));
  return [...new Set([...rules, ...escaped, ...upper, ...ruby, ...toEntities(text)])];
}
