import { lookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { LruMap } from '../limiter.ts';

/** Resolves a name to all of its addresses. Rejects as the resolver does, or when other names take too long. */
export type LookUpName = (hostname: string, options: LookupOptions) => Promise<readonly LookupAddress[]>;

/**
 * Node resolves names in a pool of threads, two at a time for the whole process, including c3's own forge. A name of a slow server holds a
 * thread until the system's resolver gives up, and nothing can cancel it. So names from kubeconfigs use one thread at a time, or two when
 * one is slow (threat model A12). After this time a lookup counts as slow.
 */
const SLOW_MS = 2_000;
/** How long a domain counts as slow. A quick answer does not end it, because a stranger could send one between two slow ones. */
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

/** The lookup of a name, shared by all callers that request it at the same time. */
interface Lookup {
  readonly domain: string;
  readonly answer: Promise<readonly LookupAddress[]>;
  start(): void;
}

/**
 * Creates a resolver for names that strangers chose. Equal names share a lookup. Domains take turns, so that the owner of many names delays
 * only itself. Slow domains share a lane of their own. A name that was resolved before is not waited for long.
 */
export function createNameLookups(lookUp: typeof lookup = lookup): LookUpName {
  const current = new Map<string, Lookup>();
  const known = new LruMap<string, { readonly addresses: readonly LookupAddress[]; readonly at: number }>(MAX_KEPT);
  const lanes = createLanes();

  function enqueue(key: string, hostname: string, options: LookupOptions): Lookup {
    const { promise, resolve, reject } = Promise.withResolvers<readonly LookupAddress[]>();
    const late = new Error(`other names were looked up before ${hostname}`);
    let timer = setTimeout(() => settle(late, []), QUEUE_MS).unref();
    function settle(error: Error | null, addresses: readonly LookupAddress[]): void {
      clearTimeout(timer);
      current.delete(key);
      if (error) reject(error);
      else resolve(addresses);
      if (addresses.length > 0) known.set(key, { addresses: addresses.slice(0, MAX_ADDRESSES), at: performance.now() });
      lanes.remove(name);
    }
    const name: Lookup = {
      domain: toDomain(hostname),
      answer: promise,
      start() {
        clearTimeout(timer);
        timer = setTimeout(() => lanes.markSlow(name.domain), SLOW_MS).unref();
        lookUp(hostname, { ...options, all: true }, (error, addresses) => settle(error, error ? [] : addresses));
      },
    };
    current.set(key, name);
    lanes.add(name);
    return name;
  }

  return async (hostname, options) => {
    const key = JSON.stringify([hostname, options.family, options.hints, options.order]);
    const before = known.get(key);
    const { answer } = current.get(key) ?? enqueue(key, hostname, options);
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

/** Runs one lookup at a time. The others wait, by domain; the first domain is next. */
interface Lane {
  running: Lookup | undefined;
  readonly waiting: Map<string, Lookup[]>;
}

/** Creates a lane for domains that answer and a lane for slow ones. */
function createLanes() {
  const quick: Lane = { running: undefined, waiting: new Map() };
  const slow: Lane = { running: undefined, waiting: new Map() };
  const slowSince = new LruMap<string, number>(MAX_KEPT);

  function isSlow(domain: string): boolean {
    const since = slowSince.get(domain);
    return since !== undefined && performance.now() - since < SLOW_FOR_MS;
  }
  function startNext(): void {
    // A lookup that has become slow moves to the slow lane when that is free.
    if (quick.running && isSlow(quick.running.domain) && !slow.running) {
      [slow.running, quick.running] = [quick.running, undefined];
    }
    for (const lane of [quick, slow]) {
      if (lane.running) continue;
      lane.running = takeNext(lane);
      lane.running?.start();
    }
  }

  return {
    add(name: Lookup): void {
      wait(isSlow(name.domain) ? slow : quick, name);
      startNext();
    },
    /** Removes a lookup that is over or has waited too long. */
    remove(name: Lookup): void {
      for (const lane of [quick, slow]) {
        if (lane.running === name) lane.running = undefined;
        const others = (lane.waiting.get(name.domain) ?? []).filter((other) => other !== name);
        if (others.length > 0) lane.waiting.set(name.domain, others);
        else lane.waiting.delete(name.domain);
      }
      startNext();
    },
    markSlow(domain: string): void {
      slowSince.set(domain, performance.now());
      for (const name of quick.waiting.get(domain) ?? []) wait(slow, name);
      quick.waiting.delete(domain);
      startNext();
    },
  };
}

function wait({ waiting }: Lane, name: Lookup): void {
  waiting.set(name.domain, [...(waiting.get(name.domain) ?? []), name]);
}

/** Takes the oldest lookup of the first domain, and moves the domain to the end. */
function takeNext({ waiting }: Lane): Lookup | undefined {
  const [[domain, [first, ...others]] = ['', []]] = waiting;
  waiting.delete(domain);
  if (others.length > 0) waiting.set(domain, others);
  return first;
}

/**
 * Returns the end of a name, which normally has one owner who pays for it: `example.com`, `example.co.uk`. Names below it are free, and one
 * slow server may answer for all of them.
 */
function toDomain(hostname: string): string {
  const labels = hostname.replace(/\.$/, '').split('.');
  const hasTwoSuffixes = (labels.at(-2) ?? '').length <= 3;
  return labels.slice(hasTwoSuffixes ? -3 : -2).join('.');
}
