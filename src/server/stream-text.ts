/**
 * Writes text or bytes, in the order of the calls. Resolves when there is room for more. Rejects when the reader has
 * left, or a signal has aborted.
 */
export type Write = (content: string | Uint8Array) => Promise<void>;

export interface StreamOptions {
  /** The signals that end the stream: that of the request, and that of the server. */
  readonly signals: readonly AbortSignal[];
  /** Writes everything. Its signal aborts when the reader leaves or a signal does; later errors are ignored. */
  produce(write: Write, signal: AbortSignal): Promise<void>;
  /** Called once, when `produce` has ended. */
  onEnd(): void;
}

/** Bytes that wait for a slow reader, beside those in the socket. */
const BUFFER_BYTES = 64 * 1024;

/** Creates a response body that is produced as fast as it is read (A12). */
export function streamText({ signals, produce, onEnd }: StreamOptions): ReadableStream<Uint8Array> {
  const left = new AbortController();
  const signal = AbortSignal.any([left.signal, ...signals]);
  const encoder = new TextEncoder();
  /** Resolves for all writers when the reader has read something. */
  let room: PromiseWithResolvers<void> | undefined;
  function makeRoom(): void {
    room?.resolve();
    room = undefined;
  }

  async function run(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    async function write(content: string | Uint8Array): Promise<void> {
      signal.throwIfAborted();
      controller.enqueue(typeof content === 'string' ? encoder.encode(content) : content);
      if ((controller.desiredSize ?? 0) > 0) return;
      room ??= Promise.withResolvers();
      await room.promise;
      signal.throwIfAborted();
    }
    try {
      await produce(write, signal);
      if (!left.signal.aborted) controller.close();
    } catch (error) {
      if (left.signal.aborted) return;
      if (signal.aborted) controller.close();
      else controller.error(error);
    } finally {
      onEnd();
    }
  }

  signal.addEventListener('abort', makeRoom, { once: true });
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => void run(controller),
      pull: makeRoom,
      cancel: () => left.abort(),
    },
    { highWaterMark: BUFFER_BYTES, size: (chunk) => chunk.length },
  );
}
