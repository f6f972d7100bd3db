import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { C3Error, type ErrorCode } from '../errors.ts';
import { readAtMost } from '../limiter.ts';
import { createMasking } from '../sealing/index.ts';

/** What a command uses of its surroundings. A test passes its own. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isInputTerminal: boolean;
  readInput(maxBytes: number): Promise<string>;
  /** @throws when the file does not exist */
  readFile(path: string): string;
  /** @throws when it cannot be written */
  writeFile(path: string, text: string): void;
  /** Writes a result to standard output. */
  print(text: string): void;
  /** Writes everything else to standard error. */
  tell(text: string): void;
  /** Standard output, if it is a terminal. */
  readonly screen?: Screen;
}

/** A terminal that can be redrawn. */
export interface Screen {
  columns(): number;
  /** Writes the text unchanged, without adding a newline. */
  write(text: string): void;
}

/** The exit code for each fault. A fault that is not listed exits with 1. */
const EXIT_BY_CODE: Partial<Record<ErrorCode, number>> = {
  CONFIG_INVALID: 2,
  USAGE_INVALID: 2,
  SCOPE_INVALID: 2,
  PLAINTEXT_INVALID: 2,
};

const LISTEN_FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use by another program: choose another one with --port',
  EACCES: 'is not for this user: choose one above 1023 with --port',
};

/** Describes why a server cannot listen. Returns undefined for every other error. */
export function describeListenFault(error: unknown): string | undefined {
  const { syscall, code = '', address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (syscall !== 'listen') return undefined;
  // Node does not say which port it was.
  if (code === 'EADDRNOTAVAIL') return `${address} is not an address of this machine: choose another one with --host`;
  const reason = LISTEN_FAULTS[code];
  return reason && `Port ${port} of ${address} ${reason}`;
}

/** Prints `c3: error: …`, then `c3: hint: …`, and returns the exit code. */
export function tellError(terminal: Pick<Terminal, 'env' | 'tell'>, error: unknown): number {
  const fault = error instanceof Error ? describeListenFault(error) : undefined;
  if (fault !== undefined) {
    terminal.tell(`c3: error: ${fault}`);
    return 1;
  }
  if (!(error instanceof C3Error)) {
    // An internal error: its message may hold a secret.
    const secrets = [...(terminal.env['C3_SECRET'] ?? '').split(','), terminal.env['C3_TELEGRAM_TOKEN'] ?? ''];
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    terminal.tell(`c3: error: ${createMasking(secrets).mask(text)}`);
    return 1;
  }
  for (const line of error.message.split('\n')) terminal.tell(`c3: error: ${line}`);
  if (error.hint !== undefined) terminal.tell(`c3: hint: ${error.hint}`);
  return EXIT_BY_CODE[error.code] ?? 1;
}

/**
 * @throws {C3Error} USAGE_INVALID with the hint when the file cannot be read. `noun` describes it: "the kubeconfig "
 */
export function readUserFile(
  terminal: Terminal,
  path: string,
  { hint, noun = '' }: { readonly hint?: string; readonly noun?: string } = {},
): string {
  try {
    return terminal.readFile(path);
  } catch (error) {
    throw new C3Error('USAGE_INVALID', `Cannot read ${noun}"${path}"`, { cause: error, ...(hint ? { hint } : {}) });
  }
}

/** Creates the terminal of this process. */
export function createProcessTerminal(env: Terminal['env']): Terminal {
  return {
    env,
    isInputTerminal: process.stdin.isTTY,
    async readInput(maxBytes) {
      const input = await readAtMost(process.stdin, maxBytes);
      if (input) return input.toString();
      throw new C3Error('PLAINTEXT_INVALID', `Standard input is larger than ${maxBytes} bytes`);
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

/** Writes synchronously, so that nothing is lost when the process exits at once. */
function writeAll(descriptor: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      // EAGAIN means that the pipe is full. Any other error means that the reader is gone.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
  }
}

/** Characters that control a terminal or reorder its text, and that `JSON.stringify` does not escape. */
const CONTROLS = /[\u007F-\u009F\p{Bidi_Control}\u2028\u2029]/gu;

/**
 * Writes control characters as JSON escapes (`\u009b`). The text must have them only inside quotes, so its meaning
 * stays.
 */
export function escapeControls(text: string): string {
  return text.replaceAll(CONTROLS, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
