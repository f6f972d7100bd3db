import { type Build, type BuildState, type Ending, formatRef, toLogFields } from '../build/index.ts';
import { Cancelled, Superseded, type BuildRequest } from '../engine/index.ts';
import { C3Error } from '../errors.ts';
import type { Repository } from '../forges/forge.ts';
import type { Release } from '../limiter.ts';
import type { Log } from '../log.ts';
import type { RunningBuild } from '../logs/index.ts';
import { formatScope } from '../sealing/index.ts';
import type { HookLimits } from './limits.ts';

/** The builds of this process. Nothing of them outlives it. */
export interface Builds {
  /** @throws {C3Error} DRAINING */
  checkAccepting(): void;
  /**
   * Starts a build in the background, within the limits of its hook. If a build with the same identity runs, it does
   * nothing.
   *
   * @returns whether it started one
   * @throws {C3Error} DRAINING; {LimitError}
   */
  start(build: NewBuild): boolean;
  /** Cancels the builds of the same repository and ref that started before this one. */
  cancelPrevious(build: BuildIdentity): void;
  /** Returns the build if this process runs it and its first state is known. */
  find(build: BuildIdentity): RunningBuild | undefined;
  /**
   * Cancels a build. Returns whether there was one to cancel.
   *
   * @param by "somebody with the control link"
   */
  cancel(build: BuildIdentity, by: string): boolean;
  readonly count: number;
  /**
   * Starts no further build, and resolves when every build has ended. `cancel` cancels them all. `halt` also ends the
   * wait for their `finally`.
   */
  drain(cancel: AbortSignal, halt?: AbortSignal): Promise<void>;
}

/** Identifies a build. The id alone is so short that a stranger could find a body with the same one. */
export type BuildIdentity = Pick<Build, 'id' | 'scope'>;

export interface NewBuild {
  readonly build: Build;
  /** The hook whose limits the build counts against (see {@link HookLimits}). */
  readonly hook: string;
  /** The access token of the hook's key. */
  readonly token: string;
  readonly repository: Repository;
  /** The hook's key was sealed with an old key of this c3. */
  readonly isOldKey: boolean;
}

/** What a build needs to run, beside its request. */
export interface RunContext {
  readonly token: string;
  /** Tells whether the forge has confirmed the push by now. */
  isProven(): boolean;
  /** Receives every state, from the first. */
  onState(state: BuildState): void;
  /** Called when the work is done. Reports may still be on their way. */
  onOver(ending: Ending): void;
}

export interface BuildsOptions {
  run(request: BuildRequest, context: RunContext): Promise<Ending>;
  readonly limits: Pick<HookLimits, 'acquireBuildSlot' | 'confirm'>;
  readonly log: Log;
}

interface StartedBuild {
  readonly build: Build;
  readonly cancel: AbortController;
  /** Undefined before the first state. */
  states: BuildStates | undefined;
  /** Resolves when the build and its reports are done. */
  ended: Promise<void>;
}

export function createBuilds(options: BuildsOptions): Builds {
  const { limits, log } = options;
  /** By identity, the oldest first. */
  const running = new Map<string, StartedBuild>();
  const halt = new AbortController();
  let isDraining = false;

  function checkAccepting(): void {
    if (!isDraining) return;
    throw new C3Error('DRAINING', 'This c3 is shutting down', { hint: 'try again in a minute' });
  }

  return {
    checkAccepting,
    start(given): boolean {
      // The drain may have begun while the body was read. It waits only for builds that run by then.
      checkAccepting();
      const { build, hook } = given;
      const key = toKey(build);
      if (running.has(key)) return false;
      const releaseSlot = limits.acquireBuildSlot({ hook, repository: formatScope(build.scope) });
      const cancel = new AbortController();
      const started: StartedBuild = { build, cancel, states: undefined, ended: Promise.resolve() };
      running.set(key, started);
      started.ended = run(given, { started, haltSignal: halt.signal, releaseSlot }, options)
        .catch((error: unknown) => log.error({ ...toLogFields(build), error: String(error) }, 'build failed inside c3'))
        .finally(() => running.delete(key));
      return true;
    },
    find: (build) => running.get(toKey(build))?.states,
    cancel(build, by): boolean {
      const found = running.get(toKey(build));
      // A build that has ended may still be reported.
      if (found?.states?.state.phase.kind === 'ended') return false;
      found?.cancel.abort(new Cancelled(by));
      return found !== undefined;
    },
    cancelPrevious(build): void {
      const newer = running.get(toKey(build));
      if (!newer) return;
      for (const older of running.values()) {
        if (older === newer) return;
        if (toRefKey(older.build) === toRefKey(newer.build)) older.cancel.abort(new Superseded(newer.build.sha));
      }
    },
    get count() {
      return running.size;
    },
    async drain(signal, haltSignal): Promise<void> {
      isDraining = true;
      function cancelAll(): void {
        for (const { cancel } of running.values()) cancel.abort();
      }
      if (signal.aborted) cancelAll();
      signal.addEventListener('abort', cancelAll, { once: true });
      haltSignal?.addEventListener('abort', () => halt.abort(), { once: true });
      await Promise.all([...running.values()].map(({ ended }) => ended));
    },
  };
}

