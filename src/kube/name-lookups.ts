import { lookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { keepNewest } from './keep-newest.ts';

/**
 * Looks a name up: all of its addresses. Rejects as the resolver does, or when other names take too long.
 */
export type LookUpName = (hostname: string, options: LookupOptions) => Promise<readonly LookupAddress[]>;

/**
 * Node looks names up in threads of its own, two at a time, c3's own forge among them; a name of a slow server holds one of them for as
 * long as the system's resolver is patient, and nothing takes it away. So strangers are given two places: one for names that answer, one
 * for those of families that have been slow.
 */
const SLOW_MS = 2_000;
/** How long a family counts as slow. Not until it answers quickly once: that a stranger could see to between two slow ones. */
const SLOW_FOR_MS = 24 * 3_600_000;
/** As long as the connection that needs the name would be waited for. */
const TURN_MS = 10_000;
/** Then whoever has got addresses of the name before has those. */
const STALE_AFTER_MS = 1_000;
const STALE_FOR_MS = 24 * 3_600_000;
/** Names of which addresses are kept, and families that are known as slow. */
const MAX_KEPT = 1_000;
/** An API server has a few. */
const MAX_ADDRESSES = 32;

/** A name that is looked up, or waits for it, for all who ask for it meanwhile. */
interface Task {
  readonly family: string;
  readonly answer: Promise<readonly LookupAddress[]>;
  begin(): void;
}

interface Lane {
  running: Task | undefined;
  /** By family; whose turn is next, first. */
  readonly waiting: Map<string, Task[]>;
}

/**
 * The lookups of names that strangers chose. Equal ones are one; families of names take turns, so that whoever has many waits for
 * himself; a family that has once been slow has a place of its own, with others of the kind; and a name that answered before is not
 * waited for long.
 */
export function createNameLookups(lookUp: typeof lookup = lookup): LookUpName {
  const tasks = new Map<string, Task>();
  const known = new Map<string, { readonly addresses: readonly LookupAddress[]; readonly at: number }>();
  const lanes = createLanes();

  function look(key: string, hostname: string, options: LookupOptions): Task {
    const { promise, resolve, reject } = Promise.withResolvers<readonly LookupAddress[]>();
    const late = new Error(`other names were looked up before ${hostname}`);
    let timer = setTimeout(() => settle(late, []), TURN_MS).unref();
    function settle(error: Error | null, addresses: readonly LookupAddress[]): void {
      clearTimeout(timer);
      tasks.delete(key);
      if (error) reject(error);
      else resolve(addresses);
      const kept = { addresses: addresses.slice(0, MAX_ADDRESSES), at: performance.now() };
      if (addresses.length > 0) keepNewest(known, [key, kept], MAX_KEPT);
      lanes.end(task);
    }
    const task: Task = {
      family: toFamily(hostname),
      answer: promise,
      begin() {
        clearTimeout(timer);
        timer = setTimeout(() => lanes.noteSlow(task.family), SLOW_MS).unref();
        lookUp(hostname, { ...options, all: true }, (error, addresses) => settle(error, error ? [] : addresses));
      },
    };
    tasks.set(key, task);
    lanes.enter(task);
    return task;
  }

  return async (hostname, options) => {
    const key = JSON.stringify([hostname, options.family, options.hints, options.order]);
    const before = known.get(key);
    const { answer } = tasks.get(key) ?? look(key, hostname, options);
    if (before === undefined || performance.now() - before.at > STALE_FOR_MS) return await answer;
    const late = Promise.withResolvers<readonly LookupAddress[]>();
    const timer = setTimeout(() => late.resolve(before.addresses), STALE_AFTER_MS);
    try {
      return await Promise.race([answer, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** The two places, and who waits for which. */
function createLanes() {
  const quick: Lane = { running: undefined, waiting: new Map() };
  const slow: Lane = { running: undefined, waiting: new Map() };
  const slowSince = new Map<string, number>();

  function isSlow(family: string): boolean {
    const since = slowSince.get(family);
    return since !== undefined && performance.now() - since < SLOW_FOR_MS;
  }
  function advance(): void {
    // What has turned out to be slow goes over as soon as there is a place.
    if (quick.running && isSlow(quick.running.family) && !slow.running) {
      [slow.running, quick.running] = [quick.running, undefined];
    }
    for (const lane of [quick, slow]) {
      if (lane.running) continue;
      lane.running = takeNext(lane);
      lane.running?.begin();
    }
  }

  return {
    enter(task: Task): void {
      enter(isSlow(task.family) ? slow : quick, task);
      advance();
    },
    /** It is over, or has waited too long. */
    end(task: Task): void {
      for (const lane of [quick, slow]) {
        if (lane.running === task) lane.running = undefined;
        leave(lane, task);
      }
      advance();
    },
    noteSlow(family: string): void {
      keepNewest(slowSince, [family, performance.now()], MAX_KEPT);
      // None of the family waits among the quick ones any more.
      for (const task of quick.waiting.get(family) ?? []) enter(slow, task);
      quick.waiting.delete(family);
      advance();
    },
  };
}

function enter({ waiting }: Lane, task: Task): void {
  waiting.set(task.family, [...(waiting.get(task.family) ?? []), task]);
}

function leave({ waiting }: Lane, task: Task): void {
  const others = (waiting.get(task.family) ?? []).filter((other) => other !== task);
  if (others.length > 0) waiting.set(task.family, others);
  else waiting.delete(task.family);
}

/** The oldest of the family whose turn it is; the family goes to the end. */
function takeNext({ waiting }: Lane): Task | undefined {
  const [family] = waiting.keys();
  if (family === undefined) return undefined;
  const [task, ...others] = waiting.get(family) ?? [];
  waiting.delete(family);
  if (others.length > 0) waiting.set(family, others);
  return task;
}

/**
 * The end of a name, which one owner has as a rule and for which he pays: `example.com`, `example.co.uk`. Names below it cost nothing,
 * and may all be answered by one server that is slow.
 */
function toFamily(hostname: string): string {
  const labels = hostname.replace(/\.$/, '').split('.');
  const isPairOfSuffixes = (labels.at(-2) ?? '').length <= 3;
  return labels.slice(isPairOfSuffixes ? -3 : -2).join('.');
}
