/**
 * Of one body: objects, lists and their members. A million empty ones, three bytes each, would take a second to be parsed. The largest
 * push that GitHub sends, 5 MiB of commits with the paths that each has changed, has some 130,000.
 */
const MAX_VALUES = 200_000;
/** What forges send is nested less than ten deep. */
const MAX_DEPTH = 64;

/**
 * What is too much in a text to be parsed as JSON: `has more than 200000 values`. It is told by its marks alone, in a time that the
 * length of the text bounds; whether it is JSON is not looked at.
 */
export function findExcess(json: string): string | undefined {
  let values = 0;
  let depth = 0;
  for (let at = 0; at < json.length; at += 1) {
    switch (json.charCodeAt(at)) {
      case QUOTE:
        at = findStringEnd(json, at);
        continue;
      case BRACKET:
      case BRACE:
        values += 1;
        depth += 1;
        break;
      case COMMA:
        values += 1;
        break;
      case BRACKET_END:
      case BRACE_END:
        depth -= 1;
        continue;
      default:
        continue;
    }
    if (values > MAX_VALUES) return `has more than ${MAX_VALUES} values`;
    if (depth > MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels`;
  }
  return undefined;
}

/** Of its closing quote; the length of the text where there is none. */
function findStringEnd(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json.charCodeAt(at) !== QUOTE) at += json.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const BRACKET_END = 0x5d;
const BRACE = 0x7b;
const BRACE_END = 0x7d;
