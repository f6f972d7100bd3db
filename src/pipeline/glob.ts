/** A compiled glob, or what is wrong with it: a clause, `"{" is not closed`. */
export type Glob =
  /** @param work what the answer costs is taken from it; once nothing is left, the answer is no */
  | { readonly kind: 'glob'; matches(text: string, work?: Work): boolean }
  | { readonly kind: 'invalid'; readonly message: string };

/**
 * How much may still be compared. To compare costs {@link SETTING_OUT}, and every character of the text one for each place of the
 * glob that it leads to: at most the length of the one times that of the other.
 */
export interface Work {
  left: number;
}

/** Longer than any path worth naming. */
export const MAX_GLOB_LENGTH = 256;

/** Before the first character: so many globs and texts that differ in it are no way around a limit. */
const SETTING_OUT = 16;

/** Braces within braces: each level is a call of the parser. */
const MAX_BRACE_DEPTH = 8;

/**
 * One instruction of a matcher: take a character and go on behind it, take any number of them, or go on at several places at
 * once. All places are followed side by side, so no text costs more than its length times that of the program. A regular
 * expression would try them one after the other, and `*a*a*a*b` would take it for ever.
 *
 * @see https://swtch.com/~rsc/regexp/regexp2.html
 */
type Instruction =
  | { readonly kind: 'literal'; readonly character: string }
  | { readonly kind: 'set'; has(character: string): boolean }
  | { readonly kind: 'many'; readonly isPath: boolean }
  | { readonly kind: 'go'; readonly targets: readonly number[] };

/**
 * `*` any characters but `/`, `**` any characters, `**` before `/` any directories or none, `?` one character but `/`,
 * `[a-z]` one of a set, `[!a-z]` one of no set, `{a,b}` one of several, `\` takes the next character as it is. Nothing is
 * special about a leading dot, and case counts.
 */
export function parseGlob(pattern: string): Glob {
  const source: Source = { characters: Array.from(pattern), at: 0, program: [] };
  if (pattern === '') return { kind: 'invalid', message: 'it is empty' };
  if (source.characters.length > MAX_GLOB_LENGTH) {
    return { kind: 'invalid', message: `it is longer than ${MAX_GLOB_LENGTH} characters` };
  }
  const message = parseSequence(source, { depth: 0, isSegmentStart: true });
  if (message !== undefined) return { kind: 'invalid', message };
  return { kind: 'glob', matches: (text, work = { left: Infinity }) => run(source.program, text, work) };
}

interface Source {
  readonly characters: readonly string[];
  at: number;
  readonly program: Instruction[];
}

interface Place {
  /** How many braces are open. */
  readonly depth: number;
  /** Whether a name begins here: at the start, or behind a `/`. */
  readonly isSegmentStart: boolean;
}

/** Up to the end; within braces up to `,` or `}`. Answers what is wrong. */
function parseSequence(source: Source, { depth, ...start }: Place): string | undefined {
  let { isSegmentStart } = start;
  let message: string | undefined;
  while (message === undefined && source.at < source.characters.length) {
    const character = source.characters[source.at] ?? '';
    if (depth > 0 && (character === ',' || character === '}')) return undefined;
    source.at++;
    if (character === '*') parseStar(source, isSegmentStart);
    else if (character === '?') source.program.push({ kind: 'set', has: isNoSlash });
    else if (character === '[') message = parseSet(source);
    else if (character === '{') message = parseBraces(source, { depth: depth + 1, isSegmentStart });
    else message = parseLiteral(source, character);
    isSegmentStart = source.characters[source.at - 1] === '/';
  }
  return message;
}

function parseLiteral(source: Source, character: string): string | undefined {
  const literal = character === '\\' ? source.characters[source.at++] : character;
  if (literal === undefined) return 'nothing follows its "\\"';
  source.program.push({ kind: 'literal', character: literal });
  return undefined;
}

function parseStar(source: Source, isSegmentStart: boolean): void {
  const { characters, program } = source;
  const isDouble = characters[source.at] === '*';
  while (characters[source.at] === '*') source.at++;
  if (isDouble && isSegmentStart && characters[source.at] === '/') {
    source.at++;
    // Either on behind this, or any characters and a slash.
    program.push({ kind: 'go', targets: [program.length + 1, program.length + 3] });
    program.push({ kind: 'many', isPath: true }, { kind: 'literal', character: '/' });
  } else {
    program.push({ kind: 'many', isPath: isDouble });
  }
}

