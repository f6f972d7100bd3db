import { escapeControls } from '../escape-controls.ts';
import type { Screen, Terminal } from '../terminal.ts';
import { createFormatter } from './format-event.ts';
import { createLiveLines } from './live-lines.ts';
import type { View } from './run-event.ts';

export interface ViewOptions {
  readonly isJson: boolean;
  now(): number;
}

/** A live one in a terminal, else lines; NDJSON when it is asked for. */
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
