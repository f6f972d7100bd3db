import { describe, expect, it } from 'vitest';
import { createBodyReader, type BodySender } from './read-body.ts';

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

/** A body of at most `maxBytes`, of a hook of `group`. */
function of(maxBytes: number, group = 'acme', member = 'hook'): { maxBytes: number; sender: BodySender } {
  return { maxBytes, sender: { group, member } };
}

const TOOK_LONGEST = 'c3 reads too many bodies at once, and this is the oldest';
const IS_LARGEST = 'c3 reads too many bodies at once, and this is the largest';

describe('a body reader', () => {
  it('reads a body in pieces, an empty body, and no body', async () => {
    const reader = createBodyReader();
    const sender = createSender();
    const read = reader.read(sender.request, of(10));
    sender.send(4);
    sender.send(6);
    sender.end();
    expect((await read).length).toBe(10);
    const empty = createSender();
    empty.end();
    expect(await reader.read(empty.request, of(10))).toHaveLength(0);
    expect(await reader.read(new Request('http://c3/hook', { method: 'POST' }), of(10))).toHaveLength(0);
  });

  it('refuses a body that is too large, before it reads it if the header says so', async () => {
    const reader = createBodyReader();
    const honest = createSender({ 'content-length': '11' });
    await expect(reader.read(honest.request, of(10))).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    expect(honest.request.bodyUsed).toBe(false);
    const liar = createSender({ 'content-length': '1' });
    const read = reader.read(liar.request, of(10));
    liar.send(11);
    await expect(read).rejects.toMatchObject({ code: 'BODY_TOO_LARGE', message: 'The body is larger than 0 KiB' });
  });

  it('copies pieces of any size', async () => {
    const sender = createSender();
    const read = createBodyReader().read(sender.request, of(1000));
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
    const read = reader.read(sender.request, of(1000));
    sender.send(51);
    sender.send(1);
    await expect(read).rejects.toMatchObject({ code: 'RATE_LIMITED', message: IS_LARGEST });
  });

  it('reports a body that breaks off', async () => {
    const sender = createSender();
    const read = createBodyReader().read(sender.request, of(10));
    sender.fail();
    await expect(read).rejects.toMatchObject({
      code: 'BODY_UNREADABLE',
      message: 'The body ended too early',
    });
  });

  it('drops the oldest body when there are too many, and reads the others', async () => {
    const reader = createBodyReader({ bodies: 2 });
    const [first, second, third] = [createSender(), createSender(), createSender()];
    const reads = [first, second, third].map(async ({ request }) => await reader.read(request, of(10)));
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
    const readSmall = reader.read(small.request, of(1000));
    const readLarge = reader.read(large.request, of(1000));
    small.send(30);
    large.send(80);
    await expect(readLarge).rejects.toMatchObject({ code: 'RATE_LIMITED', message: IS_LARGEST });
    large.send(500);
    const next = createSender();
    const readNext = reader.read(next.request, of(1000));
    next.send(70);
    next.end();
    small.end();
    expect((await readSmall).length).toBe(30);
    expect((await readNext).length).toBe(70);
  });

  it('drops the oldest body of the member with most, of the group with most', async () => {
    const reader = createBodyReader({ bodies: 6 });
    const senders = [
      ['acme', 'mine'],
      ['new', 'shop'],
      ['new', 'other'],
      ['new', 'other'],
      ['acme', 'stolen'],
      ['acme', 'stolen'],
      ['new', 'third'],
      ['acme', 'stolen'],
    ].map(([group, member]) => ({ ...createSender(), group, member }));
    const reads = senders.map(async ({ request, group, member }) => await reader.read(request, of(10, group, member)));
    for (const dropped of [2, 4]) await expect(reads[dropped]).rejects.toMatchObject({ message: TOOK_LONGEST });
    for (const { end } of senders) end();
    const results = await Promise.allSettled(reads);
    expect(results.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([2, 4]);
  });

  it('drops a small body of a sender with many, and not the largest of all', async () => {
    const reader = createBodyReader({ totalBodyBytes: 100 });
    const [mine, ...strangers] = Array.from({ length: 5 }, createSender);
    const read = reader.read(mine!.request, of(1000));
    const dropped = strangers.map(({ request }) => reader.read(request, of(1000, 'new', 'shop')));
    mine!.send(40);
    for (const { send } of strangers) send(20);
    await expect(dropped[0]).rejects.toMatchObject({ code: 'RATE_LIMITED', message: IS_LARGEST });
    for (const { end } of [mine!, ...strangers]) end();
    expect(await read).toHaveLength(40);
    await Promise.allSettled(dropped);
  });
});