function parseSet(source: Source): string | undefined {
  const { characters } = source;
  const isNegative = characters[source.at] === '!' || characters[source.at] === '^';
  if (isNegative) source.at++;
  const ranges: [string, string][] = [];
  const begin = source.at;
  while (source.at < characters.length) {
    if (characters[source.at] === ']' && source.at > begin) {
      source.at++;
      const isIn = (character: string): boolean => ranges.some(([low, high]) => low <= character && character <= high);
      source.program.push({
        kind: 'set',
        has: (character) => isNoSlash(character) && isIn(character) !== isNegative,
      });
      return undefined;
    }
    const low = takeSetCharacter(source);
    const isRange = characters[source.at] === '-' && ![undefined, ']'].includes(characters[source.at + 1]);
    if (isRange) source.at++;
    const high = isRange ? takeSetCharacter(source) : low;
    if (low > high) return `its range "${low}-${high}" runs backwards`;
    ranges.push([low, high]);
  }
  return 'its "[" is not closed';
}

function takeSetCharacter(source: Source): string {
  if (source.characters[source.at] === '\\') source.at++;
  return source.characters[source.at++] ?? '';
}

function parseBraces(source: Source, place: Place): string | undefined {
  const { characters, program } = source;
  if (place.depth > MAX_BRACE_DEPTH) return `its braces are nested deeper than ${MAX_BRACE_DEPTH}`;
  const starts: number[] = [];
  const ends: number[] = [];
  const choice = program.push({ kind: 'go', targets: starts }) - 1;
  do {
    if (program.length > choice + 1) source.at++;
    starts.push(program.length);
    const message = parseSequence(source, place);
    if (message !== undefined) return message;
    ends.push(program.push({ kind: 'go', targets: [] }) - 1);
  } while (characters[source.at] === ',');
  if (characters[source.at] !== '}') return 'its "{" is not closed';
  source.at++;
  for (const end of ends) program[end] = { kind: 'go', targets: [program.length] };
  return undefined;
}

function run(program: readonly Instruction[], text: string, work: Work): boolean {
  const places: Places = { program, reachedAt: new Int32Array(program.length + 1), count: 1, waiting: [], work };
  work.left -= SETTING_OUT;
  reach(0, places);
  for (const character of text) {
    const { waiting } = places;
    if (waiting.length === 0 || work.left < 0) return false;
    places.waiting = [];
    places.count++;
    for (const place of waiting) take(place, character, places);
  }
  return places.reachedAt[program.length] === places.count && work.left >= 0;
}

interface Places {
  readonly program: readonly Instruction[];
  /** By place: the count at which it was last reached, so that it is entered once for each character. */
  readonly reachedAt: Int32Array;
  /** Of the characters read, plus one. */
  count: number;
  /** Those that wait for the next character. */
  waiting: number[];
  readonly work: Work;
}

/** Goes on from a place that waited, if the character is one of those that it takes. */
function take(place: number, character: string, places: Places): void {
  const instruction = places.program[place];
  if (instruction?.kind === 'many') {
    if (instruction.isPath || character !== '/') reach(place, places);
  } else if (instruction?.kind === 'literal' ? character === instruction.character : isOfSet(instruction, character)) {
    reach(place + 1, places);
  }
}

function isOfSet(instruction: Instruction | undefined, character: string): boolean {
  return instruction?.kind === 'set' && instruction.has(character);
}

/** Adds a place, and all that can be reached from it without a character. */
function reach(place: number, places: Places): void {
  if (places.reachedAt[place] === places.count) return;
  places.reachedAt[place] = places.count;
  places.work.left--;
  const instruction = places.program[place];
  if (instruction?.kind === 'go') {
    for (const target of instruction.targets) reach(target, places);
  } else if (instruction !== undefined) {
    places.waiting.push(place);
    if (instruction.kind === 'many') reach(place + 1, places);
  }
}

function isNoSlash(character: string): boolean {
  return character !== '/';
}
