import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Transform } from 'node:stream';

/** A proxy that makes a server seem far away: each byte and each new connection arrives later. */
export interface DelayProxy {
  /** `HOST:PORT`. */
  readonly host: string;
  close(): Promise<void>;
}

/** `to`: `HOST:PORT` of the server. The proxy listens on the same address, at a free port. */
export async function createDelayProxy(to: string, roundTripMs: number): Promise<DelayProxy> {
  const { hostname, port } = new URL(`http://${to}`);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one.setNoDelay());
      one.on('error', () => other.destroy()).on('close', () => sockets.delete(one));
    }
    // A new connection costs a round trip more, as in TCP.
    near.pipe(createDelay(roundTripMs / 2, roundTripMs)).pipe(far);
    far.pipe(createDelay(roundTripMs / 2)).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, hostname, resolve));
  return {
    host: `${hostname}:${(server.address() as AddressInfo).port}`,
    async close(): Promise<void> {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Passes on each chunk after `ms`, and nothing before `firstMs` more have passed. Keeps the order. */
function createDelay(ms: number, firstMs = 0): Transform {
  const startAt = performance.now() + firstMs;
  return new Transform({
    // Chunks that come meanwhile wait for the same time each, so a long answer is not slower than a short one.
    readableHighWaterMark: 1 << 24,
    transform(chunk: Buffer, _encoding, done) {
      const at = Math.max(performance.now(), startAt) + ms;
      setTimeout(() => this.push(chunk), at - performance.now());
      done();
    },
    flush(done) {
      setTimeout(done, ms + Math.max(0, startAt - performance.now()));
    },
  });
}
