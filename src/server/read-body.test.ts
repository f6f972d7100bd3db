import { describe, expect, it } from 'vitest';
import { createBodyReader } from './read-body.ts';

interface Sender {
  readonly request: Request;
  send(byteLength: number): void;
  sendPiece(piece: Uint8Array): void;
  end(): void;
  fail(): void;
}

function createSender(headers: Record<string, string> = {}): Sender {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
  return {
    request: new Request('http://c3/hook', { method: 'POST', body, headers, duplex: 'half' }),
    send: (byteLength) => controller?.enqueue(new Uint8Array(byteLength)),
    sendPiece: (piece) => controller?.enqueue(piece),
    end: () => controller?.close(),
    fail: () => controller?.error(new Error('reset')),
  };
}

const TOOK_LONGEST = 'c3 reads as many bodies as it can: this one took the longest';
const IS_LARGEST = 'c3 reads as many bodies as it can: this one is the largest';

describe('a body reader', () => {
  it('reads a body in pieces, one that is empty, and one that is not there', async () => {
    const reader = createBodyReader();
    const sender = createSender();
    const read = reader.read(sender.request, 10);
    sender.send(4);
    sender.send(6);
    sender.end();
    expect((await read).length).toBe(10);
    const empty = createSender();
    empty.end();
    expect(await reader.read(empty.request, 10)).toHaveLength(0);
    expect(await reader.read(new Request('http://c3/hook', { method: 'POST' }), 10)).toHaveLength(0);
  });

  it('refuses what is too large, before it is read where it says so', async () => {
    const reader = createBodyReader();
    const honest = createSender({ 'content-length': '11' });
    await expect(reader.read(honest.request, 10)).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    expect(honest.request.bodyUsed).toBe(false);
    const liar = createSender({ 'content-length': '1' });
    const read = reader.read(liar.request, 10);
    liar.send(11);
    await expect(read).rejects.toMatchObject({ code: 'BODY_TOO_LARGE', message: 'The body is larger than 0 KiB' });
  });

  it('puts a body together from pieces of any size, and is done with a piece as soon as it has read it', async () => {
    const sender = createSender();
    const read = createBodyReader().read(sender.request, 1000);
    const pieces = [1, 1, 300, 2, 0, 5, 100, 1].map((length, n) => new Uint8Array(length).fill(n));
    const expected = Buffer.concat(pieces);
    for (const piece of pieces) sender.sendPiece(piece);
    sender.end();
    const body = await read;
    for (const piece of pieces) piece.fill(255);
    expect(Buffer.from(body)).toEqual(expected);
  });

  it('counts what a body holds, which may be twice of what has come', async () => {
    const reader = createBodyReader({ maxTotalBytes: 100 });
    const sender = createSender();
    const read = reader.read(sender.request, 1000);
    sender.send(51);
    sender.send(1);
    await expect(read).rejects.toMatchObject({ code: 'RATE_LIMITED', message: IS_LARGEST });
  });

  it('tells a body that breaks off', async () => {
    const sender = createSender();
    const read = createBodyReader().read(sender.request, 10);
    sender.fail();
    await expect(read).rejects.toMatchObject({
      code: 'BODY_UNREADABLE',
      message: 'The body ended before it was whole',
    });
  });

  it('gives up the body that takes the longest when there are too many, and the newer ones go on', async () => {
    const reader = createBodyReader({ maxBodies: 2 });
    const [first, second, third] = [createSender(), createSender(), createSender()];
    const reads = [first, second, third].map(async ({ request }) => await reader.read(request, 10));
    await expect(reads[0]).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      message: TOOK_LONGEST,
      retryAfterSeconds: 10,
    });
    for (const { send, end } of [second, third]) {
      send(3);
      end();
    }
    expect((await Promise.all(reads.slice(1))).map(({ length }) => length)).toEqual([3, 3]);
  });

  it('gives up the largest body when they hold too much together, and what it held is free again', async () => {
    const reader = createBodyReader({ maxTotalBytes: 100 });
    const [small, large] = [createSender(), createSender()];
    const readSmall = reader.read(small.request, 1000);
    const readLarge = reader.read(large.request, 1000);
    small.send(30);
    large.send(80);
    await expect(readLarge).rejects.toMatchObject({ code: 'RATE_LIMITED', message: IS_LARGEST });
    large.send(500);
    const next = createSender();
    const readNext = reader.read(next.request, 1000);
    next.send(70);
    next.end();
    small.end();
    expect((await readSmall).length).toBe(30);
    expect((await readNext).length).toBe(70);
  });
});
