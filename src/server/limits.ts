import { C3Error } from '../errors.ts';
import { LruMap, TokenBucket, type Release } from '../limiter.ts';

/**
 * The limits of webhooks and of the bodies of all requests, beside those that the operator sets: `C3_RATE_LIMIT`,
 * `C3_RATE_LIMIT_NEW` and `C3_MAX_BUILDS`. They are for row A12 of the threat model. docs/security.md repeats them.
 */
export interface Limits {
  /** Bytes of a webhook's body. GitHub sends up to 25 MB; a push of 2,048 commits has about 3 MB. */
  readonly hookBodyBytes: number;
  /** Bytes of the form that a build page sends. It has one field. */
  readonly formBytes: number;
  /** Milliseconds from the first to the last byte of a body. A forge needs a few. */
  readonly bodyMs: number;
  /** Milliseconds between two pieces of a body. */
  readonly bodyIdleMs: number;
  /** Bodies that are read at the same time. */
  readonly bodies: number;
  /** Bytes that these bodies hold together. */
  readonly totalBodyBytes: number;
  /**
   * Bytes of webhooks that are parsed in a minute, for each confirmed hook and for all other hooks together. The
   * slowest JSON takes 0.1 s for each MiB, and nothing else runs meanwhile.
   */
  readonly parsedBytesPerMinute: number;
  /** Confirmed hooks that are remembered. Each takes about 500 bytes. A forgotten one counts as new. */
  readonly confirmedHooks: number;
  /** Builds that run or wait. Each takes about 200 KiB, with its connections. */
  readonly builds: number;
  /** The same, for the confirmed hooks of one owner. A forge gives everybody as many repositories as they like. */
  readonly buildsOfOwner: number;
  /** The same, for all new hooks. More than can wait for a slow forge within the rate limit. */
  readonly buildsOfNewHooks: number;
}

export const LIMITS: Limits = {
  hookBodyBytes: 5 * 1024 * 1024,
  formBytes: 4 * 1024,
  bodyMs: 10_000,
  bodyIdleMs: 3_000,
  bodies: 256,
  totalBodyBytes: 64 * 1024 * 1024,
  parsedBytesPerMinute: 30 * 1024 * 1024,
  confirmedHooks: 10_000,
  builds: 1_000,
  buildsOfOwner: 500,
  buildsOfNewHooks: 250,
};

/** The end of a build cannot be predicted. A build in a warm Pod takes seconds. */
const RETRY_BUILD_AFTER_MS = 30_000;

/** RATE_LIMITED, with the time after which a retry makes sense. */
export class LimitError extends C3Error {
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterMs: number) {
    super('RATE_LIMITED', message, { hint: 'try again later' });
    this.retryAfterSeconds = Math.ceil(retryAfterMs / 1000);
  }
}

/** What the operator sets. */
export interface HookLimitsOptions {
  /** Deliveries a minute of one confirmed hook. As many may arrive at once. */
  readonly rateLimit: number;
  /** The same, for all new hooks together. */
  readonly rateLimitNew: number;
  /** Builds of one repository that run or wait. */
  readonly maxBuilds: number;
  /** Milliseconds of a monotonic clock. Default: the process's. */
  now?(): number;
}

/** The hook and the repository that a build slot belongs to. */
export interface BuildClaim {
  readonly hook: string;
  /** `host/owner/name`. */
  readonly repository: string;
}

/**
 * Limits what one process does for webhooks (A12). A *hook* is a repository with a token, as the key in a hook URL
 * seals them. Anybody can seal a token of their own for any repository. So a hook has limits of its own only after
 * the forge has confirmed its token. Until then it is *new*, and shares one bucket with all new hooks.
 */
export class HookLimits {
  readonly #options: Required<HookLimitsOptions>;
  readonly #newHooks: TokenBucket;
  readonly #confirmed = new LruMap<string, TokenBucket>(LIMITS.confirmedHooks);
  /** Builds that run or wait. */
  readonly #builds = new Set<BuildClaim>();

  constructor(options: HookLimitsOptions) {
    this.#options = { now: () => performance.now(), ...options };
    this.#newHooks = new TokenBucket({ perMinute: options.rateLimitNew, now: this.#options.now });
  }

  /**
   * Counts a delivery whose signature is right. A large one counts as several, so that a full bucket is worth
   * `parsedBytesPerMinute`. Somebody who knows only the URL of a hook uses up nothing.
   *
   * @param byteLength of the body
   * @throws {LimitError}
   */
  countDelivery(hook: string, byteLength = 0): void {
    const own = this.#confirmed.get(hook);
    const perMinute = own ? this.#options.rateLimit : this.#options.rateLimitNew;
    const count = Math.max(1, (byteLength / LIMITS.parsedBytesPerMinute) * perMinute);
    const waitMs = (own ?? this.#newHooks).take(count);
    if (waitMs === 0) return;
    const who = own ? 'This webhook has' : 'Webhooks that the forge has not confirmed yet have';
    throw new LimitError(`${who} sent more than c3 accepts in a minute`, waitMs);
  }

  /** Notes that the forge has confirmed the hook's token. */
  confirm(hook: string): void {
    const { rateLimit: perMinute, now } = this.#options;
    this.#confirmed.set(hook, this.#confirmed.get(hook) ?? new TokenBucket({ perMinute, now }));
  }

  isConfirmed(hook: string): boolean {
    return this.#confirmed.has(hook);
  }

  /**
   * Acquires a slot for a build. All confirmed hooks of a repository share `maxBuilds` slots. A new hook has as many
   * of its own, so that a stranger cannot fill those of the repository's owner.
   *
   * @throws {LimitError}
   */
  acquireBuildSlot({ hook, repository }: BuildClaim): Release {
    const all = [...this.#builds];
    const confirmed = all.filter((build) => this.isConfirmed(build.hook));
    const ofRepository = confirmed.filter((build) => build.repository === repository);
    const ofOwner = confirmed.filter((build) => ownerOf(build.repository) === ownerOf(repository));
    const ofHook = all.filter((build) => build.hook === hook);
    const isNew = !this.isConfirmed(hook);
    const { maxBuilds } = this.#options;
    checkBuilds('this repository', ofRepository.length, maxBuilds);
    checkBuilds('this owner', ofOwner.length, LIMITS.buildsOfOwner);
    if (isNew) checkBuilds('this webhook', ofHook.length, maxBuilds);
    if (isNew) checkBuilds('unconfirmed webhooks', all.length - confirmed.length, LIMITS.buildsOfNewHooks);
    checkBuilds('all repositories', all.length, LIMITS.builds);
    const build = { hook, repository };
    this.#builds.add(build);
    return () => void this.#builds.delete(build);
  }
}

function checkBuilds(whose: string, count: number, max: number): void {
  if (count >= max) throw new LimitError(`${count} builds of ${whose} run or wait already`, RETRY_BUILD_AFTER_MS);
}

/** Returns `host/owner` of `host/owner/name`. The owner of nested groups is the outermost group. */
export function ownerOf(repository: string): string {
  return repository.split('/', 2).join('/');
}
