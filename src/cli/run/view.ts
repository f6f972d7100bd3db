import { stripVTControlCharacters } from 'node:util';
import { formatDuration } from '../../build/index.ts';
import { escapeControls } from '../terminal.ts';
import type { Screen, Terminal } from '../terminal.ts';
import { createFormatter } from './format-event.ts';
import type { RunEvent, View } from './run-event.ts';

export interface ViewOptions {
  readonly isJson: boolean;
  now(): number;
}

/** Creates a live view for a terminal, a view of plain lines otherwise, and one of NDJSON on request. */
export function createView(terminal: Terminal, { isJson, now }: ViewOptions): View {
  if (isJson) return { show: (event) => terminal.print(escapeControls(JSON.stringify(event))), close: () => {} };
  const { screen } = terminal;
  const formatter = createFormatter({ hasColours: hasColours(terminal.env, screen) });
  if (screen === undefined || terminal.env['TERM'] === 'dumb') {
    return {
      show(event): void {
        for (const line of formatter.format(event)) terminal.print(line);
      },
      close: () => {},
    };
  }
  return createLiveLines(screen, { format: (event) => formatter.format(event), now });
}

/** @see https://no-color.org, https://force-color.org */
function hasColours(env: Terminal['env'], screen: Screen | undefined): boolean {
  const { NO_COLOR: no, FORCE_COLOR: force, TERM: term } = env;
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
  if (no !== undefined && no !== '') return false;
  return screen !== undefined && term !== 'dumb';
}

export interface LiveOptions {
  /** Returns the lines of an event. */
  format(event: RunEvent): string[];
  now(): number;
}

/** The interval at which durations are redrawn. */
const TICK_MS = 200;

/** Running steps that are shown. More would hide the output on a small screen. */
const MAX_SHOWN = 8;

/**
 * Creates a view with scrolling lines and, below them, the running steps, which it redraws. It uses only "cursor up" and "erase to the
 * end of the screen" (ECMA-48 §8.3.22, §8.3.39), so that scrolled lines stay in the terminal's history.
 */
export function createLiveLines(screen: Screen, options: LiveOptions): View {
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
    const lines = shown.map(({ name, since }) => `▸ ${formatDuration(options.now() - since)}  ${name}`);
    return lines.map((line) => `${fit(line, screen.columns() - 1)}\n`).join('');
  }
  const timer = setInterval(() => {
    if (running.size > 0) screen.write(erase() + draw());
  }, TICK_MS);
  timer.unref();

  return {
    show(event): void {
      if (event.kind === 'step-started')
        running.set(event.step, { name: stripVTControlCharacters(event.name), since: options.now() });
      if (event.kind === 'step-ended') running.delete(event.step);
      if (event.kind === 'ended') running.clear();
      const lines = options.format(event).map((line) => `${line}\n`);
      screen.write(erase() + lines.join('') + draw());
    },
    close(): void {
      clearInterval(timer);
      screen.write(erase());
    },
  };
}

/** Cuts a line to the width, because a wrapped line would count twice. A character outside ASCII may take two columns. */
function fit(line: string, columns: number): string {
  let width = 0;
  const kept = Array.from(line).filter((character) => {
    width += character > '\u007E' ? 2 : 1;
    return width <= columns;
  });
  return kept.join('');
}
