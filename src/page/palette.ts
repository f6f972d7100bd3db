import { toRgb } from '../terminal/index.ts';

type Rgb = readonly [number, number, number];

/** Behind every log, on light pages too: programs choose their colours for a dark terminal. As `--log` in build-page.css. */
const GROUND: Rgb = [13, 17, 23];
const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];
/** WCAG 2.2, 1.4.3: of text. */
const MIN_CONTRAST = 4.5;

/** The sixteen that every terminal chooses for itself; these are easy to read on {@link GROUND}. */
const SIXTEEN: readonly Rgb[] = [
  [110, 118, 129],
  [255, 123, 114],
  [63, 185, 80],
  [210, 153, 34],
  [88, 166, 255],
  [188, 140, 255],
  [57, 197, 207],
  [201, 209, 217],
  [139, 148, 158],
  [255, 161, 152],
  [86, 211, 100],
  [227, 179, 65],
  [121, 192, 255],
  [210, 168, 255],
  [86, 212, 221],
  [255, 255, 255],
];

/**
 * A class for each colour of a terminal: `f1` to write with it on the log's ground, made lighter where it could not be read there;
 * `b1` as a background, with black or white text on it; `r1` to write with it on another background, as it is.
 */
export function formatPalette(): string {
  const colours = Array.from({ length: 256 }, (_, number) => ({ number, rgb: SIXTEEN[number] ?? toRgb(number) }));
  return [
    ...colours.map(({ number, rgb }) => `.b${number}{background:${toHex(rgb)};color:${toTextColour(rgb)}}`),
    ...colours.map(({ number, rgb }) => {
      const lighter = lighten(rgb);
      if (lighter === rgb) return `.f${number},.r${number}{color:${toHex(rgb)}}`;
      return `.f${number}{color:${toHex(lighter)}}.r${number}{color:${toHex(rgb)}}`;
    }),
  ].join('');
}

function toTextColour(background: Rgb): string {
  return contrast(background, BLACK) > contrast(background, WHITE) ? '#000' : '#fff';
}

/** As little white as makes it readable. */
function lighten(rgb: Rgb): Rgb {
  for (let part = 0; part <= 20; part++) {
    const [red, green, blue] = rgb.map((value) => Math.round(value + ((255 - value) * part) / 20)) as unknown as Rgb;
    const mixed: Rgb = part === 0 ? rgb : [red, green, blue];
    if (contrast(mixed, GROUND) >= MIN_CONTRAST) return mixed;
  }
  return WHITE;
}

/** WCAG 2.2, "contrast ratio". */
function contrast(one: Rgb, other: Rgb): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(rgb: Rgb): number {
  const [red = 0, green = 0, blue = 0] = rgb.map((value) =>
    value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function toHex(rgb: Rgb): string {
  return `#${rgb.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}
