import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { C3Error } from '../errors.ts';
import { toErrorResponse } from './responses.ts';
import { listen, type Listener } from './listen.ts';
import { createBodyReader } from './read-body.ts';

/** Only the tests of slow bodies need short time limits. */
const [bodies, impatient] = [createBodyReader({ bodyMs: 60_000 }), createBodyReader({ bodyMs: 400, bodyIdleMs: 150 })];
const sender = { group: 'acme', member: 'hook' };
let listener: Listener;
/** The server's side of each connection that has sent a request. */
let accepted: Set<Socket>;

/** What the app was asked. */
let asked: string[];

/** What the app threw. */
let faults: unknown[];

class Poison extends Error {
  override get message(): string {
    throw new Error('poison');
  }
}

function note(message: unknown): void {
  accepted.add((message as { socket: Socket }).socket);
}

beforeEach(async () => {
  accepted = new Set();
  subscribe('http.server.request.start', note);
  const app = new Hono();
  app.post('/refused', () => toErrorResponse(new C3Error('SEALED_INVALID', 'The key does not open')));
  app.post(
    '/read',
    async ({ req }) => new Response(String((await bodies.read(req.raw, { maxBytes: 5 * 1024 * 1024, sender })).length)),
  );
  app.post(
    '/slow',
    async ({ req }) => new Response(String((await impatient.read(req.raw, { maxBytes: 1_000, sender })).length)),
  );
  app.get('/', () => new Response('hello'));
  app.get('/count', ({ req }) => {
    asked.push(req.query('n') ?? '');
    return new Response('x'.repeat(16 * 1024));
  });
  app.get('/large', () => new Response('x'.repeat(64 * 1024 * 1024)));
  app.onError((error) => (error.message === '' ? new Response() : toErrorResponse(error)));
  app.post('/poisoned', () => {
    throw new Poison();
  });
  app.post('/null', () => {
    // oxlint-disable-next-line typescript/only-throw-error -- what a dependency might throw
    throw null;
  });
  faults = [];
  asked = [];
  const limits = { stallMs: 100 };
  listener = await listen(app, { host: '127.0.0.1', port: 0, onFault: (error) => void faults.push(error), limits });
});
afterEach(async () => {
  unsubscribe('http.server.request.start', note);
  await listener.close();
});

interface Client {
  readonly socket: Socket;
  /** Everything received until the server closed. */
  readonly answer: Promise<string>;
}

function open(text: string): Client {
  const { hostname, port } = new URL(listener.origin);
  const socket = connect(Number(port), hostname);
  const received: Buffer[] = [];
  const answer = new Promise<string>((resolve) => {
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('error', () => {}); // a reset is the end, too
    socket.on('close', () => resolve(Buffer.concat(received).toString()));
  });
  socket.write(text);
  return { socket, answer };
}

