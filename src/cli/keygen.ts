import { randomBytes } from 'node:crypto';
import { formatSecret } from '../sealing/index.ts';
import type { Terminal } from './terminal.ts';

/** The size of an AES-256 key, as `C3_SECRET` requires. */
const SECRET_BYTES = 32;

/** Runs `c3 keygen`: prints only a new secret for `C3_SECRET`. */
export function keygen(terminal: Terminal): number {
  terminal.print(formatSecret(randomBytes(SECRET_BYTES)));
  return 0;
}
