import { trimEnd } from '../../trim-end.ts';

/* oxlint-disable no-control-regex -- control characters are what this file is about */

/** What a step writes, as lines. */
export interface OutputLines {
  /** The lines that these bytes complete, without their ends. */
  push(bytes: Uint8Array): string[];
  /** What came after the last line's end; the next `push` begins anew. */
  flush(): string[];
}

/** A longer line is cut in pieces: nobody reads it, and it must not fill the memory. */
const MAX_LINE_LENGTH = 16 * 1024;

export function createOutputLines(): OutputLines {
  // Characters may be cut in two between chunks.
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

/** ECMA-48: what ends in `m` sets colours (§8.3.117); strings (titles, links) run to BEL or ST; other sequences move or erase. */
const COLOUR = /\u001B\[[\d;:]*m/;
const SEQUENCE =
  /\u001B\[[0-?]*[ -/]*[@-~]?|\u001B[\]PX^_][^\u0007\u001B\u009C]*(?:\u0007|\u001B\\|\u009C)?|\u001B[ -/]*[0-~]?/g;
/** C0 but for tab and escape, DEL, C1. */
const CONTROL = /[\u0000-\u0008\u000A-\u001A\u001C-\u001F\u007F-\u009F]/g;
const RESET = '\u001B[0m';

/**
 * A line as it may stand beside a prefix: nothing that moves the cursor or speaks to the terminal, only what the last carriage
 * return left visible. Colours stay if `keepsColours`, and end with the line.
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
