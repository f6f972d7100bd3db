/** A compiled glob, or what is wrong with it: a clause, `"{" is not closed`. */
export type Glob =
  | { readonly kind: 'glob'; matches(text: string): boolean }
  | { readonly kind: 'invalid'; readonly message: string };

/** Longer than any path worth naming; a match costs at most this times the length of the text. */
export const MAX_GLOB_LENGTH = 256;

/** Braces within braces: each level is a call of the parser. */
const MAX_BRACE_DEPTH = 8;

/**
 * One instruction of a matcher: take a character and go on behind it, or go on at several places at once. All of them are
 * followed side by side, so no text costs more than its length times that of the program. A regular expression would try
 * them one after the other, and `*a*a*a*b` would take it for ever.
 *
 * @see https://swtch.com/~rsc/regexp/regexp2.html
 */
type Instruction =
  | { readonly kind: 'take'; test(character: string): boolean }
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
  return { kind: 'glob', matches: (text) => run(source.program, text) };
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
    else if (character === '?') source.program.push({ kind: 'take', test: isNoSlash });
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
  source.program.push({ kind: 'take', test: (other) => other === literal });
  return undefined;
}

function parseStar(source: Source, isSegmentStart: boolean): void {
  const { characters, program } = source;
  const isDouble = characters[source.at] === '*';
  while (characters[source.at] === '*') source.at++;
  const start = program.length;
  if (isDouble && isSegmentStart && characters[source.at] === '/') {
    source.at++;
    // Either on behind this, or any characters and a slash.
    program.push({ kind: 'go', targets: [start + 1, start + 5] });
    program.push({ kind: 'go', targets: [start + 2, start + 4] });
    program.push({ kind: 'take', test: isAny }, { kind: 'go', targets: [start + 1] });
    program.push({ kind: 'take', test: isSlash });
  } else {
    program.push({ kind: 'go', targets: [start + 1, start + 3] });
    program.push({ kind: 'take', test: isDouble ? isAny : isNoSlash }, { kind: 'go', targets: [start] });
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
        kind: 'take',
        test: (character) => isNoSlash(character) && isIn(character) !== isNegative,
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

function run(program: readonly Instruction[], text: string): boolean {
  const places: Places = {
    program,
    reachedAt: new Int32Array(program.length + 1).fill(-1),
    taking: [],
    isAtEnd: false,
  };
  let count = 0;
  reach(0, count, places);
  for (const character of text) {
    const { taking } = places;
    places.taking = [];
    places.isAtEnd = false;
    count++;
    for (const { place, test } of taking) if (test(character)) reach(place + 1, count, places);
    if (places.taking.length === 0 && !places.isAtEnd) return false;
  }
  return places.isAtEnd;
}

interface Places {
  readonly program: readonly Instruction[];
  /** By place: how many characters had been read when it was last reached, so that it is entered once for each. */
  readonly reachedAt: Int32Array;
  /** Those that wait for the next character. */
  taking: { readonly place: number; test(character: string): boolean }[];
  /** Whether the end of the program is one of them. */
  isAtEnd: boolean;
}

/** Adds a place, and all that can be reached from it without a character. */
function reach(place: number, count: number, places: Places): void {
  if (places.reachedAt[place] === count) return;
  places.reachedAt[place] = count;
  const instruction = places.program[place];
  if (instruction === undefined) places.isAtEnd = true;
  else if (instruction.kind === 'take') places.taking.push({ place, test: instruction.test });
  else for (const target of instruction.targets) reach(target, count, places);
}

function isAny(): boolean {
  return true;
}

function isSlash(character: string): boolean {
  return character === '/';
}

function isNoSlash(character: string): boolean {
  return character !== '/';
}
