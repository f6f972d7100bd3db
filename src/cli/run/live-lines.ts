import { stripVTControlCharacters } from 'node:util';
import { formatDuration } from '../../build/index.ts';
import type { Screen } from '../terminal.ts';
import type { RunEvent, View } from './run-event.ts';

export interface LiveOptions {
  /** The lines of an event. */
  format(event: RunEvent): string[];
  now(): number;
}

/** How often the durations are drawn anew. */
const TICK_MS = 200;

/** Of steps that run at once; more would push the output off a small screen. */
const MAX_SHOWN = 8;

/**
 * Lines that scroll as everywhere, and below them what runs now, drawn over itself. Uses no more than "cursor up" and "erase to
 * the end of the screen" (ECMA-48 §8.3.22, §8.3.39), so that what scrolled by stays in the terminal's history.
 */
export function createLiveLines(screen: Screen, options: LiveOptions): View {
  /** Steps that run, with the time at which they began. */
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

/** A line that wraps would be two to go up by. What is not ASCII may be two columns wide. */
function fit(line: string, columns: number): string {
  let width = 0;
  const kept = Array.from(line).filter((character) => {
    width += character > '\u007E' ? 2 : 1;
    return width <= columns;
  });
  return kept.join('');
}
