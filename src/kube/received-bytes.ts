import type { Socket } from 'node:net';
import { C3Error } from '../errors.ts';
import type { ReadBudget } from './response-reader.ts';

/**
 * What an answer may have at the socket beside its body: headers, 1xx answers, chunk extensions, trailers. No reader of
 * the body sees these. Real answers have a few kilobytes.
 */
export const MAX_FRAMING_BYTES: number = 1024 * 1024;

export interface ReceiveLimits {
  readonly budget: ReadBudget;
  /** The event with which the owner of the socket reads it. Any other would change how the socket flows. */
  readonly event: 'readable' | 'data';
  /** Returns the limit of the current answer in bytes. */
  maxBytes(): number;
}

/**
 * Counts everything that arrives at a socket against the cluster's budget, and destroys the socket when one answer is
 * too large (threat model A12). Create it before the socket has its owner. One request at a time uses the socket.
 *
 * @returns a function that ends the count
 */
export function limitReceived(socket: Socket, { budget, event, maxBytes }: ReceiveLimits): () => void {
  let { bytesRead: seen, bytesWritten: written } = socket;
  let start = seen;
  function count(): void {
    const { bytesRead, bytesWritten } = socket;
    // c3 has sent something since the last bytes arrived, so a new answer begins.
    if (bytesWritten !== written) [written, start] = [bytesWritten, seen];
    budget.receive(bytesRead - seen);
    seen = bytesRead;
    const max = maxBytes();
    if (seen - start <= max) return;
    const message = `The cluster's answer, with its headers and everything else around its body, is larger than ${max} bytes`;
    socket.destroy(new C3Error('CLUSTER_UNREACHABLE', message));
  }
  socket.on(event, count);
  return () => void socket.off(event, count);
}