/** Resolves when the build and its reports are done. */
async function run(
  { build, hook, token, repository, isOldKey }: NewBuild,
  { started, haltSignal, releaseSlot }: { started: StartedBuild; haltSignal: AbortSignal; releaseSlot: Release },
  { run: runBuild, limits, log }: BuildsOptions,
): Promise<void> {
  const fields = toLogFields(build);
  log.info(fields, 'build started');
  let [isProven, isOver] = [false, false];
  const proving: Repository = {
    ...repository,
    async prove(...args) {
      const proof = await repository.prove(...args);
      isProven = proof.kind === 'proven';
      if (isProven) limits.confirm(hook);
      return proof;
    },
  };
  function onOver(ending: Ending): void {
    if (isOver) return;
    isOver = true;
    log.info({ ...fields, ending: ending.kind }, describe(ending));
    releaseSlot();
  }
  function onState(state: BuildState): void {
    if (started.states) started.states.add(state);
    else started.states = new BuildStates(state);
  }
  try {
    const { signal } = started.cancel;
    const request = { build, repository: proving, isOldKey, isResumed: false, signal, haltSignal };
    onOver(await runBuild(request, { token, isProven: () => isProven, onState, onOver }));
    log.info(fields, 'build reported');
  } finally {
    started.states?.end();
    releaseSlot();
  }
}

function describe(ending: Ending): string {
  return 'message' in ending ? `build ended: ${ending.kind}: ${ending.message}` : `build ended: ${ending.kind}`;
}

function toKey({ id, scope }: BuildIdentity): string {
  return `${formatScope(scope)} ${id}`;
}

function toRefKey({ scope, ref }: Build): string {
  return `${formatScope(scope)} ${formatRef(ref)}`;
}

/** The states of a running build. Keeps only the newest one, so a slow watcher misses some and delays nobody. */
class BuildStates implements RunningBuild {
  #newest: BuildState;
  #isOver = false;
  #changed = Promise.withResolvers<void>();

  constructor(first: BuildState) {
    this.#newest = withoutLinks(first);
  }

  get state(): BuildState {
    return this.#newest;
  }

  add(state: BuildState): void {
    this.#newest = withoutLinks(state);
    this.#wake();
  }

  /** Ends all watchers, once they have seen the newest state. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  async *changes(signal: AbortSignal): AsyncGenerator<BuildState, void> {
    let shown: BuildState | undefined;
    // It also wakes the other watchers, which find nothing new.
    signal.addEventListener('abort', this.#wake);
    try {
      while (!signal.aborted) {
        if (this.#newest !== shown) yield (shown = this.#newest);
        else if (this.#isOver) return;
        else await this.#changed.promise;
      }
    } finally {
      signal.removeEventListener('abort', this.#wake);
    }
  }

  readonly #wake = (): void => {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  };
}

/** A14: everybody sees this state, and a viewer must not get the control link. */
function withoutLinks(state: BuildState): BuildState {
  return { ...state, links: undefined };
}
