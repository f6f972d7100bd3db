import { styleText } from 'node:util';
import { describeStep, ENDING_WORDS, formatDuration, type StepPhase, type Tone } from '../../build/index.ts';
import { toVisible } from '../../pipeline/index.ts';
import { trimEnd } from '../../trim-end.ts';
import type { PlannedName, RunEvent, StepEnded } from './run-event.ts';

export interface Formatter {
  /** Returns the lines for an event; some events have none. */
  format(event: RunEvent): string[];
}

type Style = Parameters<typeof styleText>[0];

/** The colours of the steps, in turn. Each is readable on dark and light backgrounds. */
const PREFIX_STYLES: readonly Style[] = ['cyan', 'magenta', 'blue', 'yellow', 'green'];

/** The widest prefix. A longer name moves its own lines to the right. */
const MAX_PREFIX_WIDTH = 24;

/** Marks that every terminal font contains, unlike emojis. */
const MARKS: Readonly<Record<Tone, { mark: string; style: Style }>> = {
  waiting: { mark: ' ', style: 'gray' },
  running: { mark: ' ', style: 'gray' },
  passed: { mark: '✔', style: 'green' },
  warned: { mark: '✘', style: 'yellow' },
  failed: { mark: '✘', style: 'red' },
  stopped: { mark: '■', style: 'yellow' },
  skipped: { mark: '–', style: 'gray' },
};

/** Creates what formats the events of one run as lines for people, with a summary at the end. It keeps state, so each run needs one. */
export function createFormatter({ hasColours }: { hasColours: boolean }): Formatter {
  let steps: readonly PlannedName[] = [];
  const ends = new Map<number, StepEnded>();

  function paint(style: Style, text: string): string {
    return hasColours ? styleText(style, text, { validateStream: false }) : text;
  }
  function toPrefix(step: number, name: string): string {
    const width = Math.min(MAX_PREFIX_WIDTH, Math.max(0, ...steps.map((planned) => planned.name.length)));
    return paint(PREFIX_STYLES[step % PREFIX_STYLES.length] ?? 'cyan', `${name.padEnd(width)} │`);
  }
  function toEndLine(ended: StepEnded): string {
    const { tone, note } = describeStep({ phase: toPhase(ended), isAllowed: ended.isAllowed });
    const { mark, style } = MARKS[tone];
    const duration = ended.outcome === 'skipped' ? '' : `  ${formatDuration(ended.durationMs)}`;
    return `${paint(style, `${mark} ${ended.name}`)}${paint('gray', duration)}${note === undefined ? '' : `  ${note}`}`;
  }

  return {
    format(event): string[] {
      switch (event.kind) {
        case 'started': {
          const changed = event.changedFiles === 0 ? '' : `, ${count(event.changedFiles, 'file')} changed`;
          const ref = toVisible(event.ref.replace(/^refs\/(?:heads|tags)\//, ''));
          return [`c3: ${ref} at ${event.sha.slice(0, 7)}${changed}, on ${event.cluster}`];
        }
        case 'warning':
          return [`c3: ${paint('yellow', 'warning')}: ${event.message}`];
        case 'waiting':
          return [paint('gray', `c3: ${event.reason}`)];
        case 'planned':
          ({ steps } = event);
          return [];
        case 'step-started':
          return event.attempt === 1
            ? []
            : [`${toPrefix(event.step, event.name)} ${paint('yellow', `attempt ${event.attempt}`)}`];
        case 'output':
          return [
            `${toPrefix(event.step, event.name)} ${toShownLine(event.text, { keepsColours: hasColours })}`.trimEnd(),
          ];
        case 'step-ended':
          ends.set(event.step, event);
          // The summary shows skipped steps.
          return event.outcome === 'skipped' ? [] : [toEndLine(event)];
        case 'ended': {
          const { word, tone } = ENDING_WORDS[event.outcome];
          const step = event.step === undefined ? '' : ` in step "${event.step}"`;
          const message = event.message === '' ? '' : `: ${event.message}`;
          const summary = [...ends.values()].sort((a, b) => a.step - b.step).map((ended) => `  ${toEndLine(ended)}`);
          const last = `${paint(MARKS[tone].style, word)}${step}${message} (${formatDuration(event.durationMs)})`;
          return [...(summary.length > 0 ? ['', ...summary] : []), '', ...last.split('\n')];
        }
      }
    },
  };
}

function toPhase({ outcome, exitCode, reason }: StepEnded): StepPhase {
  switch (outcome) {
    case 'failed':
      return { kind: outcome, exitCode };
    case 'lost':
      return { kind: outcome, message: reason ?? '' };
    case 'skipped':
      return { kind: outcome, reason };
    case 'passed':
    case 'timed-out':
    case 'cancelled':
      return { kind: outcome };
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/* oxlint-disable no-control-regex -- this part removes control characters */

/** Divides the output of a step into lines. */
export interface OutputLines {
  /** Returns the lines that these bytes complete, without line ends. */
  push(bytes: Uint8Array): string[];
  /** Returns the rest after the last line end. The next `push` starts a new line. */
  flush(): string[];
}

/** A longer line is divided, so that it does not fill the memory. */
const MAX_LINE_LENGTH = 16 * 1024;

export function createOutputLines(): OutputLines {
  // A chunk may end inside a character.
  let decoder = new TextDecoder();
  let rest = '';
  function split(text: string): string[] {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    while (rest.length > MAX_LINE_LENGTH) {
      parts.push(rest.slice(0, MAX_LINE_LENGTH));
      rest = rest.slice(MAX_LINE_LENGTH);
    }
    return parts;
  }
  return {
    push: (bytes) => split(decoder.decode(bytes, { stream: true })),
    flush(): string[] {
      const parts = split(decoder.decode());
      if (rest !== '') parts.push(rest);
      rest = '';
      decoder = new TextDecoder();
      return parts;
    },
  };
}

/** ECMA-48: a sequence that ends in `m` sets colours (§8.3.117); strings (titles, links) end with BEL or ST; others move or erase. */
const COLOUR = /\u001B\[[\d;:]*m/;
const SEQUENCE =
  /\u001B\[[0-?]*[ -/]*[@-~]?|\u001B[\]PX^_][^\u0007\u001B\u009C]*(?:\u0007|\u001B\\|\u009C)?|\u001B[ -/]*[0-~]?/g;
/** C0 except tab and escape, DEL, and C1. */
const CONTROL = /[\u0000-\u0008\u000A-\u001A\u001C-\u001F\u007F-\u009F]/g;
const RESET = '\u001B[0m';

/**
 * Returns a line that is safe beside a prefix. It removes everything that moves the cursor or controls the terminal, and what a
 * carriage return overwrote. With `keepsColours`, colours stay and end with the line.
 */
export function toShownLine(line: string, { keepsColours }: { keepsColours: boolean }): string {
  const visible = trimEnd(line, '\r').split('\r').at(-1) ?? '';
  let hasColour = false;
  const text = visible
    .replace(SEQUENCE, (sequence) => {
      const isKept = keepsColours && COLOUR.test(sequence);
      hasColour ||= isKept;
      return isKept ? sequence : '';
    })
    .replace(CONTROL, '');
  return hasColour ? text + RESET : text;
}
