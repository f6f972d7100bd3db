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

const TOOK_LONGEST = 'c3 reads too many bodies at once, and this is the oldest';
const IS_LARGEST = 'c3 reads too many bodies at once, and this is the largest';

describe('a body reader', () => {
  it('reads a body in pieces, an empty body, and no body', async () => {
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

  it('refuses a body that is too large, before it reads it if the header says so', async () => {
    const reader = createBodyReader();
    const honest = createSender({ 'content-length': '11' });
    await expect(reader.read(honest.request, 10)).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    expect(honest.request.bodyUsed).toBe(false);
    const liar = createSender({ 'content-length': '1' });
    const read = reader.read(liar.request, 10);
    liar.send(11);
    await expect(read).rejects.toMatchObject({ code: 'BODY_TOO_LARGE', message: 'The body is larger than 0 KiB' });
  });

  it('copies pieces of any size', async () => {
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

  it('counts the memory of a body, which may be twice what has arrived', async () => {
    const reader = createBodyReader({ totalBodyBytes: 100 });
    const sender = createSender();
    const read = reader.read(sender.request, 1000);
    sender.send(51);
    sender.send(1);
    await expect(read).rejects.toMatchObject({ code: 'RATE_LIMITED', message: IS_LARGEST });
  });

  it('reports a body that breaks off', async () => {
    const sender = createSender();
    const read = createBodyReader().read(sender.request, 10);
    sender.fail();
    await expect(read).rejects.toMatchObject({
      code: 'BODY_UNREADABLE',
      message: 'The body ended too early',
    });
  });

  it('drops the oldest body when there are too many, and reads the others', async () => {
    const reader = createBodyReader({ bodies: 2 });
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

  it('drops the largest body when all hold too much memory, and frees its share', async () => {
    const reader = createBodyReader({ totalBodyBytes: 100 });
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
