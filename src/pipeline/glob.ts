/** A compiled glob, or what is wrong with it: a clause, `its "{" is not closed`. */
export type Glob =
  /** @param work the cost is subtracted from it; the answer is no when nothing is left */
  | { readonly kind: 'glob'; matches(text: string, work?: Work): boolean }
  | { readonly kind: 'invalid'; readonly message: string };

/**
 * How much work is left. Each comparison costs {@link BASE_COST}, plus one for each active state at each character of
 * the text: at most the length of the glob times the length of the text.
 */
export interface Work {
  left: number;
}

/** Longer than any useful path. */
export const MAX_GLOB_LENGTH = 256;

/** The cost of a comparison that fails at the first character. Bounds how many globs and texts are compared. */
const BASE_COST = 16;

/** Each level of braces is a recursive call of the parser. */
const MAX_BRACE_DEPTH = 8;

/**
 * One instruction of the matcher: consume a character, consume any number of characters, or continue at several
 * states. All states advance together (a Thompson automaton), so the cost is bounded. A backtracking regular
 * expression would take exponential time for `*a*a*a*b`.
 *
 * @see https://swtch.com/~rsc/regexp/regexp2.html
 */
type Instruction =
  | { readonly kind: 'literal'; readonly character: string }
  | { readonly kind: 'set'; has(character: string): boolean }
  | { readonly kind: 'many'; readonly isPath: boolean }
  | { readonly kind: 'jump'; readonly targets: readonly number[] };

/**
 * Compiles a glob. `*` matches any characters but `/`, `**` any characters, `**` before `/` any directories or none,
 * `?` one character but `/`, `[a-z]` one of a set, `[!a-z]` one outside a set, `{a,b}` one of several. `\` escapes
 * the next character. A leading dot is not special, and case matters.
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

/** `!docs/**` is `docs/**`, negated. A name that begins with `!` is written `\!`. */
export function splitNegation(glob: string): { readonly isNegative: boolean; readonly pattern: string } {
  return glob.startsWith('!') ? { isNegative: true, pattern: glob.slice(1) } : { isNegative: false, pattern: glob };
}

/**
 * Compiles a list of globs. The last matching glob in a list wins; a text matches when it has no `!`. A list that
 * begins with `!` starts from everything: `['!main']` is every branch but one.
 *
 * @param globs checked before; an invalid glob matches nothing
 */
export function createMatcher(globs: readonly string[], work?: Work): (text: string) => boolean {
  const list = globs.map((text) => {
    const { isNegative, pattern } = splitNegation(text);
    return { isNegative, glob: parseGlob(pattern) };
  });
  const isEverything = list[0]?.isNegative ?? false;
  return (text) => {
    const last = list.findLast(({ glob }) => glob.kind === 'glob' && glob.matches(text, work));
    return last === undefined ? isEverything : !last.isNegative;
  };
}

interface Source {
  readonly characters: readonly string[];
  at: number;
  readonly program: Instruction[];
}

interface Context {
  /** How many braces are open. */
  readonly depth: number;
  /** Whether a path segment begins here: at the start, or after a `/`. */
  readonly isSegmentStart: boolean;
}

/** Parses to the end, or within braces to `,` or `}`. Returns what is wrong. */
function parseSequence(source: Source, { depth, ...start }: Context): string | undefined {
  let { isSegmentStart } = start;
  let message: string | undefined;
  while (message === undefined && source.at < source.characters.length) {
    const character = source.characters[source.at] ?? '';
    if (depth > 0 && (character === ',' || character === '}')) return undefined;
    source.at++;
    if (character === '*') parseStar(source, isSegmentStart);
    else if (character === '?') source.program.push({ kind: 'set', has: isNotSlash });
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
    // Either skip to after this, or consume any characters and a slash.
    program.push({ kind: 'jump', targets: [program.length + 1, program.length + 3] });
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
      source.program.push({ kind: 'set', has: (character) => isNotSlash(character) && isIn(character) !== isNegative });
      return undefined;
    }
    const low = readSetCharacter(source);
    const isRange = characters[source.at] === '-' && ![undefined, ']'].includes(characters[source.at + 1]);
    if (isRange) source.at++;
    const high = isRange ? readSetCharacter(source) : low;
    if (low > high) return 'a range in its "[" runs backwards';
    ranges.push([low, high]);
  }
  return 'its "[" is not closed';
}

function readSetCharacter(source: Source): string {
  if (source.characters[source.at] === '\\') source.at++;
  return source.characters[source.at++] ?? '';
}

function parseBraces(source: Source, context: Context): string | undefined {
  const { characters, program } = source;
  if (context.depth > MAX_BRACE_DEPTH) return `its braces are nested deeper than ${MAX_BRACE_DEPTH}`;
  const starts: number[] = [];
  const ends: number[] = [];
  const choice = program.push({ kind: 'jump', targets: starts }) - 1;
  do {
    if (program.length > choice + 1) source.at++;
    starts.push(program.length);
    const message = parseSequence(source, context);
    if (message !== undefined) return message;
    ends.push(program.push({ kind: 'jump', targets: [] }) - 1);
  } while (characters[source.at] === ',');
  if (characters[source.at] !== '}') return 'its "{" is not closed';
  source.at++;
  for (const end of ends) program[end] = { kind: 'jump', targets: [program.length] };
  return undefined;
}

/** The states of a running matcher: indices into the program. */
interface States {
  readonly program: readonly Instruction[];
  /** By state: the step at which it was last added, so that it is added once for each character. */
  readonly addedAt: Int32Array;
  /** The number of characters consumed, plus one. */
  step: number;
  /** The states that wait for the next character. */
  active: number[];
  readonly work: Work;
}

function run(program: readonly Instruction[], text: string, work: Work): boolean {
  const states: States = { program, addedAt: new Int32Array(program.length + 1), step: 1, active: [], work };
  work.left -= BASE_COST;
  addState(0, states);
  for (const character of text) {
    const { active } = states;
    if (active.length === 0 || work.left < 0) return false;
    states.active = [];
    states.step++;
    for (const state of active) advance(state, character, states);
  }
  return states.addedAt[program.length] === states.step && work.left >= 0;
}

/** Advances a state past a character, if its instruction accepts it. */
function advance(state: number, character: string, states: States): void {
  const instruction = states.program[state];
  if (instruction?.kind === 'many') {
    if (instruction.isPath || character !== '/') addState(state, states);
  } else if (
    (instruction?.kind === 'literal' && instruction.character === character) ||
    (instruction?.kind === 'set' && instruction.has(character))
  ) {
    addState(state + 1, states);
  }
}

/** Adds a state, and all states that are reachable from it without a character. */
function addState(state: number, states: States): void {
  if (states.addedAt[state] === states.step) return;
  states.addedAt[state] = states.step;
  states.work.left--;
  const instruction = states.program[state];
  if (instruction?.kind === 'jump') {
    for (const target of instruction.targets) addState(target, states);
  } else if (instruction !== undefined) {
    states.active.push(state);
    if (instruction.kind === 'many') addState(state + 1, states);
  }
}

function isNotSlash(character: string): boolean {
  return character !== '/';
}
