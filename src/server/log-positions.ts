import { createHmac, timingSafeEqual } from 'node:crypto';
import type { BuildLink } from '../build/index.ts';
import type { LogPosition } from '../logs/index.ts';
import type { LinePosition } from '../show/index.ts';
import { formatScope } from '../sealing/index.ts';

/** How much of a step's log a browser has. */
export type StepPosition =
  | { readonly kind: 'part'; readonly attempt: number; readonly log: LogPosition; readonly lines: LinePosition }
  | { readonly kind: 'whole'; readonly attempt: number };

/** By the step's index. A log without a position has not begun. */
export type LogPositions = ReadonlyMap<number, StepPosition>;

/** More than any build has. */
const MAX_STEPS = 1_000;
const TAG_BYTES = 12;
const NUMBER = /^[0-9a-z]{1,11}$/;

/**
 * Formats positions for a browser, which sends them back to any c3. They are a tag of 96 bits, then index and attempt
 * of each step, and for a part also offset, pieces, lines and style. The tag matters (A9): a position that a stranger
 * chose could begin within a secret, and the rest of a secret is not masked.
 */
export function formatPositions(positions: LogPositions, link: BuildLink): string {
  const text = [...positions].map(([index, position]) => formatStep(index, position).join('.')).join('~');
  return `${computeTag(text, link).toString('base64url')}.${text}`;
}

/** Returns undefined for text that {@link formatPositions} did not make for this build. */
export function parsePositions(value: string, link: BuildLink): LogPositions | undefined {
  const dot = value.indexOf('.');
  const [tag, text] = [Buffer.from(value.slice(0, Math.max(0, dot)), 'base64url'), value.slice(dot + 1)];
  if (tag.length !== TAG_BYTES || !timingSafeEqual(tag, computeTag(text, link))) return undefined;
  const steps = text === '' ? [] : text.split('~', MAX_STEPS).map(parseStep);
  return new Map(steps.filter((step) => step !== undefined));
}

function formatStep(index: number, position: StepPosition): string[] {
  const { attempt } = position;
  if (position.kind === 'whole') return [index, attempt].map(format);
  const { log, lines } = position;
  return [index, attempt, log.offset, log.pieces, lines.line, lines.style].map(format);
}

function format(number: number): string {
  return number.toString(36);
}

function parseStep(text: string): readonly [number, StepPosition] | undefined {
  const parts = text.split('.');
  if (!parts.every((part) => NUMBER.test(part))) return undefined;
  const [index = 0, attempt = 0, offset, pieces, line, style] = parts.map((part) => Number.parseInt(part, 36));
  if (offset === undefined || pieces === undefined || line === undefined || style === undefined)
    return [index, { kind: 'whole', attempt }];
  return [index, { kind: 'part', attempt, log: { offset, pieces }, lines: { line, style } }];
}

/** The key is the token that the link seals. */
function computeTag(text: string, { token, build }: BuildLink): Buffer {
  const words = `c3-log-positions-v1\n${formatScope(build.scope)}\n${build.id}\n${text}`;
  return createHmac('sha256', token).update(words).digest().subarray(0, TAG_BYTES);
}
