import { setImmediate } from 'node:timers/promises';

/** Limits on concurrency, rate and memory. */

/** Releases a slot. Only the first call has an effect. */
export type Release = () => void;

/**
 * Allows `capacity` holders at the same time. Other callers wait in order of arrival. With a capacity of 1 it is a
 * mutex.
 */
export class Semaphore {
  readonly #capacity: number;
  /** The callers that wait, in order of arrival. Each function gives a slot to its caller. */
  readonly #queue = new Set<() => void>();
  #held = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Slots that are held now. */
  get held(): number {
    return this.#held;
  }

  /** Callers that wait for a slot now. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Acquires a slot, and waits for one if none is free. A free slot is held before this function returns.
   *
   * @throws the signal's reason, if it is aborted before a slot is free
   */
  async acquire(signal?: AbortSignal): Promise<Release> {
    signal?.throwIfAborted();
    const release = this.tryAcquire();
    if (release) return release;
    await this.#wait(signal);
    return this.#createRelease();
  }

  /** Acquires a slot if one is free; otherwise returns undefined. */
  tryAcquire(): Release | undefined {
    // If callers wait, no slot is free: a release gives its slot to the first of them.
    if (this.#held >= this.#capacity) return undefined;
    this.#held += 1;
    return this.#createRelease();
  }

  /** Runs `work` while it holds a slot. @throws as {@link acquire}, and what `work` throws */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const release = await this.acquire(signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const settle = (finish: () => void): void => {
      this.#queue.delete(admit);
      signal?.removeEventListener('abort', abort);
      finish();
    };
    const admit = (): void => settle(resolve);
    const abort = (): void => settle(() => reject(signal?.reason));
    this.#queue.add(admit);
    signal?.addEventListener('abort', abort);
    return promise;
  }

  #createRelease(): Release {
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      const [admitNext] = this.#queue;
      if (admitNext) admitNext();
      else this.#held -= 1;
    };
  }
}

/** A {@link Semaphore} for each key. It keeps only keys that are held or awaited. */
export class KeyedSemaphore {
  readonly #capacity: number;
  readonly #semaphores = new Map<string, Semaphore>();

  /** The capacity is that of one key. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The number of keys that are held. */
  get size(): number {
    return this.#semaphores.size;
  }

  isHeld(key: string): boolean {
    return this.#semaphores.has(key);
  }

  /** As {@link Semaphore.acquire}. */
  async acquire(key: string, signal?: AbortSignal): Promise<Release> {
    signal?.throwIfAborted();
    const semaphore = this.#semaphores.get(key) ?? new Semaphore(this.#capacity);
    this.#semaphores.set(key, semaphore);
    const release = await semaphore.acquire(signal);
    return () => {
      release();
      if (semaphore.held === 0 && this.#semaphores.get(key) === semaphore) this.#semaphores.delete(key);
    };
  }

  /** As {@link Semaphore.run}. */
  async run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const release = await this.acquire(key, signal);
    try {
      return await work();
    } finally {
      release();
    }
  }
}

export interface TokenBucketOptions {
  /** Tokens that are added in a minute, evenly. */
  readonly perMinute: number;
  /** Tokens that a full bucket holds. Default: those of a minute. */
  readonly capacity?: number;
  /** Milliseconds of a monotonic clock. Default: the process's. */
  now?(): number;
}

/**
 * A token bucket that starts full. Its state is one number, the time at which it is full again.
 *
 * @see ITU-T I.371, the generic cell rate algorithm
 */
export class TokenBucket {
  readonly #tokenMs: number;
  readonly #capacityMs: number;
  readonly #now: () => number;
  #fullAt = 0;

  constructor({ perMinute, capacity = perMinute, now = () => performance.now() }: TokenBucketOptions) {
    this.#tokenMs = 60_000 / perMinute;
    this.#capacityMs = capacity * this.#tokenMs;
    this.#now = now;
  }

  /** Takes tokens and returns 0; or takes none and returns the milliseconds after which there are enough. */
  take(count = 1): number {
    const { fullAt, waitMs } = this.#plan(count);
    if (waitMs === 0) this.#fullAt = fullAt;
    return waitMs;
  }

  /** Takes tokens even if there are too few, and returns the milliseconds that the caller must wait. */
  reserve(count = 1): number {
    const { fullAt, waitMs } = this.#plan(count);
    this.#fullAt = fullAt;
    return waitMs;
  }

  #plan(count: number): { readonly fullAt: number; readonly waitMs: number } {
    const now = this.#now();
    const fullAt = Math.max(this.#fullAt, now) + count * this.#tokenMs;
    const waitMs = fullAt - now - this.#capacityMs;
    // A rounding error must not make the last token wait.
    return { fullAt, waitMs: waitMs > 1e-6 ? waitMs : 0 };
  }
}

/**
 * A {@link TokenBucket} for each key. Forgets the key that was used longest ago, so that its bucket is full at its
 * next use.
 */
export class KeyedTokenBucket {
  readonly #options: TokenBucketOptions;
  readonly #buckets: LruMap<string, TokenBucket>;

  /** The rate is that of one key. */
  constructor({ maxKeys, ...options }: TokenBucketOptions & { readonly maxKeys: number }) {
    this.#options = options;
    this.#buckets = new LruMap(maxKeys);
  }

  /** As {@link TokenBucket.take}. */
  take(key: string, count = 1): number {
    const bucket = this.#buckets.get(key) ?? new TokenBucket(this.#options);
    this.#buckets.set(key, bucket);
    return bucket.take(count);
  }
}

/** A map that forgets the entry that was read or set longest ago, once it has more than `capacity`. */
export class LruMap<Key, Value> {
  readonly #capacity: number;
  readonly #entries = new Map<Key, Value>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Does not count as a use. */
  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  get(key: Key): Value | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  /** Returns the value that was forgotten for it. */
  set(key: Key, value: Value): Value | undefined {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    const [oldest] = this.#entries;
    if (oldest === undefined || this.#entries.size <= this.#capacity) return undefined;
    this.#entries.delete(oldest[0]);
    return oldest[1];
  }

  delete(key: Key): boolean {
    return this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** From the value that was used longest ago to the newest. Does not count as a use. */
  values(): MapIterator<Value> {
    return this.#entries.values();
  }
}

/**
 * Reads a stream of bytes. Returns undefined if it has more than `maxBytes`; it leaves the stream then, which destroys
 * it.
 */
export async function readAtMost(
  stream: AsyncIterable<Uint8Array> | null,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream ?? []) {
    length += chunk.length;
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

let lastTurn = Promise.resolve();

/**
 * Waits until the event loop has run other work. Callers continue one at a time. Long work that calls this between
 * its pieces does not delay incoming requests or other long work.
 */
export function yieldToEventLoop(): Promise<void> {
  lastTurn = lastTurn.then(() => setImmediate());
  return lastTurn;
}

/** Waits for a promise, and returns undefined when the signal is aborted first. Leaves no listener on the signal. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  if (signal.aborted) return undefined;
  const aborted = Promise.withResolvers<undefined>();
  const onAbort = (): void => aborted.resolve(undefined);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
