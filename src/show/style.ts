/**
 * Colours and attributes of text in one number, so that comparing, keeping and sending it costs nothing: the foreground's and the
 * background's number plus 1 in nine bits each (0: the terminal's own), then a bit for each attribute.
 */
export type Style = number;

export const PLAIN: Style = 0;
/** Every style is at most this. */
export const MAX_STYLE: Style = 2 ** 24 - 1;

/** A style taken apart. Colours are numbers of the 256 that terminals have; undefined: the terminal's own. */
export interface Look {
  readonly foreground: number | undefined;
  readonly background: number | undefined;
  readonly attributes: readonly Attribute[];
}

export type Attribute = 'bold' | 'dim' | 'italic' | 'underline' | 'inverse' | 'strike';

const COLOUR_BITS = 9;
const COLOUR_MASK = 2 ** COLOUR_BITS - 1;
const FOREGROUND = 0;
const BACKGROUND = COLOUR_BITS;
const ATTRIBUTES: Readonly<Record<Attribute, number>> = {
  bold: 1 << 18,
  dim: 1 << 19,
  italic: 1 << 20,
  underline: 1 << 21,
  inverse: 1 << 22,
  strike: 1 << 23,
};

/** ECMA-48 §8.3.117, SGR: what a parameter switches on, and what off. */
const SWITCHED_ON = new Map([
  [1, ATTRIBUTES.bold],
  [2, ATTRIBUTES.dim],
  [3, ATTRIBUTES.italic],
  [4, ATTRIBUTES.underline],
  [7, ATTRIBUTES.inverse],
  [9, ATTRIBUTES.strike],
  [21, ATTRIBUTES.underline],
]);
const SWITCHED_OFF = new Map([
  [22, ATTRIBUTES.bold | ATTRIBUTES.dim],
  [23, ATTRIBUTES.italic],
  [24, ATTRIBUTES.underline],
  [27, ATTRIBUTES.inverse],
  [29, ATTRIBUTES.strike],
]);

export function readStyle(style: Style): Look {
  const names = Object.keys(ATTRIBUTES) as Attribute[];
  return {
    foreground: toColour(style >>> FOREGROUND),
    background: toColour(style >>> BACKGROUND),
    attributes: names.filter((name) => (style & ATTRIBUTES[name]) !== 0),
  };
}

function toColour(bits: number): number | undefined {
  const colour = bits & COLOUR_MASK;
  return colour === 0 ? undefined : colour - 1;
}

/** Programs write the same few sequences again and again; "38;2;255;128;0;48;2;255;255;255" is as long as they get. */
const known = new Map<string, { readonly kept: Style; readonly added: Style }>();
const MAX_KNOWN = 256;
const MAX_KNOWN_LENGTH = 40;

/**
 * What "select graphic rendition" makes of a style. Colours of 24 bits become the nearest of the 256. Unknown parameters do nothing.
 *
 * @param parameters `1;31`, `38;5;208`, `38:2::255:128:0`
 */
export function applySgr(style: Style, parameters: string): Style {
  if (parameters.length > MAX_KNOWN_LENGTH) return applyAll(style, parameters);
  let change = known.get(parameters);
  if (!change) {
    // A parameter clears bits and sets bits, whatever they were: both are seen on a style with all of them, and on one with none.
    change = { kept: applyAll(MAX_STYLE, parameters), added: applyAll(PLAIN, parameters) };
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(parameters, change);
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
    // With colons the colour's parts are its own; with semicolons they are the parameters that follow.
    const parts = own.length > 0 ? own : codes.slice(at + 1, at + 5).map(Number);
    const colour = readColour(parts, own.length > 0);
    if (own.length === 0) at += parts[0] === 2 ? 4 : parts[0] === 5 ? 2 : 0;
    // 58 is the underline's colour, which is not shown.
    if (colour !== undefined && code !== 58) result = paint(result, code === 38 ? FOREGROUND : BACKGROUND, colour);
  }
  return result;
}

function apply(style: Style, code: number, detail: number | undefined): Style {
  if (code === 0) return PLAIN;
  // "4:0" is no underline, "4:3" a wavy one.
  if (code === 4 && detail === 0) return style & ~ATTRIBUTES.underline;
  if (code >= 30 && code <= 37) return paint(style, FOREGROUND, code - 30);
  if (code >= 40 && code <= 47) return paint(style, BACKGROUND, code - 40);
  if (code >= 90 && code <= 97) return paint(style, FOREGROUND, code - 82);
  if (code >= 100 && code <= 107) return paint(style, BACKGROUND, code - 92);
  if (code === 39) return style & ~(COLOUR_MASK << FOREGROUND);
  if (code === 49) return style & ~(COLOUR_MASK << BACKGROUND);
  return (style | (SWITCHED_ON.get(code) ?? 0)) & ~(SWITCHED_OFF.get(code) ?? 0);
}

function paint(style: Style, place: number, colour: number): Style {
  return (style & ~(COLOUR_MASK << place)) | ((colour + 1) << place);
}

/** ITU-T T.416 §13.1.8: `5:n`, or `2:[space]:r:g:b`, where many leave the colour space out. */
function readColour([kind, ...parts]: readonly number[], hasColons: boolean): number | undefined {
  const numbers = hasColons && kind === 2 && parts.length > 3 ? parts.slice(1, 4) : parts.slice(0, kind === 2 ? 3 : 1);
  if (!numbers.every((part) => part >= 0 && part <= 255)) return undefined;
  if (kind === 5) return numbers[0];
  if (kind !== 2 || numbers.length < 3) return undefined;
  const [red = 0, green = 0, blue = 0] = numbers;
  return toNearest(red, green, blue);
}

/** Of the 6×6×6 cube and the 24 greys. */
function toNearest(red: number, green: number, blue: number): number {
  const cube = [red, green, blue].map((part) => (part < 48 ? 0 : part < 115 ? 1 : Math.floor((part - 35) / 40)));
  const [r = 0, g = 0, b = 0] = cube;
  const grey = Math.max(0, Math.min(23, Math.round(((red + green + blue) / 3 - 8) / 10)));
  const candidates = [16 + 36 * r + 6 * g + b, 232 + grey];
  const distance = (colour: number): number =>
    toRgb(colour).reduce((sum, part, index) => sum + (part - ([red, green, blue][index] ?? 0)) ** 2, 0);
  return candidates.sort((one, other) => distance(one) - distance(other))[0] ?? 0;
}

/** Of the colours from 16 on, which are the same in every terminal: red, green and blue, each 0 to 255. */
export function toRgb(colour: number): readonly [number, number, number] {
  if (colour >= 232) {
    const grey = 8 + (colour - 232) * 10;
    return [grey, grey, grey];
  }
  const step = (part: number): number => (part === 0 ? 0 : 55 + part * 40);
  const index = colour - 16;
  return [step(Math.floor(index / 36)), step(Math.floor(index / 6) % 6), step(index % 6)];
}
