import { C3Error } from '../errors.ts';

/** A sender that takes longer is not a forge. */
const MAX_BODY_MS = 10_000;

/**
 * The body of a request, at most `maxBytes`: what says it is larger is refused before a byte is read, what lies about it as soon
 * as it shows.
 *
 * @throws {C3Error} BODY_TOO_LARGE, BODY_UNREADABLE
 */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = new C3Error('BODY_TOO_LARGE', `The body is larger than ${Math.floor(maxBytes / 1024)} KiB`);
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge;
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), MAX_BODY_MS);
  const startedAt = Date.now();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
      if (length > maxBytes) throw tooLarge;
      chunks.push(value);
    }
  } catch (error) {
    if (error instanceof C3Error) throw error;
    throw new C3Error('BODY_UNREADABLE', 'The body ended before it was whole', { cause: error });
  } finally {
    clearTimeout(timer);
    await reader.cancel().catch(() => {}); // frees the socket; the answer is already decided
  }
  if (Date.now() - startedAt >= MAX_BODY_MS) {
    throw new C3Error('BODY_UNREADABLE', `The body took longer than ${MAX_BODY_MS / 1000} s`);
  }
  return Buffer.concat(chunks);
}
