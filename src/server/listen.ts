import { serve, type ServerType } from '@hono/node-server';
import type { Hono } from 'hono';

export interface Listener {
  /** Where it listens, `http://127.0.0.1:8668`. */
  readonly origin: string;
  /** Takes no new connection and resolves when the open ones have ended. */
  close(): Promise<void>;
}

/** A request line with the longest hook URL and the headers of every forge take about 8 KiB. */
const MAX_HEADER_BYTES = 32 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;

/** The one place that knows a socket. Rejects when the port is taken. */
export function listen(app: Hono, { host, port }: { host: string; port: number }): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server: ServerType = serve(
      {
        fetch: app.fetch,
        hostname: host,
        port,
        serverOptions: {
          maxHeaderSize: MAX_HEADER_BYTES,
          requestTimeout: REQUEST_TIMEOUT_MS,
          headersTimeout: HEADERS_TIMEOUT_MS,
        },
      },
      (address) => {
        const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
        resolve({
          origin: `http://${shown}:${address.port}`,
          close: () => new Promise((closed) => void server.close(() => closed())),
        });
      },
    );
    server.once('error', reject);
  });
}
