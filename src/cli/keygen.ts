import { randomBytes } from 'node:crypto';
import { formatSecret } from '../sealing/index.ts';
import type { Terminal } from './terminal.ts';

/** 32 bytes: an AES-256 key's worth, and what `C3_SECRET` takes. */
const SECRET_BYTES = 32;

/** `c3 keygen`: a new secret for `C3_SECRET`, alone on standard output. */
export function keygen(terminal: Terminal): number {
  terminal.print(formatSecret(randomBytes(SECRET_BYTES)));
  return 0;
}
