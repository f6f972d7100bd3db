import { C3Error } from '../errors.ts';
import { stripNewline } from '../sealing/index.ts';
import type { Terminal } from './terminal.ts';

/** More than any forge's token has. */
const MAX_TOKEN_BYTES = 4_098;

/**
 * Reads an access token from standard input, where no list of processes shows it.
 *
 * @param may what its user must be allowed to do, for the prompt: `may push`
 * @throws {C3Error} USAGE_INVALID, PLAINTEXT_INVALID; the message does not quote the input
 */
export async function readToken(terminal: Terminal, may: string): Promise<string> {
  if (terminal.isInputTerminal) {
    terminal.tell(`c3: paste an access token that ${may}, then Ctrl-D on a line of its own`);
  }
  const token = stripNewline(await terminal.readInput(MAX_TOKEN_BYTES));
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new C3Error('USAGE_INVALID', 'Standard input is not an access token', {
      hint: 'pipe it into the command, for example from `gh auth token`',
    });
  }
  return token;
}
