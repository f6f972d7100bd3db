import { stripVTControlCharacters, styleText } from 'node:util';
import {
  describeStep,
  ENDING_WORDS,
  formatCount,
  formatDuration,
  type StepPhase,
  type Tone,
} from '../../build/index.ts';
import { toVisible } from '../../pipeline/index.ts';
import { readLine } from '../../terminal/text.ts';
import { trimEnd } from '../../trim-end.ts';
import { escapeControls, type Screen, type Terminal } from '../terminal.ts';
import type { RunEvent, StepEnded, View } from './run-event.ts';

/** Creates a live view for a terminal, a view of plain lines otherwise, and one of NDJSON on request. */
export function createView(
  terminal: Terminal,
  { isJson, isDryRun }: { readonly isJson: boolean; readonly isDryRun: boolean },
): View {
  const close = (): void => {};
  // Standard output holds only the plan and the Pod.
  if (isDryRun) {
    return { show: (event) => event.kind === 'warning' && terminal.tell(`c3: warning: ${event.message}`), close };
  }
  if (isJson) return { show: (event) => terminal.print(escapeControls(JSON.stringify(event))), close };
  const { screen } = terminal;
  const format = createFormatter({ hasColours: hasColours(terminal.env, screen) });
  if (screen && terminal.env['TERM'] !== 'dumb') return createLiveLines(screen, { format });
  return { show: (event) => format(event).forEach((line) => terminal.print(line)), close };
}

/** @see https://no-color.org, https://force-color.org */
function hasColours(env: Terminal['env'], screen: Screen | undefined): boolean {
  const { NO_COLOR: no, FORCE_COLOR: force, TERM: term } = env;
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
  if (no !== undefined && no !== '') return false;
  return screen !== undefined && term !== 'dumb';
}

/** The interval at which durations are redrawn. */
const TICK_MS = 200;

/** Running steps that are shown. More would hide the output on a small screen. */
const MAX_SHOWN = 8;

/**
 * Creates a view with scrolling lines and, below them, the running steps, which it redraws. It uses only "cursor up"
 * and "erase to the end of the screen" (ECMA-48 §8.3.22, §8.3.39), so that scrolled lines stay in the terminal's
 * history.
 */
export function createLiveLines(
  screen: Screen,
  { format, now = Date.now }: { readonly format: (event: RunEvent) => string[]; readonly now?: () => number },
): View {
  /** The running steps and the time of their start. */
  const running = new Map<number, { name: string; since: number }>();
  let drawnLines = 0;

  function erase(): string {
    const up = drawnLines === 0 ? '' : `\u001B[${drawnLines}A\u001B[J`;
    drawnLines = 0;
    return up;
  }
  function draw(): string {
    const shown = [...running.values()].slice(-MAX_SHOWN);
    drawnLines = shown.length;
    const lines = shown.map(({ name, since }) => `▸ ${formatDuration(now() - since)}  ${name}`);
    return lines.map((line) => `${fit(line, screen.columns() - 1)}\n`).join('');
  }
  const timer = setInterval(() => {
    if (running.size > 0) screen.write(erase() + draw());
  }, TICK_MS);
  timer.unref();

  return {
    show(event): void {
      if (event.kind === 'step-started')
        running.set(event.step, { name: stripVTControlCharacters(event.name), since: now() });
      if (event.kind === 'step-ended') running.delete(event.step);
      if (event.kind === 'ended') running.clear();
      const lines = format(event).map((line) => `${line}\n`);
      screen.write(erase() + lines.join('') + draw());
    },
    close(): void {
      clearInterval(timer);
      screen.write(erase());
    },
  };
}

/**
 * Cuts a line to the width, because a wrapped line would count twice. A character outside ASCII may take two columns.
 */
function fit(line: string, columns: number): string {
  let width = 0;
  const kept = Array.from(line).filter((character) => {
    width += character > '\u007E' ? 2 : 1;
    return width <= columns;
  });
  return kept.join('');
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

/**
 * Creates what formats the events of one run as lines for people, with a summary at the end. It keeps state, so each
 * run needs one.
 */
export function createFormatter({ hasColours }: { hasColours: boolean }): (event: RunEvent) => string[] {
  let nameWidth = 0;
  const ends = new Map<number, StepEnded>();

  function paint(style: Style, text: string): string {
    return hasColours ? styleText(style, text, { validateStream: false }) : text;
  }
  function toPrefix(step: number, name: string): string {
    return paint(PREFIX_STYLES[step % PREFIX_STYLES.length] ?? 'cyan', `${name.padEnd(nameWidth)} │`);
  }
  function toEndLine(ended: StepEnded): string {
    const { outcome, exitCode, reason, isAllowed } = ended;
    // An event has the fields of every phase.
    const phase = { kind: outcome, exitCode, reason, message: reason ?? '' } as StepPhase;
    const { tone, note } = describeStep({ phase, isAllowed });
    const { mark, style } = MARKS[tone];
    const duration = outcome === 'skipped' ? '' : `  ${formatDuration(ended.durationMs)}`;
    return `${paint(style, `${mark} ${ended.name}`)}${paint('gray', duration)}${note === undefined ? '' : `  ${note}`}`;
  }

  return (event) => {
    switch (event.kind) {
      case 'started': {
        const changed = event.changedFiles === 0 ? '' : `, ${formatCount(event.changedFiles, 'file')} changed`;
        const ref = toVisible(event.ref.replace(/^refs\/(?:heads|tags)\//, ''));
        return [`c3: ${ref} at ${event.sha.slice(0, 7)}${changed}, on ${event.cluster}`];
      }
      case 'warning':
        return [`c3: ${paint('yellow', 'warning')}: ${event.message}`];
      case 'waiting':
        return [paint('gray', `c3: ${event.reason}`)];
      case 'planned':
        nameWidth = Math.min(MAX_PREFIX_WIDTH, Math.max(...event.steps.map(({ name }) => name.length)));
        return [];
      case 'step-started':
        if (event.attempt === 1) return [];
        return [`${toPrefix(event.step, event.name)} ${paint('yellow', `attempt ${event.attempt}`)}`];
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
  };
}

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

/** ECMA-48 §8.3.117. */
// oxlint-disable-next-line no-control-regex -- the escape character is what it looks for
const COLOUR = /(\u001B\[[\d;:]*m)/;
const RESET = '\u001B[0m';

/**
 * Returns a line that is safe beside a prefix. It removes everything that moves the cursor or controls the terminal,
 * and what a carriage return overwrote. With `keepsColours`, colours stay and end with the line.
 */
export function toShownLine(line: string, { keepsColours }: { keepsColours: boolean }): string {
  const visible = trimEnd(line, '\r').split('\r').at(-1) ?? '';
  if (!keepsColours || !COLOUR.test(visible)) return readLine(visible);
  const parts = visible.split(COLOUR);
  return parts.map((part, index) => (index % 2 === 0 ? readLine(part) : part)).join('') + RESET;
}
