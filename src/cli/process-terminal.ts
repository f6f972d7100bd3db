import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { C3Error } from '../errors.ts';
import type { Terminal } from './terminal.ts';

/** The terminal of this process. */
export function createProcessTerminal(env: Terminal['env']): Terminal {
  return {
    env,
    isInputTerminal: process.stdin.isTTY,
    async readInput(maxBytes) {
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const data of process.stdin) {
        const chunk = Buffer.from(data as Uint8Array);
        length += chunk.length;
        if (length > maxBytes)
          throw new C3Error('PLAINTEXT_INVALID', `Standard input is larger than ${maxBytes} bytes`);
        chunks.push(chunk);
      }
      return Buffer.concat(chunks).toString('utf8');
    },
    readFile: (path) => readFileSync(path, 'utf8'),
    writeFile: (path, text) => writeFileSync(path, text),
    print: (text) => writeAll(1, `${text}\n`),
    tell: (text) => writeAll(2, `${text}\n`),
    ...(process.stdout.isTTY
      ? { screen: { columns: () => process.stdout.columns || 80, write: (text: string) => writeAll(1, text) } }
      : {}),
  };
}

/** Synchronous, so that nothing is lost when the process exits right after. */
function writeAll(descriptor: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      // A pipe that is full for the moment; any other fault means that nobody reads any more.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
  }
}