function post(path: string, headers: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: c3\r\n${headers}\r\n\r\n`;
}

/** Sends as much of `byteLength` as the connection takes. */
function pour(socket: Socket, byteLength: number): void {
  const piece = Buffer.alloc(64 * 1024, 'x');
  let left = byteLength;
  function more(): void {
    while (left > 0 && !socket.destroyed) {
      left -= piece.length;
      if (!socket.write(piece)) return void socket.once('drain', more);
    }
  }
  more();
}

const LARGE = 25 * 1024 * 1024;

describe('a body of 25 MB', () => {
  it.each([
    ['whose key does not open', '/refused', `Content-Length: ${LARGE}`, 'HTTP/1.1 401', 'The key does not open'],
    ['that goes nowhere', '/nowhere', `Content-Length: ${LARGE}`, 'HTTP/1.1 404', ''],
    [
      'that announces its size',
      '/read',
      `Content-Length: ${LARGE}`,
      'HTTP/1.1 413',
      'The body is larger than 5120 KiB',
    ],
  ])('%s is read up to 64 KiB, and its sender gets the response', async (_, path, headers, status, text) => {
    const client = open(post(path, headers));
    pour(client.socket, LARGE);
    const answer = await client.answer;
    expect(answer).toContain(status);
    expect(answer).toContain(text);
    expect(answer.toLowerCase()).toContain('connection: close');
    const [socket] = accepted;
    expect(socket?.bytesRead).toBeGreaterThan(0);
    expect(socket?.bytesRead).toBeLessThanOrEqual(64 * 1024);
  });

  it('that does not announce its size is read up to the limit', async () => {
    const client = open(post('/read', 'Transfer-Encoding: chunked'));
    const piece = Buffer.alloc(0x10000, 'x');
    client.socket.on('drain', send);
    let left = LARGE;
    function send(): void {
      while (left > 0 && !client.socket.destroyed) {
        left -= piece.length;
        client.socket.write('10000\r\n');
        client.socket.write(piece);
        if (!client.socket.write('\r\n')) return;
      }
    }
    send();
    expect(await client.answer).toContain('HTTP/1.1 413');
    const [socket] = accepted;
    expect(socket?.bytesRead).toBeLessThan(6 * 1024 * 1024);
  });
});

describe('a slow body', () => {
  it('ends after a pause', async () => {
    const client = open(`${post('/slow', 'Content-Length: 100')}half`);
    expect(await client.answer).toMatch(/HTTP\/1\.1 400[^]*The body paused for more than 0\.15 s\n/);
  });

  it('ends even if a little arrives now and then', async () => {
    const client = open(post('/slow', 'Content-Length: 100'));
    const drip = setInterval(() => client.socket.write('x'), 50);
    expect(await client.answer).toMatch(/HTTP\/1\.1 400[^]*The body took longer than 0\.4 s\n/);
    clearInterval(drip);
  });
});

describe('a connection', () => {
  it('serves request after request, also after bodies that nobody reads', async () => {
    const client = open(`${post('/refused', 'Content-Length: 4')}body`);
    client.socket.write(`${post('/read', 'Content-Length: 5')}12345`);
    client.socket.write('GET / HTTP/1.1\r\nHost: c3\r\nConnection: close\r\n\r\n');
    const answer = await client.answer;
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200', 'HTTP/1.1 200']);
    expect(answer).toContain('\r\n\r\n5');
    expect(answer).toContain('hello');
    expect(accepted.size).toBe(1);
  });

  it('is closed when it sends more than four requests without reading a response', async () => {
    const requests = Array.from({ length: 1_000 }, (_one, n) => `GET /count?n=${n} HTTP/1.1\r\nHost: c3\r\n\r\n`);
    await open(requests.join('')).answer;
    // Four of each packet, and the system may make two or three packets.
    expect(asked.length).toBeLessThan(20);
  });

  it('may send any number of requests, one after the other', async () => {
    const client = open('');
    for (let n = 0; n < 20; n += 1) {
      const answered = new Promise((resolve) => void client.socket.once('data', resolve));
      client.socket.write('GET / HTTP/1.1\r\nHost: c3\r\n\r\n');
      await answered;
    }
    client.socket.end();
    expect((await client.answer).match(/hello/g)).toHaveLength(20);
  });

  it('is closed when its reader takes nothing of a response', async () => {
    const client = open('GET /large HTTP/1.1\r\nHost: c3\r\n\r\n');
    client.socket.pause();
    await expect.poll(() => [...accepted].map(({ destroyed }) => destroyed)).toEqual([true]);
    client.socket.destroy();
  });
});

describe('a sender that leaves in the middle of its body', () => {
  it('disturbs nobody', async () => {
    const client = open(`${post('/read', 'Content-Length: 100')}half`);
    await expect.poll(() => accepted.size).toBe(1);
    client.socket.destroy();
    const [socket] = accepted;
    await expect.poll(() => socket?.destroyed).toBe(true);
    expect(await (await fetch(listener.origin)).text()).toBe('hello');
    expect(faults).toEqual([]);
  });
});

describe('a handler that throws a value that cannot be printed', () => {
  it('fails only its own request', async () => {
    for (const path of ['/poisoned', '/null']) {
      const answer = await fetch(`${listener.origin}${path}`, { method: 'POST', body: 'x' });
      expect([answer.status, await answer.text()]).toEqual([500, 'c3 failed on this request; see its log\n']);
    }
    expect(faults).toEqual([expect.objectContaining({ message: 'poison' }), null]);
    expect(await (await fetch(listener.origin)).text()).toBe('hello');
  });
});

describe('a streamed response', () => {
  /** What became of the stream. */
  let ends: string[];
  let streaming: Listener;
  let controller: ReadableStreamDefaultController<Uint8Array>;

  beforeEach(async () => {
    ends = [];
    const app = new Hono();
    app.get('/endless', () => {
      const pull = (one: typeof controller): void => one.enqueue(Buffer.alloc(256 * 1024, 'x'));
      return new Response(new ReadableStream<Uint8Array>({ pull, cancel: () => void ends.push('endless cancelled') }));
    });
    app.get('/stream', ({ req }) => {
      req.raw.signal.addEventListener('abort', () => ends.push('request aborted'));
      const stream = new ReadableStream<Uint8Array>({
        start(one) {
          controller = one;
          controller.enqueue(Buffer.from('begun '));
        },
        cancel: () => void ends.push('stream cancelled'),
      });
      return new Response(stream, { headers: { 'content-type': 'text/event-stream' } });
    });
    const limits = { requestMs: 50, headersMs: 50, checkEveryMs: 10, stallMs: 50, closeMs: 300 };
    streaming = await listen(app, { host: '127.0.0.1', port: 0, onFault: (error) => void faults.push(error), limits });
  });
  afterEach(async () => await streaming.close());

  async function begin(): Promise<{ socket: Socket; heard: () => string; closed: Promise<string> }> {
    const { hostname, port } = new URL(streaming.origin);
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    const closed = new Promise<string>((resolve) => void socket.on('close', () => resolve(text)));
    socket.write('GET /stream HTTP/1.1\r\nHost: c3\r\n\r\n');
    await expect.poll(() => text).toContain('begun');
    return { socket, heard: () => text, closed };
  }

  it('is sent piece by piece, beyond the time limit of requests', async () => {
    const { socket, heard } = await begin();
    // Together several times the limit of a request.
    for (let piece = 0; piece < 5; piece += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      controller.enqueue(Buffer.from(`piece${piece} `));
      await expect.poll(heard).toContain(`piece${piece} `);
    }
    socket.destroy();
  });

  it('ends when its reader leaves', async () => {
    const { socket } = await begin();
    socket.destroy();
    await expect.poll(() => ends.toSorted()).toEqual(['request aborted', 'stream cancelled']);
  });

  it.each(['HTTP/1.0', 'HTTP/1.1'])('is reset when its reader takes nothing: %s', async (version) => {
    const { hostname, port } = new URL(streaming.origin);
    const socket = connect(Number(port), hostname).pause();
    const failed = new Promise<unknown>((resolve) => void socket.once('error', resolve));
    socket.write(`GET /endless ${version}\r\nHost: c3\r\n\r\n`);
    await expect.poll(() => ends).toContain('endless cancelled');
    socket.resume();
    expect(await failed).toMatchObject({ code: 'ECONNRESET' });
  });

  it('is reset when its reader takes nothing, also behind another response of the connection', async () => {
    const { hostname, port } = new URL(streaming.origin);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {}).once('data', () => socket.pause());
    socket.write(`GET /nowhere HTTP/1.1\r\nHost: c3\r\n\r\nGET /endless HTTP/1.1\r\nHost: c3\r\n\r\n`);
    await expect.poll(() => ends).toContain('endless cancelled');
    socket.destroy();
  });

  it('stays open while there is nothing to send', async () => {
    const { socket, heard } = await begin();
    await new Promise((resolve) => setTimeout(resolve, 300)); // several times the limit of a reader
    controller.enqueue(Buffer.from('at last'));
    await expect.poll(heard).toContain('at last');
    socket.destroy();
  });

  it('may end by itself when c3 shuts down', async () => {
    const polite = await begin();
    const closing = streaming.close();
    controller.enqueue(Buffer.from('the end'));
    controller.close();
    expect(await polite.closed).toContain('the end');
    await closing;
  });

  it('is cut after a while when c3 shuts down', async () => {
    const stuck = await begin();
    await streaming.close();
    expect(await stuck.closed).toContain('begun');
    await expect.poll(() => ends).toContain('stream cancelled');
  });
});

it('closes the connection that has waited longest for a request when there are too many', async () => {
  const app = new Hono().get('/', () => new Response('hello'));
  const limits = { connections: 3 };
  const small = await listen(app, { host: '127.0.0.1', port: 0, onFault: () => {}, limits });
  const { hostname, port } = new URL(small.origin);
  const silent: Socket[] = [];
  const closed: number[] = [];
  for (let n = 0; n < 5; n += 1) {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {}).once('close', () => closed.push(n));
    await once(socket, 'connect');
    silent.push(socket);
  }
  await expect.poll(() => closed).toEqual([0, 1]);
  expect(await (await fetch(small.origin)).text()).toBe('hello');
  await expect.poll(() => closed).toEqual([0, 1, 2]);
  for (const socket of silent) socket.destroy();
  await small.close();
});
