import { createServer, connect, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/** The cut of one connection at a byte, at any position in a TLS record, a WebSocket frame or a log frame. */
export interface Cut {
  /** The counted bytes: those that c3 sends, or those that it receives. */
  readonly direction: 'sent' | 'received';
  /** The number of bytes before the cut. */
  readonly afterBytes: number;
  /** `loud`: resets both ends. `silent`: both stay open without data, as when a middle box forgets the connection. */
  readonly how: 'loud' | 'silent';
}

/** A proxy between c3 and an API server, which forwards bytes and cuts connections. */
export interface CuttingProxy {
  readonly port: number;
  /** The cuts of the next connections, in order. Undefined, or a later connection: no cut. */
  readonly plan: (Cut | undefined)[];
  /** The number of planned cuts that have happened. */
  readonly cutCount: number;
  /** Cuts all open connections; returns their number. */
  cutAll(how: Cut['how']): number;
  close(): Promise<void>;
}

export async function createCuttingProxy(targetPort: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  const live = new Set<(how: Cut['how']) => void>();
  const plan: (Cut | undefined)[] = [];
  let cutCount = 0;

  function keep(socket: Socket): Socket {
    sockets.add(socket);
    return socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
  }
  const server = createServer((near) => {
    const cut = plan.shift();
    const far = keep(connect(targetPort, '127.0.0.1'));
    keep(near);
    let isCut = false;

    function end(how: Cut['how']): void {
      if (isCut) return;
      isCut = true;
      cutCount += 1;
      live.delete(end);
      if (how === 'loud') {
        near.resetAndDestroy();
        far.resetAndDestroy();
      } else {
        // It keeps reading, so that full buffers do not reveal the cut.
        near.resume();
        far.resume();
      }
    }
    function relay(from: Socket, to: Socket, direction: Cut['direction']): void {
      let left = cut?.direction === direction ? cut.afterBytes : Number.POSITIVE_INFINITY;
      from.on('data', (chunk: Buffer) => {
        if (isCut) return;
        const part = chunk.subarray(0, left);
        left -= part.length;
        const isLast = left <= 0;
        if (!to.write(part, () => isLast && cut && end(cut.how)) && !isLast) {
          from.pause();
          to.once('drain', () => from.resume());
        }
        if (isLast) from.pause();
      });
      from.on('close', () => {
        live.delete(end);
        // After a silent cut neither end learns that the other has closed.
        if (!isCut) to.destroy();
      });
    }
    live.add(end);
    relay(near, far, 'sent');
    relay(far, near, 'received');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    plan,
    get cutCount() {
      return cutCount;
    },
    cutAll(how): number {
      const ends = [...live];
      for (const end of ends) end(how);
      return ends.length;
    },
    async close(): Promise<void> {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
