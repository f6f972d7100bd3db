import { C3Error, type ErrorCode } from '../errors.ts';
import { createMasking } from '../sealing/index.ts';

/** The world of a command, handed in, so that a test can be the terminal. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isInputTerminal: boolean;
  readInput(maxBytes: number): Promise<string>;
  /** @throws when there is no such file */
  readFile(path: string): string;
  /** @throws when it cannot be written */
  writeFile(path: string, text: string): void;
  /** Results: standard output. */
  print(text: string): void;
  /** Everything else: standard error. */
  tell(text: string): void;
  /** Standard output, where it is a terminal. */
  readonly screen?: Screen;
}

/** What can be drawn on. */
export interface Screen {
  columns(): number;
  /** As it is, without a line's end. */
  write(text: string): void;
}

/** Which exit code a fault becomes; what is not listed is 1. */
const EXIT_BY_CODE: Partial<Record<ErrorCode, number>> = {
  CONFIG_INVALID: 2,
  USAGE_INVALID: 2,
  SCOPE_INVALID: 2,
  PLAINTEXT_INVALID: 2,
};

/** Prints `c3: error: …`, then `c3: hint: …`, and answers the exit code. */
export function tellError(terminal: Pick<Terminal, 'env' | 'tell'>, error: unknown): number {
  if (!(error instanceof C3Error)) {
    // A fault of c3: nobody has seen to it that its sentence holds no secret.
    const secrets = [...(terminal.env['C3_SECRET'] ?? '').split(','), terminal.env['C3_TELEGRAM_TOKEN'] ?? ''];
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    terminal.tell(`c3: error: ${createMasking(secrets).mask(text)}`);
    return 1;
  }
  for (const line of error.message.split('\n')) terminal.tell(`c3: error: ${line}`);
  if (error.hint !== undefined) terminal.tell(`c3: hint: ${error.hint}`);
  return EXIT_BY_CODE[error.code] ?? 1;
}
