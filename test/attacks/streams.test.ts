import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type KubeClient } from '../../src/kube/client.ts';
import { createExecClient } from '../../src/kube/exec.ts';
import type { ClusterAccess } from '../../src/kube/kubeconfig.ts';

const MIB = 1024 * 1024;
/** What a server may send in one answer: the largest body, and a megabyte around it. */
const MAX_ANSWER_BYTES = 5 * MIB;
/** What the buffers of both systems hold, beyond what c3 has read. */
const BUFFERS = 8 * MIB;
/** So an attack that succeeds ends. */
const MAX_SENT = 64 * MIB;

const OK = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`;
const PIECE = 64 * 1024;

/** How each attack begins, and what it repeats. */
const ATTACKS: Readonly<Record<string, readonly [start: string, endless: string]>> = {
  'informational answers': ['', 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'.repeat(1_000)],
  'one chunk extension': [`${CHUNKED}1;x=`, 'x'.repeat(PIECE)],
  'one header': [`${OK}x: `, 'x'.repeat(PIECE)],
  headers: [OK, 'x: y\r\n'.repeat(10_000)],
  trailers: [`${CHUNKED}2\r\n{}\r\n0\r\n`, 'x: y\r\n'.repeat(10_000)],
  'chunks of one byte, each with an extension': [CHUNKED, `1;${'x'.repeat(1_000)}\r\n \r\n`.repeat(60)],
};

const UPGRADE = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n';

/** A WebSocket frame without a mask. Its first byte is the opcode, and 0x80 if it is the last one of its message. */
function frame(first: number, data: Uint8Array = Buffer.of()): Buffer {
  const { length } = data;
  return Buffer.concat([
    Buffer.from(length < 126 ? [first, length] : [first, 126, Math.floor(length / 256), length % 256]),
    data,
  ]);
}
const repeat = (bytes: Buffer): Buffer => Buffer.alloc(bytes.length * Math.ceil(PIECE / bytes.length), bytes);
const toMessage = (channel: number, size = 32 * 1024): Buffer =>
  frame(0x82, Buffer.alloc(size, ' ').fill(channel, 0, 1));

/** What an open exec gets: how it begins, and what repeats. */
const FRAMES: Readonly<Record<string, readonly [start: Buffer, endless: Buffer]>> = {
  pings: [Buffer.of(), repeat(frame(0x89))],
  'large pings': [Buffer.of(), repeat(frame(0x89, Buffer.alloc(125)))],
  pongs: [Buffer.of(), repeat(frame(0x8a))],
  'frames without a channel': [Buffer.of(), repeat(frame(0x82))],
  'frames without output': [Buffer.of(), repeat(toMessage(1, 1))],
  'frames of an unknown channel': [Buffer.of(), repeat(toMessage(9))],
  'texts of an unknown channel': [Buffer.of(), repeat(frame(0x81, Buffer.from('no output')))],
  'a status without end': [Buffer.of(), repeat(toMessage(3))],
  'a message without end': [frame(0x02, Buffer.of(1)), repeat(frame(0x00))],
};

describe('A12 A cluster that sends without end around its answers', () => {
  let server: Server;
  let access: ClusterAccess;
  let attack: readonly [string | Buffer, string | Buffer];
  let sent = 0;
  let connections = 0;

  beforeAll(async () => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'x' }], {
      keyType: 'ec',
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
    });
    server = createServer({ key, cert }, (socket) => {
      connections += 1;
      socket.on('error', () => {}).once('data', (request) => pour(socket, String(request)));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    access = { origin, basePath: '', namespace: 'default', ca: cert, token: 'a-token' };
  });
  afterAll(() => void server.close());

  /** Sends as much as the connection takes. */
  function pour(socket: TLSSocket, request: string): void {
    const [start, endless] = attack;
    const [, key] = /^sec-websocket-key: (.*)\r$/im.exec(request) ?? [];
    if (typeof start !== 'string') {
      const proof = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.write(`${UPGRADE}Sec-WebSocket-Accept: ${proof}\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n`);
    }
    socket.write(start);
    const piece = Buffer.from(endless);
    function more(): void {
      while (!socket.destroyed && sent < MAX_SENT) {
        sent += piece.length;
        if (!socket.write(piece)) return void socket.once('drain', more);
      }
    }
    more();
  }

  function begin(name: string): void {
    attack = ATTACKS[name] ?? FRAMES[name] ?? ['', ''];
    [sent, connections] = [0, 0];
  }

  async function use<T>(work: (client: KubeClient) => Promise<T>): Promise<T> {
    const client = createClient(access);
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  }

  it.each([
    'informational answers',
    'one chunk extension',
    'one header',
    'headers',
    'trailers',
    'chunks of one byte, each with an extension',
  ])('gets no further with %s than with a large body', async (name) => {
    begin(name);
    await use(async (client) => {
      await expect(client.request({ method: 'GET', path: '/api' })).rejects.toMatchObject({
        code: 'CLUSTER_UNREACHABLE',
      });
    });
    expect(sent / connections).toBeLessThan(MAX_ANSWER_BYTES + BUFFERS);
  });

  it.each(['informational answers', 'one chunk extension', 'chunks of one byte, each with an extension'])(
    'ends a watch that sends %s',
    async (name) => {
      begin(name);
      await use(async (client) => {
        const read = async (): Promise<void> => {
          const stream = await client.stream({ method: 'GET', path: '/api' }, 60_000);
          const lines = stream.kind === 'ok' ? stream.lines : [];
          for await (const line of lines) if (line !== '') throw new Error('a line arrived');
        };
        await expect(read()).rejects.toThrow(/^The cluster's answer, with its headers and everything else around/);
      });
      expect(connections).toBe(1);
      expect(sent).toBeLessThan(MIB + BUFFERS);
    },
  );

  it('ends the request for an exec that gets informational answers', async () => {
    begin('informational answers');
    const execs = createExecClient(access);
    const options = { signal: new AbortController().signal, onStdout: () => {}, onStderr: () => {} };
    const target = { namespace: 'default', pod: 'a', container: 'b', argv: ['sh'] };
    expect(await execs.open(target, options as never)).toMatchObject({
      kind: 'refused',
      isTransient: false,
      message: expect.stringMatching(
        /^cannot reach the cluster: The cluster's answer, with its headers and everything/,
      ),
    });
    expect(sent).toBeLessThan(MIB + BUFFERS);
    execs.close();
  });

  it.each([
    ['pings', 'too many pings'],
    ['large pings', 'too many pings'],
    ['pongs', 'too many pings'],
    ['frames without a channel', 'too many pings, pongs or empty frames'],
    ['frames without output', 'too many pings, pongs or empty frames'],
    ['frames of an unknown channel', 'a frame on the unknown channel 9'],
    ['texts of an unknown channel', 'a frame on the unknown channel 110'],
    ['a status without end', 'a status of more than 65536 bytes'],
    ['a message without end', 'Too many message fragments'],
  ])('ends an open exec that sends %s', async (name, message) => {
    begin(name);
    const execs = createExecClient(access);
    const options = { signal: new AbortController().signal, onStdout: () => {}, onStderr: () => {} };
    const answer = await execs.open({ namespace: 'default', pod: 'a', container: 'b', argv: ['sh'] }, options);
    const end = answer.kind === 'open' ? await answer.session.done : undefined;
    expect(end).toMatchObject({ kind: 'cut', message: expect.stringContaining(message) });
    expect(sent).toBeLessThan(MIB + BUFFERS);
    execs.close();
  });

  it('counts all of it against the budget of the cluster', async () => {
    begin('informational answers');
    await use(async (client) => {
      // Four are enough, unless the machine is so slow that the budget grows meanwhile.
      for (let n = 0; n < 40 && client.budget.delay(0) === 0; n += 1)
        await client.request({ method: 'GET', path: '/api' }).catch(() => {});
      expect(client.budget.delay(0)).toBeGreaterThan(0);
    });
  });
});
