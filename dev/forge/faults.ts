import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** A fault for each request whose `METHOD /path?query` matches. */
export type Fault = { readonly match: RegExp; /** How often; default always. */ readonly times?: number } & (
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** Delays the right response. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Resets the connection instead of a response. */
  | { readonly kind: 'cut' }
);

export interface Faults {
  /** Adds a fault; the function that it returns removes it. */
  add(fault: Fault): () => void;
  /** Applies the faults that match. Returns whether the request has its response. */
  apply(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<boolean>;
}

export function createFaults(): Faults {
  const faults = new Map<Fault, number>();

  function take(line: string): Fault | undefined {
    for (const [fault, left] of faults) {
      if (fault.match.test(line)) {
        if (left <= 1) {
          faults.delete(fault);
        } else {
          faults.set(fault, left - 1);
        }
        return fault;
      }
    }
    return undefined;
  }

  return {
    add(fault) {
      faults.set(fault, fault.times ?? Infinity);
      return () => {
        faults.delete(fault);
      };
    },
    async apply(request, response, signal) {
      const fault = take(`${request.method} ${request.url}`);
      if (fault === undefined) {
        return false;
      }
      if (fault.kind === 'delay') {
        await sleep(fault.ms, undefined, { signal });
        return false;
      }
      if (fault.kind === 'cut') {
        request.socket.resetAndDestroy();
        return true;
      }
      request.resume();
      response.writeHead(fault.status, { 'content-type': 'application/json; charset=utf-8', ...fault.headers });
      response.end(fault.body ?? JSON.stringify({ message: `Fault: ${fault.status}` }));
      return true;
    },
  };
}
