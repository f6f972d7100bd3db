import { C3Error, type C3ErrorOptions } from '../errors.ts';
import { KeyedTokenBucket, LruMap, type Release } from '../limiter.ts';
import { FairTokenBucket } from './fair-token-bucket.ts';

/**
 * The limits of webhooks and of the bodies of all requests, beside those that the operator sets: `C3_RATE_LIMIT`,
 * `C3_RATE_LIMIT_NEW` and `C3_MAX_BUILDS`. They are for row A12 of the threat model. docs/security.md repeats them.
 */
export interface Limits {
  /**
   * Bytes of a webhook's body. GitHub sends up to 25 MB; a push of 2,048 commits has about 3 MB.
   *
   * @see https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap
   */
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
   * Bytes of webhooks that are parsed in a minute, for each known hook and for all new hooks together. The slowest JSON
   * takes 0.1 s for each MiB, and nothing else runs meanwhile.
   */
  readonly parsedBytesPerMinute: number;
  /** Hooks and repositories that are remembered. Each takes about 500 bytes. */
  readonly rememberedHooks: number;
  /** Builds that run or wait. Each takes about 200 KiB, with its connections. */
  readonly builds: number;
  /** The same, for all new hooks. More than can wait for a slow forge within the rate limit. */
  readonly buildsOfNewHooks: number;
}

export const LIMITS: Limits = {
  hookBodyBytes: 25 * 1024 * 1024,
  formBytes: 4 * 1024,
  bodyMs: 10_000,
  bodyIdleMs: 3_000,
  bodies: 256,
  totalBodyBytes: 64 * 1024 * 1024,
  parsedBytesPerMinute: 30 * 1024 * 1024,
  rememberedHooks: 10_000,
  builds: 1_000,
  buildsOfNewHooks: 250,
};

/** The free slots of new hooks divided by this number are what one repository may hold. */
const FAIR_PART = 8;

/** How long a build waits for a rate limit of its forge. */
export const RATE_LIMIT_PATIENCE_MS = 600_000;

/** The end of a build cannot be predicted. A build in a warm Pod takes seconds. */
const RETRY_BUILD_AFTER_MS = 30_000;

/** RATE_LIMITED, with the time after which a retry makes sense. */
export class LimitError extends C3Error {
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterMs: number, options: C3ErrorOptions = {}) {
    super('RATE_LIMITED', message, { hint: 'try again later', ...options });
    this.retryAfterSeconds = Math.ceil(retryAfterMs / 1000);
  }
}

/** What the operator sets. */
export interface HookLimitsOptions {
  /** Deliveries a minute of one known hook. As many may arrive at once. */
  readonly rateLimit: number;
  /** The same, for all new hooks together, which share it by repository. */
  readonly rateLimitNew: number;
  /** Builds of one repository that run or wait. */
  readonly maxBuilds: number;
  /** Milliseconds of a monotonic clock. Default: the process's. */
  now?(): number;
}

/** A repository with a token, as the key in a hook URL seals them. */
export interface Hook {
  /** Contains neither the repository nor the token. */
  readonly id: string;
  /** `host/owner/name`. */
  readonly repository: string;
  /**
   * The key was sealed with `C3_SECRET`: by the operator, or by `/encrypt` after the forge had confirmed the token. Or
   * the delivery comes from a link, which only c3 seals.
   */
  readonly isSealedWithSecret: boolean;
}

/**
 * Limits what one process does for webhooks (A12). Everyone can seal a token of their own for any repository, with the
 * public key. Such a hook is *new* until the forge has confirmed its token. All new hooks share small limits, by
 * repository, because tokens cost nothing. Every other hook is *known* and has limits of its own, also after a restart.
 */
export class HookLimits {
  readonly #options: HookLimitsOptions;
  readonly #newHooks: FairTokenBucket;
  readonly #knownHooks: KeyedTokenBucket;
  /** Hooks of the public key whose token the forge has confirmed. A forgotten one is new again. */
  readonly #confirmed = new LruMap<string, true>(LIMITS.rememberedHooks);
  /** Those whose builds run or wait. */
  readonly #builds = new Set<Hook>();

  constructor(options: HookLimitsOptions) {
    this.#options = options;
    const common = { maxKeys: LIMITS.rememberedHooks, ...(options.now ? { now: options.now } : {}) };
    this.#newHooks = new FairTokenBucket({ ...common, perMinute: options.rateLimitNew });
    this.#knownHooks = new KeyedTokenBucket({ ...common, perMinute: options.rateLimit });
  }

  /**
   * Counts a delivery whose signature is right. A large one counts as several, so that a full bucket is worth
   * `parsedBytesPerMinute`. Somebody who knows only the URL of a hook uses up nothing.
   *
   * @param byteLength of the body
   * @throws {LimitError}
   */
  countDelivery(hook: Hook, byteLength = 0): void {
    const isNew = this.isNew(hook);
    const perMinute = isNew ? this.#options.rateLimitNew : this.#options.rateLimit;
    const count = Math.max(1, (byteLength / LIMITS.parsedBytesPerMinute) * perMinute);
    const waitMs = isNew ? this.#newHooks.take(hook.repository, count) : this.#knownHooks.take(hook.id, count);
    if (waitMs === 0) return;
    if (!isNew) throw new LimitError('This webhook has sent more than c3 accepts in a minute', waitMs);
    throw new LimitError('New webhooks of this repository have sent more than c3 accepts in a minute', waitMs, {
      hint: 'try again later, or use a hook URL that /encrypt made, which has a limit of its own',
    });
  }

  /** Notes that the forge has confirmed the hook's token. */
  confirm({ id, isSealedWithSecret }: Hook): void {
    if (!isSealedWithSecret) this.#confirmed.set(id, true);
  }

  isNew({ id, isSealedWithSecret }: Hook): boolean {
    return !isSealedWithSecret && !this.#confirmed.has(id);
  }

  /**
   * Acquires a slot for a build. All known hooks of a repository share `maxBuilds` slots, and those of an owner as many
   * as the owner leaves free: a forge gives everybody as many repositories as they like. New hooks have other slots, so
   * that a stranger cannot fill those of the repository's owner.
   *
   * @throws {LimitError}
   */
  acquireBuildSlot(hook: Hook): Release {
    const all = [...this.#builds];
    const known = all.filter((other) => !this.isNew(other));
    const ofRepository = known.filter(({ repository }) => repository === hook.repository);
    const { maxBuilds } = this.#options;
    checkBuilds('this repository', ofRepository.length, maxBuilds);
    if (this.isNew(hook)) {
      const strangers = all.filter((other) => this.isNew(other));
      const ofStrangers = strangers.filter(({ repository }) => repository === hook.repository);
      const free = LIMITS.buildsOfNewHooks - strangers.length;
      checkBuilds(
        'new webhooks',
        ofStrangers.length,
        Math.min(maxBuilds - ofRepository.length, Math.ceil(free / FAIR_PART)),
      );
    } else {
      const ofOwner = known.filter(({ repository }) => ownerOf(repository) === ownerOf(hook.repository));
      checkBuilds('this owner', ofOwner.length, LIMITS.builds - all.length);
    }
    const build = { ...hook };
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
