import { describe, expect, test } from 'vitest';
import { streamText, type Write } from './stream-text.ts';

interface Watched {
  readonly body: ReadableStream<Uint8Array>;
  readonly ended: Promise<void>;
}

function watch(produce: (write: Write, signal: AbortSignal) => Promise<void>, signals: AbortSignal[] = []): Watched {
  const ended = Promise.withResolvers<void>();
  return { body: streamText({ signals, produce, onEnd: ended.resolve }), ended: ended.promise };
}

describe('a streamed body', () => {
  test('is all that was written, then it ends', async () => {
    const { body, ended } = watch(async (write) => {
      await write('grün');
      await write(new Uint8Array([33]));
    });
    expect(await new Response(body).text()).toBe('grün!');
    await ended;
  });

  test('is written no faster than it is read', async () => {
    let written = 0;
    const { body } = watch(async (write) => {
      for (let count = 0; count < 1_000; count++) {
        await write('x'.repeat(10_000));
        written += 1;
      }
    });
    const reader = body.getReader();
    await reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).toBeLessThan(20);
    await reader.cancel();
  });

  test('ends what is written when its reader goes, even while it waits', async () => {
    const { body, ended } = watch(async (write) => {
      for (;;) await write('x'.repeat(100_000));
    });
    const reader = body.getReader();
    await reader.read();
    await reader.cancel();
    await ended;
    expect((await reader.read()).done).toBe(true);
  });

  test('ends as it is when a signal aborts', async () => {
    const stop = new AbortController();
    const { body, ended } = watch(
      async (write, signal) => {
        await write('so far');
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        await write('never');
      },
      [stop.signal],
    );
    const reader = body.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('so far');
    stop.abort();
    expect((await reader.read()).done).toBe(true);
    await ended;
  });

  test('breaks when the writing fails', async () => {
    const { body, ended } = watch(() => Promise.reject(new Error('no')));
    await expect(new Response(body).text()).rejects.toThrow('no');
    await ended;
  });
});
