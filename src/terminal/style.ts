/**
 * The colours and attributes of text in one number, which is cheap to compare, store and send. Nine bits each hold
 * the foreground and the background: the colour's number plus 1, or 0 for the terminal's default. Then follows one
 * bit for each attribute.
 */
export type Style = number;

export const PLAIN: Style = 0;
/** The largest style. */
export const MAX_STYLE: Style = 2 ** 24 - 1;

/** The parts of a style. Colours are numbers from 0 to 255; undefined is the terminal's default. */
export interface StyleParts {
  readonly foreground: number | undefined;
  readonly background: number | undefined;
  readonly attributes: readonly string[];
}

const COLOUR_BITS = 9;
const COLOUR_MASK = 2 ** COLOUR_BITS - 1;
/** The shift of each colour. */
const FOREGROUND = 0;
const BACKGROUND = COLOUR_BITS;

/**
 * The attributes: their bits, and the parameters of SGR ("select graphic rendition") that set and clear them.
 *
 * @see ECMA-48 §8.3.117
 */
const ATTRIBUTES = [
  { name: 'bold', bit: 1 << 18, set: [1], clear: 22 },
  { name: 'dim', bit: 1 << 19, set: [2], clear: 22 },
  { name: 'italic', bit: 1 << 20, set: [3], clear: 23 },
  { name: 'underline', bit: 1 << 21, set: [4, 21], clear: 24 },
  { name: 'inverse', bit: 1 << 22, set: [7], clear: 27 },
  { name: 'strike', bit: 1 << 23, set: [9], clear: 29 },
];

export function readStyle(style: Style): StyleParts {
  return {
    foreground: toColour(style >>> FOREGROUND),
    background: toColour(style >>> BACKGROUND),
    attributes: ATTRIBUTES.filter(({ bit }) => (style & bit) !== 0).map(({ name }) => name),
  };
}

function toColour(bits: number): number | undefined {
  const colour = bits & COLOUR_MASK;
  return colour === 0 ? undefined : colour - 1;
}

/**
 * Caches what parameters do: programs write the same few again and again. The longest usual ones have 37 characters.
 */
const changes = new Map<string, { readonly kept: Style; readonly added: Style }>();
const MAX_CACHED = 256;
const MAX_CACHED_LENGTH = 40;

/**
 * Applies the parameters of SGR to a style. 24-bit colours become the nearest of the 256. Unknown parameters have no
 * effect.
 *
 * @param parameters `1;31`, `38;5;208`, `38:2::255:128:0`
 */
export function applySgr(style: Style, parameters: string): Style {
  if (parameters.length > MAX_CACHED_LENGTH) return applyAll(style, parameters);
  let change = changes.get(parameters);
  if (!change) {
    // Parameters set and clear bits regardless of the others. The full and the empty style show both.
    change = { kept: applyAll(MAX_STYLE, parameters), added: applyAll(PLAIN, parameters) };
    if (changes.size >= MAX_CACHED) changes.clear();
    changes.set(parameters, change);
  }
  return (style & change.kept) | change.added;
}

function applyAll(style: Style, parameters: string): Style {
  const codes = parameters.split(';');
  let result = style;
  for (let at = 0; at < codes.length; at++) {
    const [code = 0, ...own] = (codes[at] ?? '').split(':').map(Number);
    if (code !== 38 && code !== 48 && code !== 58) {
      result = apply(result, code, own[0]);
      continue;
    }
    // The parts of a colour follow after colons, or as the next parameters.
    const parts = own.length > 0 ? own : codes.slice(at + 1, at + 5).map(Number);
    const colour = readColour(parts, own.length > 0);
    if (own.length === 0) at += parts[0] === 2 ? 4 : parts[0] === 5 ? 2 : 0;
    // 58 is the colour of the underline, which c3 does not show.
    if (colour !== undefined && code !== 58) result = paint(result, code === 38 ? FOREGROUND : BACKGROUND, colour);
  }
  return result;
}

function apply(style: Style, code: number, detail: number | undefined): Style {
  if (code === 0) return PLAIN;
  // "4:0" removes the underline, "4:3" is a wavy one.
  if (code === 4 && detail === 0) return apply(style, 24, undefined);
  if (code >= 30 && code <= 37) return paint(style, FOREGROUND, code - 30);
  if (code >= 40 && code <= 47) return paint(style, BACKGROUND, code - 40);
  if (code >= 90 && code <= 97) return paint(style, FOREGROUND, code - 82);
  if (code >= 100 && code <= 107) return paint(style, BACKGROUND, code - 92);
  if (code === 39) return style & ~(COLOUR_MASK << FOREGROUND);
  if (code === 49) return style & ~(COLOUR_MASK << BACKGROUND);
  return ATTRIBUTES.reduce(
    (result, { bit, set, clear }) => (set.includes(code) ? result | bit : code === clear ? result & ~bit : result),
    style,
  );
}

function paint(style: Style, shift: number, colour: number): Style {
  return (style & ~(COLOUR_MASK << shift)) | ((colour + 1) << shift);
}

/** Reads `5:n` or `2:[colour space]:r:g:b`; many programs omit the colour space. @see ITU-T T.416 §13.1.8 */
function readColour([kind, ...parts]: readonly number[], hasColons: boolean): number | undefined {
  const numbers = hasColons && kind === 2 && parts.length > 3 ? parts.slice(1, 4) : parts.slice(0, kind === 2 ? 3 : 1);
  if (!numbers.every((part) => part >= 0 && part <= 255)) return undefined;
  if (kind === 5) return numbers[0];
  if (kind !== 2 || numbers.length < 3) return undefined;
  const [red = 0, green = 0, blue = 0] = numbers;
  return toNearest(red, green, blue);
}

/** Returns the nearest colour of the 6×6×6 cube and the 24 greys. */
function toNearest(...rgb: readonly [number, number, number]): number {
  const levels = rgb.map((part) => (part < 48 ? 0 : part < 115 ? 1 : Math.floor((part - 35) / 40)));
  const cube = 16 + levels.reduce((sum, level) => 6 * sum + level);
  const mean = (rgb[0] + rgb[1] + rgb[2]) / 3;
  const grey = 232 + Math.max(0, Math.min(23, Math.round((mean - 8) / 10)));
  const distance = (colour: number): number =>
    toRgb(colour).reduce((sum, part, index) => sum + (part - (rgb[index] ?? 0)) ** 2, 0);
  return distance(cube) <= distance(grey) ? cube : grey;
}

/** Returns red, green and blue, each 0 to 255, of a colour from 16 on. These are the same in every terminal. */
export function toRgb(colour: number): readonly [number, number, number] {
  if (colour >= 232) {
    const grey = 8 + (colour - 232) * 10;
    return [grey, grey, grey];
  }
  const level = (part: number): number => (part === 0 ? 0 : 55 + part * 40);
  const index = colour - 16;
  return [level(Math.floor(index / 36)), level(Math.floor(index / 6) % 6), level(index % 6)];
}
