import { createBuildPlaces, type BuildClaim } from './build-places.ts';
import { LimitError } from './limit-error.ts';

/**
 * What one process lets webhooks ask of it. A *hook* is a repository with a token, as the key in a hook URL seals them: anybody
 * can seal a token of their own for somebody else's repository, so counting by the repository alone would let a stranger use up
 * what its owner has. Until the forge has confirmed a hook, it shares one budget with all others that are as new.
 */
export interface HookLimits {
  /** Counts what comes with the key of a hook that is new, before its body is read. @throws {LimitError} */
  countNewcomer(hook: string): void;
  /**
   * Counts a delivery once its signature was right, before it is parsed. One of a confirmed hook for that hook, and a large one by its
   * size too: whoever knows the URL alone uses nothing up. A large one of a new hook for all that are new, whose signatures say nothing
   * of who sent it. `byteLength`: of its body, default 0.
   *
   * @throws {LimitError}
   */
  countDelivery(hook: string, byteLength?: number): void;
  /** The forge has confirmed the hook's token. */
  trust(hook: string): void;
  isTrusted(hook: string): boolean;
  /** Takes a place for a build, and answers what gives it back. @throws {LimitError} */
  enterBuild(claim: Pick<BuildClaim, 'hook' | 'repository'>): () => void;
}

export interface HookLimitsOptions {
  /** Deliveries a minute of a confirmed hook; as many may come at once. */
  readonly rateLimit: number;
  /** The same, for all new hooks together. */
  readonly rateLimitNew: number;
  /** Builds of one repository that run or wait at a time. */
  readonly maxBuilds: number;
  /** Milliseconds, monotonic. */
  now(): number;
}

/** An entry takes about 500 bytes. A hook that is forgotten counts as new at its next delivery. */
const MAX_TRUSTED_HOOKS = 10_000;

/**
 * A body that is made for it takes 0.1 s to parse, from 1 MiB on, and in that time nothing else is served. Of a confirmed hook, and of
 * all new ones together, so many bytes of those larger than {@link SMALL_BODY_BYTES} are parsed in a minute; a push of twenty commits,
 * and every ping, is smaller.
 */
const KIB_PER_MINUTE = 30 * 1024;
const SMALL_BODY_BYTES = 64 * 1024;

/** What a hook that the forge has confirmed may send. */
interface Allowance {
  readonly deliveries: Bucket;
  readonly kibibytes: Bucket;
}

export function createHookLimits(options: HookLimitsOptions): HookLimits {
  const newcomers = createBucket(options.rateLimitNew, options.now);
  const newKibibytes = createBucket(KIB_PER_MINUTE, options.now);
  /** Least recently used first. */
  const trusted = new Map<string, Allowance>();
  const places = createBuildPlaces(options.maxBuilds);

  function touch(hook: string, allowance: Allowance): void {
    trusted.delete(hook);
    trusted.set(hook, allowance);
    const [oldest] = trusted.size > MAX_TRUSTED_HOOKS ? trusted.keys() : [];
    if (oldest !== undefined) trusted.delete(oldest);
  }

  return {
    countNewcomer(hook) {
      if (trusted.has(hook)) return;
      takeFrom(newcomers, 'Webhooks that have proven nothing yet have');
    },
    countDelivery(hook, byteLength = 0) {
      const own = trusted.get(hook);
      const who = own ? 'This webhook has' : 'Webhooks that have proven nothing yet have';
      if (own) {
        touch(hook, own);
        takeFrom(own.deliveries, who);
      }
      if (byteLength > SMALL_BODY_BYTES) takeFrom(own?.kibibytes ?? newKibibytes, who, byteLength / 1024);
    },
    trust(hook) {
      touch(hook, trusted.get(hook) ?? createAllowance(options));
      places.confirm(hook);
    },
    isTrusted: (hook) => trusted.has(hook),
    enterBuild: ({ hook, repository }) => places.enter({ hook, repository, isNew: !trusted.has(hook) }),
  };
}

function createAllowance({ rateLimit, now }: HookLimitsOptions): Allowance {
  return { deliveries: createBucket(rateLimit, now), kibibytes: createBucket(KIB_PER_MINUTE, now) };
}

function takeFrom(bucket: Bucket, who: string, count = 1): void {
  const waitMs = bucket.take(count);
  if (waitMs === 0) return;
  throw new LimitError(`${who} sent more than c3 takes in a minute`, Math.ceil(waitMs / 1000));
}

export interface Bucket {
  /** 0: taken. Else nothing was taken, and this is how many milliseconds until so much can be. `count`: default 1. */
  take(count?: number): number;
}

/**
 * A token bucket of `perMinute` that fills evenly, as one number: when it will be full again (the generic cell rate algorithm of
 * ITU-T I.371).
 */
export function createBucket(perMinute: number, now: () => number): Bucket {
  const intervalMs = 60_000 / perMinute;
  let fullAt = 0;
  return {
    take(count = 1) {
      const at = now();
      const next = Math.max(fullAt, at) + count * intervalMs;
      const waitMs = next - at - perMinute * intervalMs;
      // A floating-point interval must not make the last one wait for a fraction of nothing.
      if (waitMs > 1e-6) return waitMs;
      fullAt = next;
      return 0;
    },
  };
}

/** A bucket for each owner, as {@link createBucket} makes them: of so many owners that took something last. */
export function createBuckets(perMinute: number, maxOwners: number, now: () => number): (owner: string) => number {
  /** Least recently used first. */
  const buckets = new Map<string, Bucket>();
  return (owner) => {
    const bucket = buckets.get(owner) ?? createBucket(perMinute, now);
    buckets.delete(owner);
    buckets.set(owner, bucket);
    const [oldest] = buckets.size > maxOwners ? buckets.keys() : [];
    if (oldest !== undefined) buckets.delete(oldest);
    return bucket.take();
  };
}
