import { type BuildLink, openLink } from '../build/index.ts';
import type { BuildLook, RunningBuild, ViewRequest } from '../logs/index.ts';
import type { Forge } from '../forges/forge.ts';
import { formatScope, type Keyring, type Scope } from '../sealing/index.ts';
import type { BuildName } from './builds.ts';
import { toHook } from './digest.ts';
import { LimitError } from './limit-error.ts';
import { createBuckets } from './limits.ts';
import { once } from './once.ts';
import { createSharedView, type SharedView } from './shared-view.ts';
import { ownerOf } from './tally.ts';

/** The builds that somebody looks at. */
export interface Views {
  /**
   * Opens a link and what it leads to. Who looks at the same build with the same token shares one view of it.
   *
   * @param places as many readers as this one counts for; default 1
   * @throws {C3Error} SEALED_INVALID, SCOPE_REFUSED; {LimitError} when too many look; the signal's reason when it is aborted before
   */
  look(sealed: string, signal: AbortSignal, places?: number): Promise<OpenedLook>;
  /** Ends all that is looked at. */
  close(): Promise<void>;
}

export interface OpenedLook {
  readonly link: BuildLink;
  readonly look: BuildLook;
  /** To be called once, when nothing more is read from it. */
  release(): void;
}

export interface ViewsOptions {
  readonly keyring: Keyring;
  /** @throws {C3Error} SCOPE_REFUSED */
  forgeFor(scope: Scope): Forge;
  /** @throws {C3Error} SCOPE_REFUSED */
  checkScope(scope: Scope): void;
  /** A build that this process leads. */
  watch(build: BuildName): RunningBuild | undefined;
  /** Never rejects. */
  open(request: ViewRequest): Promise<BuildLook>;
  readonly limits?: Partial<ViewLimits>;
}

export interface ViewLimits {
  /** Each holds a connection or two into a Pod. */
  readonly maxViews: number;
  /** Of one view: a page of a running build stays a reader. */
  readonly maxReaders: number;
  /** Of all views: one that takes nothing holds two parts of a log, of 256 KiB each. */
  readonly maxReadersInAll: number;
  /** Of all views of one owner's repositories: whoever reads nothing of what they ask for leaves the rest to others. */
  readonly maxReadersOfOwner: number;
  /** Views a minute of builds that this process does not lead, for one token: each costs up to three of the calls that its forge allows. */
  readonly opensPerMinute: number;
  /** How long a view that nobody looks at is kept: whoever opens a page asks for its events next, and then perhaps for a log. */
  readonly idleMs: number;
  /** How long a view that does not change by itself, of a build that may go on elsewhere, is taken for true. */
  readonly freshMs: number;
}

const LIMITS: ViewLimits = {
  maxViews: 200,
  maxReaders: 32,
  maxReadersInAll: 300,
  maxReadersOfOwner: 100,
  opensPerMinute: 20,
  idleMs: 30_000,
  freshMs: 3_000,
};

const RETRY_AFTER_SECONDS = 30;
/** An entry takes about 200 bytes. */
const MAX_OWNERS = 10_000;

export function createViews(options: ViewsOptions): Views {
  const limits = { ...LIMITS, ...options.limits };
  /** All that are open, with their owners, the longest first; those that nobody may join any more among them. */
  const views = new Map<SharedView, string>();
  /** The newest of each build. */
  const byKey = new Map<string, SharedView>();
  const takeOpening = createBuckets(limits.opensPerMinute, MAX_OWNERS, () => performance.now());

  function open(key: string, link: BuildLink, running: RunningBuild | undefined): SharedView {
    makeRoom(views, limits);
    const { build, token } = link;
    const repository = options.forgeFor(build.scope).openRepository(build.scope, token);
    const closing = new AbortController();
    const order = { build, repository, running, signal: closing.signal };
    const view = createSharedView({
      ...limits,
      look: options.open(order),
      isLed: running !== undefined,
      async onClose() {
        views.delete(view);
        if (byKey.get(key) === view) byKey.delete(key);
        closing.abort();
      },
    });
    views.set(view, ownerOf(formatScope(build.scope)));
    byKey.set(key, view);
    return view;
  }

  function find(link: BuildLink): SharedView {
    const { build, token } = link;
    const hook = toHook(build.scope, token);
    const key = `${hook} ${build.id} ${build.sha}`;
    const running = options.watch(build);
    const shared = byKey.get(key);
    if (shared?.isStale(running !== undefined) === false) return shared;
    const waitMs = running === undefined ? takeOpening(hook) : 0;
    if (waitMs > 0) {
      // Better old than nothing.
      if (shared) return shared;
      throw new LimitError(
        'More builds of this repository were opened than c3 asks for in a minute',
        Math.ceil(waitMs / 1000),
      );
    }
    shared?.retire();
    return open(key, link, running);
  }

  return {
    async look(sealed, signal, count = 1) {
      const link = await openLink(options.keyring, sealed);
      const { scope } = link.build;
      options.checkScope(scope);
      checkReaders(views, limits, { owner: ownerOf(formatScope(scope)), count });
      const view = find(link);
      if (view.readers + count > limits.maxReaders) {
        throw new LimitError(`${view.readers} readers look at this build already`, RETRY_AFTER_SECONDS);
      }
      const release = once(view.enter(count));
      try {
        return { link, look: await orAborted(view.look, signal), release };
      } catch (error) {
        release();
        throw error;
      }
    },
    async close(): Promise<void> {
      await Promise.all([...views.keys()].map((view) => view.close()));
    },
  };
}

/** For one more, in the place of one that nobody looks at. @throws {LimitError} */
function makeRoom(views: ReadonlyMap<SharedView, string>, { maxViews }: ViewLimits): void {
  if (views.size < maxViews) return;
  const idle = [...views.keys()].find(({ readers }) => readers === 0);
  if (!idle) throw new LimitError('This c3 shows as many builds as it can', RETRY_AFTER_SECONDS);
  void idle.close();
}

/** @throws {LimitError} when all who look, or those who look at what the owner has, leave no room for so many more */
function checkReaders(
  views: ReadonlyMap<SharedView, string>,
  { maxReadersInAll, maxReadersOfOwner }: ViewLimits,
  { owner, count }: { readonly owner: string; readonly count: number },
): void {
  let [inAll, ofOwner] = [0, 0];
  for (const [{ readers }, its] of views) {
    inAll += readers;
    if (its === owner) ofOwner += readers;
  }
  if (ofOwner + count > maxReadersOfOwner) {
    throw new LimitError(`${ofOwner} readers look at builds of this owner already`, RETRY_AFTER_SECONDS);
  }
  if (inAll + count > maxReadersInAll)
    throw new LimitError(`${inAll} readers look at builds already`, RETRY_AFTER_SECONDS);
}

/** @throws the signal's reason, once it is aborted */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
