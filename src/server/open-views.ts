import { type BuildLink, openLink } from '../build/index.ts';
import type { Forge } from '../forges/forge.ts';
import { KeyedTokenBucket, untilAborted } from '../limiter.ts';
import type { BuildLook, RunningBuild, ViewRequest } from '../logs/index.ts';
import { formatScope, type Keyring, type Scope } from '../sealing/index.ts';
import type { BuildIdentity } from './builds.ts';
import { toHookId } from './build-id.ts';
import { LimitError, ownerOf } from './limits.ts';

/** The views of builds that somebody reads. */
export interface OpenViews {
  /**
   * Opens a link and a view of its build. Readers with the same build and token share one view.
   *
   * @param weight the number of readers that this one counts for; default 1
   * @throws {C3Error} SEALED_INVALID, SCOPE_REFUSED; {LimitError} for too many readers; the signal's reason
   */
  open(sealed: string, signal: AbortSignal, weight?: number): Promise<OpenedView>;
  /** Closes all views. */
  close(): Promise<void>;
}

export interface OpenedView {
  readonly link: BuildLink;
  readonly found: BuildLook;
  /** Must be called when its reader is done. Only the first call has an effect. */
  release(): void;
}

export interface OpenViewsOptions {
  readonly keyring: Keyring;
  /** @throws {C3Error} SCOPE_REFUSED */
  forgeFor(scope: Scope): Forge;
  /** @throws {C3Error} SCOPE_REFUSED */
  checkScope(scope: Scope): void;
  /** Returns the build if this process runs it. */
  findRunning(build: BuildIdentity): RunningBuild | undefined;
  /** Never rejects. */
  open(request: ViewRequest): Promise<BuildLook>;
  readonly limits?: Partial<ViewLimits>;
}

