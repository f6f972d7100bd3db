/** Takes text, or bytes; settles when there is room for more, and rejects when nobody reads any more. */
export type Write = (content: string | Uint8Array) => Promise<void>;

export interface StreamOrder {
  /** Ends the stream when they abort: the request's, the server's. */
  readonly signals: readonly AbortSignal[];
  /** Writes everything. Its signal aborts when the reader goes, or one of the signals does. What it throws after that is nobody's fault. */
  produce(write: Write, signal: AbortSignal): Promise<void>;
  /** Called once, when nothing is produced any more, however it ended. */
  onEnd(): void;
}

/** What waits for a slow reader, beyond what the socket takes. */
const BUFFER_BYTES = 64 * 1024;

/** A body that is made as fast as it is read, and no faster. */
export function streamText({ signals, produce, onEnd }: StreamOrder): ReadableStream<Uint8Array> {
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, ...signals]);
  const encoder = new TextEncoder();
  let onRoom = Promise.withResolvers<void>();

  async function run(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    async function write(content: string | Uint8Array): Promise<void> {
      signal.throwIfAborted();
      controller.enqueue(typeof content === 'string' ? encoder.encode(content) : content);
      if ((controller.desiredSize ?? 0) > 0) return;
      onRoom = Promise.withResolvers();
      await onRoom.promise;
      signal.throwIfAborted();
    }
    try {
      await produce(write, signal);
      if (!gone.signal.aborted) controller.close();
    } catch (error) {
      if (gone.signal.aborted) return;
      if (signal.aborted) controller.close();
      else controller.error(error);
    } finally {
      onEnd();
    }
  }

  signal.addEventListener('abort', () => onRoom.resolve(), { once: true });
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => void run(controller),
      pull: () => onRoom.resolve(),
      cancel: () => gone.abort(),
    },
    { highWaterMark: BUFFER_BYTES, size: (chunk) => chunk.length },
  );
}
