import type { BuildPhase, BuildState, CommitFacts, Ending, StepPhase, StepState } from '../build/index.ts';
import { readInteger, readObject, readString, type UnknownObject } from '../json.ts';

/** Reads the values of a journal, field by field. Every program in the Pod can write a journal (A12). */

/**
 * For a text in a line of a journal. The longest line has two texts and a name, and the agent's protocol allows 4 KiB
 * (`frames.ts`).
 */
const MAX_TEXT_BYTES = 1200;

/** For the number of an attempt. c3.yaml allows far fewer. */
const MAX_ATTEMPT = 10_000;

/** The latest time of a Date, in epoch milliseconds. @see https://tc39.es/ecma262/#sec-time-values-and-time-range */
const MAX_TIME = 8.64e15;

/** Cuts a text to what fits into a line of a journal. */
export function toText(text: string): string {
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += /[!#-[\]-~]/.test(character) ? 1 : 6 * character.length;
    if (bytes > MAX_TEXT_BYTES) return `${text.slice(0, end)}…`;
    end += character.length;
  }
  return text;
}

export interface BuildFacts extends Partial<Pick<BuildState, 'isWarm' | 'previous'>> {
  readonly startedAt?: number | undefined;
  readonly commit?: CommitFacts;
}

/** Reads the values under `build` and `commit`. Returns nothing for any other key. */
export function parseBuildFacts(key: string, value: unknown): BuildFacts {
  const fields = readObject(value);
  switch (key) {
    case 'build': {
      const { isWarm, previous } = fields;
      return {
        startedAt: toTime(fields['startedAt']),
        isWarm: typeof isWarm === 'boolean' ? isWarm : undefined,
        previous: previous === 'passed' || previous === 'failed' ? previous : undefined,
      };
    }
    case 'commit':
      return { commit: { subject: toWords(fields['subject']), author: toWords(fields['author']) } };
    default:
      return {};
  }
}

/** Reads the value under `phase`. */
export function parseBuildPhase(value: unknown): Partial<Pick<BuildState, 'phase' | 'endedAt'>> {
  const fields = readObject(value);
  const phase = toBuildPhase(readObject(fields['phase']));
  return phase === undefined ? {} : { phase, endedAt: toTime(fields['endedAt']) };
}

function toBuildPhase({ kind, detail, ending }: UnknownObject): BuildPhase | undefined {
  if (kind === 'queued' || kind === 'running') return { kind };
  if (kind === 'preparing') return { kind, detail: toWords(detail) };
  const told = kind === 'ended' ? toEnding(readObject(ending)) : undefined;
  return told && { kind: 'ended', ending: told };
}

/** Reads an ending. The steps say which of them failed and may fail. */
function toEnding({ kind, message: words, step }: UnknownObject): Ending | undefined {
  const message = toWords(words);
  switch (kind) {
    case 'passed':
      return { kind, allowed: [] };
    case 'failed':
      return { kind, step: toWords(step), message };
    case 'config-error':
    case 'skipped':
    case 'timed-out':
    case 'cancelled':
    case 'superseded':
    case 'refused':
    case 'infrastructure-error':
      return { kind, message };
    default:
      return undefined;
  }
}

/** Reads the value under `step N`. Returns undefined when it makes no sense. */
export function parseStep(value: unknown): Pick<StepState, 'phase' | 'attempt' | 'startedAt' | 'endedAt'> | undefined {
  const fields = readObject(value);
  const phase = toStepPhase(readObject(fields['phase']));
  const attempt = readInteger(fields['attempt'], { min: 0, max: MAX_ATTEMPT });
  if (!phase || !attempt) return undefined;
  return { phase, attempt, startedAt: toTime(fields['startedAt']), endedAt: toTime(fields['endedAt']) };
}

function toStepPhase({ kind, exitCode, message, reason }: UnknownObject): StepPhase | undefined {
  switch (kind) {
    case 'running':
    case 'passed':
    case 'timed-out':
    case 'cancelled':
      return { kind };
    case 'failed':
      return { kind, exitCode: readInteger(exitCode, { min: 0, max: 255 }) };
    case 'lost':
      return { kind, message: toWords(message) };
    case 'skipped':
      return { kind, reason: typeof reason === 'string' ? toText(reason) : undefined };
    default:
      return undefined;
  }
}

function toWords(value: unknown): string {
  return toText(readString(value) ?? '');
}

function toTime(value: unknown): number | undefined {
  return readInteger(value, { min: 0, max: MAX_TIME });
}
