import { lookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { KeyedSemaphore, LruMap, Semaphore, type Release } from '../limiter.ts';

/** Resolves a name to all of its addresses. Rejects as the resolver does, or when other names take too long. */
export type LookUpName = (hostname: string, options: LookupOptions) => Promise<readonly LookupAddress[]>;

/**
 * Node resolves names in a pool of threads, two at a time for the whole process, including c3's own forge. A name of
 * a slow server holds a thread until the system's resolver gives up, and nothing can cancel it. So names from
 * kubeconfigs use one thread at a time, or two when one is slow (threat model A12). After this time a lookup counts
 * as slow.
 */
const SLOW_MS = 2_000;
/**
 * How long a domain counts as slow. A quick answer does not end it, because a stranger could send one between two
 * slow ones.
 */
const SLOW_FOR_MS = 24 * 3_600_000;
/** How long a name waits for its lookup to start. A connection waits as long. */
const QUEUE_MS = 10_000;
/** After this time a name that was resolved before gets its previous addresses. */
const STALE_AFTER_MS = 1_000;
const STALE_FOR_MS = 24 * 3_600_000;
/** Names whose addresses are kept, and domains that are known as slow. */
const MAX_KEPT = 1_000;
/** An API server has a few addresses. */
const MAX_ADDRESSES = 32;

/**
 * Creates a resolver for names that strangers chose. Equal names share a lookup. Domains take turns, so that the
 * owner of many names delays only itself. Slow domains share a lane of their own. A name that was resolved before is
 * not waited for long.
 */
export function createNameLookups(lookUp: typeof lookup = lookup): LookUpName {
  const current = new Map<string, Promise<readonly LookupAddress[]>>();
  const known = new LruMap<string, { readonly addresses: readonly LookupAddress[]; readonly at: number }>(MAX_KEPT);
  const runInLane = createLanes();

  async function find(key: string, hostname: string, options: LookupOptions): Promise<readonly LookupAddress[]> {
    try {
      const addresses = await runInLane(hostname, async () => {
        const { promise, resolve, reject } = Promise.withResolvers<LookupAddress[]>();
        lookUp(hostname, { ...options, all: true }, (error, found) => (error ? reject(error) : resolve(found)));
        return await promise;
      });
      if (addresses.length > 0) known.set(key, { addresses: addresses.slice(0, MAX_ADDRESSES), at: performance.now() });
      return addresses;
    } finally {
      current.delete(key);
    }
  }

  return async (hostname, options) => {
    const key = JSON.stringify([hostname, options.family, options.hints, options.order]);
    const before = known.get(key);
    const answer = current.get(key) ?? find(key, hostname, options);
    current.set(key, answer);
    if (before === undefined || performance.now() - before.at > STALE_FOR_MS) return await answer;
    const stale = Promise.withResolvers<readonly LookupAddress[]>();
    const timer = setTimeout(() => stale.resolve(before.addresses), STALE_AFTER_MS);
    try {
      return await Promise.race([answer, stale.promise]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** Creates the function that runs lookups one after the other. It rejects a lookup that does not start in time. */
function createLanes(): <T>(hostname: string, work: () => Promise<T>) => Promise<T> {
  const slowSince = new LruMap<string, number>(MAX_KEPT);
  /** One lookup of a domain at a time, so that each domain has one place in a lane. */
  const domains = new KeyedSemaphore(1);
  const [quickLane, slowLane] = [new Semaphore(1), new Semaphore(1)];

  return async (hostname, work) => {
    const domain = toDomain(hostname);
    const queue = new AbortController();
    const late = new Error(`other names were looked up before ${hostname}`);
    const timer = setTimeout(() => queue.abort(late), QUEUE_MS).unref();
    async function run(): ReturnType<typeof work> {
      const since = slowSince.get(domain);
      const isSlow = since !== undefined && performance.now() - since < SLOW_FOR_MS;
      let release = await (isSlow ? slowLane : quickLane).acquire(queue.signal);
      clearTimeout(timer);
      const over = new AbortController();
      const slowTimer = setTimeout(() => {
        slowSince.set(domain, performance.now());
        if (!isSlow) void slowLane.acquire(over.signal).then(changeLane, () => undefined);
      }, SLOW_MS).unref();
      function changeLane(releaseSlow: Release): void {
        release();
        release = releaseSlow;
        if (over.signal.aborted) release();
      }
      try {
        return await work();
      } finally {
        clearTimeout(slowTimer);
        over.abort();
        release();
      }
    }
    return await domains.run(domain, run, queue.signal).finally(() => clearTimeout(timer));
  };
}

/**
 * Returns the end of a name, which normally has one owner who pays for it: `example.com`, `example.co.uk`. Names
 * below it are free, and one slow server may answer for all of them.
 */
function toDomain(hostname: string): string {
  const labels = hostname.replace(/\.$/, '').split('.');
  const hasTwoSuffixes = (labels.at(-2) ?? '').length <= 3;
  return labels.slice(hasTwoSuffixes ? -3 : -2).join('.');
}