/** Limits of views and their readers (A12). */
export interface ViewLimits {
  /** Each view holds a connection or two into a Pod. */
  readonly maxViews: number;
  /** Readers of one view. The page of a running build stays a reader. */
  readonly maxReaders: number;
  /** Readers of all views. One that reads nothing holds two parts of a log, 256 KiB each. */
  readonly maxReadersInAll: number;
  /** Readers of the repositories of one owner. The others stay free for other owners. */
  readonly maxReadersOfOwner: number;
  /** Views a minute that one token opens of builds that do not run here. Each takes up to three forge calls. */
  readonly opensPerMinute: number;
  /** How long a view without readers stays open. A page asks for its events next, and perhaps for a log. */
  readonly idleMs: number;
  /** How long a view that does not change is valid, if its build may continue elsewhere. */
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

const RETRY_AFTER_MS = 30_000;
/** Tokens whose rate is remembered. Each takes about 200 bytes. */
const MAX_TOKENS = 10_000;

export function createOpenViews(options: OpenViewsOptions): OpenViews {
  const limits = { ...LIMITS, ...options.limits };
  /** All views, the oldest first. Some have a newer one of the same build. */
  const views = new Set<View>();
  /** The newest view of each build. */
  const newest = new Map<string, View>();
  const opens = new KeyedTokenBucket({ perMinute: limits.opensPerMinute, maxKeys: MAX_TOKENS });

  /** Creates a view. Closes the oldest one without readers, if there are too many. @throws {LimitError} */
  function create(key: string, { build, token }: BuildLink, running: RunningBuild | undefined): View {
    if (views.size >= limits.maxViews) {
      const idle = [...views].find(({ readers }) => readers === 0);
      if (!idle) throw new LimitError('c3 shows as many builds as it can', RETRY_AFTER_MS);
      void idle.close();
    }
    const repository = options.forgeFor(build.scope).openRepository(build.scope, token);
    const closing = new AbortController();
    const view = new View(options.open({ build, repository, running, signal: closing.signal }), {
      ...limits,
      owner: ownerOf(formatScope(build.scope)),
      isLed: running !== undefined,
      onClose() {
        views.delete(view);
        if (newest.get(key) === view) newest.delete(key);
        closing.abort();
      },
    });
    views.add(view);
    newest.set(key, view);
    return view;
  }

  function findOrCreate(link: BuildLink): View {
    const { build, token } = link;
    const hook = toHookId(build.scope, token);
    const key = `${hook} ${build.id} ${build.sha}`;
    const running = options.findRunning(build);
    const view = newest.get(key);
    if (view?.isStale(running !== undefined) === false) return view;
    const waitMs = running === undefined ? opens.take(hook) : 0;
    if (waitMs > 0) {
      // An old view is better than none.
      if (view) return view;
      throw new LimitError('c3 has opened too many builds of this repository in a minute', waitMs);
    }
    view?.retire();
    return create(key, link, running);
  }

  return {
    async open(sealed, signal, weight = 1) {
      const link = await openLink(options.keyring, sealed);
      const { scope } = link.build;
      options.checkScope(scope);
      const owner = ownerOf(formatScope(scope));
      const ofOwner = [...views].filter((view) => view.owner === owner);
      checkReaders('builds of this owner', ofOwner, { weight, max: limits.maxReadersOfOwner });
      checkReaders('builds', [...views], { weight, max: limits.maxReadersInAll });
      const view = findOrCreate(link);
      checkReaders('this build', [view], { weight, max: limits.maxReaders });
      const release = view.addReader(weight);
      try {
        const found = await untilAborted(view.found, signal);
        if (found === undefined) throw signal.reason;
        return { link, found, release };
      } catch (error) {
        release();
        throw error;
      }
    },
    async close(): Promise<void> {
      await Promise.all([...views].map((view) => view.close()));
    },
  };
}

/** @throws {LimitError} if the views have too many readers for another one of this weight */
function checkReaders(
  what: string,
  views: readonly View[],
  { weight, max }: { readonly weight: number; readonly max: number },
): void {
  const readers = views.reduce((sum, view) => sum + view.readers, 0);
  if (readers + weight > max) throw new LimitError(`${readers} readers view ${what} already`, RETRY_AFTER_MS);
}

interface SharedViewOptions extends ViewLimits {
  readonly owner: string;
  /** This process runs the build, so the view changes with it. */
  readonly isLed: boolean;
  onClose(): void;
}

/** A view that several readers share. */
class View {
  readonly owner: string;
  readonly found: Promise<BuildLook>;
  readonly #options: SharedViewOptions;
  #opened: { readonly found: BuildLook; readonly at: number } | undefined;
  #readers = 0;
  #isRetired = false;
  #idle: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(found: Promise<BuildLook>, options: SharedViewOptions) {
    this.owner = options.owner;
    this.found = found;
    this.#options = options;
    void found.then((known) => (this.#opened = { found: known, at: performance.now() }));
  }

  /** The sum of the readers' weights. */
  get readers(): number {
    return this.#readers;
  }

  /** Tells whether a new view may show more. `isRunning`: this process runs the build now. */
  isStale(isRunning: boolean): boolean {
    const { isLed, freshMs } = this.#options;
    if (isLed || this.#opened === undefined) return false;
    const { found, at } = this.#opened;
    return isRunning || (!isFinal(found) && performance.now() - at > freshMs);
  }

  /** Returns the function that removes the reader. */
  addReader(weight: number): () => void {
    let isReading = true;
    this.#readers += weight;
    clearTimeout(this.#idle);
    return () => {
      if (!isReading) return;
      isReading = false;
      this.#readers -= weight;
      if (this.#readers > 0 || this.#closing) return;
      if (this.#isRetired) void this.close();
      else this.#idle = setTimeout(() => void this.close(), this.#options.idleMs).unref();
    };
  }

  /** Closes it with its last reader. It gets no new one. */
  retire(): void {
    this.#isRetired = true;
    if (this.#readers === 0) void this.close();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#idle);
    this.#options.onClose();
    const found = await this.found;
    if (found.kind === 'seen') found.view.close();
  }
}

/** Tells whether a build has ended, so that its view stays as it is. */
function isFinal(found: BuildLook): boolean {
  switch (found.kind) {
    case 'seen':
      return found.view.state.phase.kind === 'ended';
    case 'outcome':
      return found.outcome.status !== undefined && found.outcome.status.state !== 'pending';
    case 'failed':
      return false;
  }
}
