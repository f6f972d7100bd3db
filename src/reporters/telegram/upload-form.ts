import { randomBytes } from 'node:crypto';

/** A file that is read while it is sent. */
export interface Upload {
  readonly fileName: string;
  /** Hands over the bytes; its promise slows it. False: there is no more to read, and what there was is no whole file. */
  read(onBytes: (bytes: Uint8Array) => Promise<void>, signal: AbortSignal): Promise<boolean>;
  /** Aborted: it is no longer to be sent. */
  readonly signal: AbortSignal;
}

export interface UploadForm {
  readonly contentType: string;
  readonly body: ReadableStream<Uint8Array>;
  /** Ends it. `unread`: it was not sent since it could not be read to its end. */
  close(): Promise<'read' | 'unread'>;
}

/**
 * `multipart/form-data` whose last field, `document`, is read while it is sent: nothing of it is kept, so its length is not known
 * and it goes in chunks. Fields that are objects go as JSON, those that are undefined not at all.
 *
 * @see https://core.telegram.org/bots/api#sending-files
 */
export function openForm(fields: Readonly<Record<string, unknown>>, upload: Upload): UploadForm {
  const boundary = `c3-${randomBytes(16).toString('hex')}`;
  const over = new AbortController();
  // Holds one piece: the next is asked for when it was sent.
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();

  async function write(bytes: Uint8Array): Promise<void> {
    await writer.write(bytes);
  }

  async function fill(): Promise<'read' | 'unread'> {
    await write(Buffer.from(toHead(boundary, fields, upload.fileName)));
    const signal = AbortSignal.any([over.signal, upload.signal]);
    if (!(await upload.read(write, signal))) return signal.aborted ? 'read' : 'unread';
    await write(Buffer.from(`\r\n--${boundary}--\r\n`));
    await writer.close();
    return 'read';
  }

  const filled = fill()
    // Whoever read the stream has cancelled it: that the answer tells.
    .catch(() => 'read' as const)
    .then(async (outcome) => {
      await writer.abort().catch(() => {});
      return outcome;
    });
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: readable,
    async close() {
      over.abort();
      await writer.abort().catch(() => {});
      return await filled;
    },
  };
}

function toHead(boundary: string, fields: Readonly<Record<string, unknown>>, fileName: string): string {
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      return `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`;
    });
  const file = `Content-Disposition: form-data; name="document"; filename="${fileName}"\r\nContent-Type: text/plain\r\n\r\n`;
  return `${parts.join('')}--${boundary}\r\n${file}`;
}
