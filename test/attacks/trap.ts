import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { generate } from 'selfsigned';

/** A server of the attacker that records all requests. */
export interface Trap {
  /** `http://127.0.0.1:PORT`, or `https://…` with {@link Trap.ca}. */
  readonly origin: string;
  /** Its certificate in PEM. Empty for HTTP. */
  readonly ca: string;
  readonly requests: readonly Caught[];
  close(): Promise<void>;
}

export interface Caught {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

/** Creates a trap. The default answer is an empty 200. */
export async function createTrap(answer?: RequestListener, options: { isSecure?: boolean } = {}): Promise<Trap> {
  const requests: Caught[] = [];
  const listener: RequestListener = (incoming, outgoing) => {
    requests.push({ method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers });
    if (answer === undefined) outgoing.end();
    else answer(incoming, outgoing);
  };
  const pair = options.isSecure === true ? await createCertificate() : undefined;
  const server = pair ? createSecureServer(pair, listener) : createServer(listener);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `${pair ? 'https' : 'http'}://127.0.0.1:${port}`,
    ca: pair?.cert ?? '',
    requests,
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

async function createCertificate(): Promise<{ cert: string; key: string }> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keyType: 'ec',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  return { cert, key };
}
