import { type Build, type BuildState, type Ending, formatRef, type ReportedBuild } from '../build/index.ts';
import { Cancelled, Superseded, type BuildRequest } from '../engine/index.ts';
import type { RunningBuild } from '../logs/index.ts';
import { C3Error } from '../errors.ts';
import type { Log } from '../log.ts';
import { formatScope } from '../sealing/index.ts';
import type { BuildRepository } from './build-repository.ts';
import { once } from './once.ts';
import { createStateFeed, type StateFeed } from './state-feed.ts';

/** The builds of this process. It holds no other state, and none that outlives it. */
export interface Builds {
  /** @throws {C3Error} DRAINING */
  checkOpen(): void;
  /**
   * Starts a build in the background, or names the running one of the very same delivery.
   *
   * @throws {C3Error} DRAINING
   */
  accept(accepted: AcceptedBuild): { id: string; isNew: boolean };
  /** Cancels the builds of the same repository and ref that were accepted before this one. */
  cancelPrevious(build: BuildName): void;
  /** A build that this process leads; undefined: it leads none of that name. */
  watch(build: BuildName): RunningBuild | undefined;
  /** Whether there was a build to cancel. `by`: "somebody with the control link". */
  cancel(build: BuildName, by: string): boolean;
  readonly count: number;
  /**
   * Takes no more and resolves when every build has ended. `cancel` ends the waiting by cancelling them, `halt` by not waiting for
   * what they do in `finally` either.
   */
  drain(cancel: AbortSignal, halt?: AbortSignal): Promise<void>;
}

/** Identifies a build. An id alone is not enough: it is so short that a stranger could find a second body with the same one. */
export type BuildName = Pick<Build, 'id' | 'scope'>;

/** A build to run, and what comes with it. */
export interface AcceptedBuild {
  readonly build: ReportedBuild & Pick<Build, 'cause'>;
  /** The access token of the hook's key. */
  readonly token: string;
  readonly repository: BuildRepository;
  /** Gives back the place that the build has (see {@link HookLimits}). Called when its work is done, at the latest when all is reported. */
  leave(): void;
  /** Hex. Equal for deliveries of the same content. */
  readonly fingerprint: string;
  /** The hook's key was sealed with an old key of this c3. */
  readonly isOldKey: boolean;
}

/** What a build is run with, besides its request. */
export interface RunContext {
  readonly token: string;
  readonly repository: Pick<BuildRepository, 'isProven'>;
  /** To be told every state, from the very first. */
  onState(state: BuildState): void;
  /** To be told when its work is done; reports may still be on their way. */
  onOver(ending: Ending): void;
}

export interface BuildsOptions {
  run(request: BuildRequest, context: RunContext): Promise<Ending>;
  readonly log: Log;
}

interface LedBuild {
  readonly build: Build;
  readonly cancel: AbortController;
  readonly feed: StateFeed;
  /** All of it, its reports too. */
  readonly ended: Promise<void>;
}

/** 48 bits: short enough to be read, long enough that no two deliveries of a commit share one. */
const ID_LENGTH = 12;

export function createBuilds({ run: runBuild, log }: BuildsOptions): Builds {
  /** By name, oldest first. */
  const running = new Map<string, LedBuild>();
  const halt = new AbortController();
  let isDraining = false;

  async function run(
    build: Build,
    { token, repository, isOldKey, leave }: AcceptedBuild,
    { signal, feed }: { signal: AbortSignal; feed: StateFeed },
  ): Promise<void> {
    const { id, scope, ref, sha } = build;
    const fields = { build: id, repository: formatScope(scope), ref: formatRef(ref), sha };
    log.info(fields, 'build started');
    const onOver = once((ending: Ending) => {
      log.info({ ...fields, ending: ending.kind }, toWords(ending));
      leave();
    });
    try {
      const request = { build, repository, isOldKey, isResumed: false, signal, haltSignal: halt.signal };
      onOver(await runBuild(request, { token, repository, onState: (state) => feed.tell(state), onOver }));
      log.info(fields, 'build reported');
    } finally {
      feed.end();
      leave();
    }
  }

  function checkOpen(): void {
    if (!isDraining) return;
    throw new C3Error('DRAINING', 'This c3 is shutting down', { hint: 'try it again in a minute' });
  }

  return {
    checkOpen,
    accept(accepted): { id: string; isNew: boolean } {
      // Again: the draining may have begun while the body was read, and waits only for what runs by then.
      checkOpen();
      // The same content has the same id, for ever: by it the forge's own record tells a replay.
      const id = accepted.fingerprint.slice(0, ID_LENGTH);
      const build: Build = { ...accepted.build, id, trust: undefined };
      const key = toKey(build);
      if (running.has(key)) return { id, isNew: false };
      const cancel = new AbortController();
      const feed = createStateFeed();
      const ended = run(build, accepted, { signal: cancel.signal, feed })
        .catch((error: unknown) => log.error({ build: id, error: String(error) }, 'build failed inside c3'))
        .finally(() => running.delete(key));
      running.set(key, { build, cancel, feed, ended });
      return { id, isNew: true };
    },
    watch: (name) => running.get(toKey(name))?.feed.build,
    cancel(name, by): boolean {
      const build = running.get(toKey(name));
      // One that has ended may still be reported.
      if (build?.feed.build?.state.phase.kind === 'ended') return false;
      build?.cancel.abort(new Cancelled(by));
      return build !== undefined;
    },
    cancelPrevious(name): void {
      supersede(running.get(toKey(name)), running.values());
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

function toWords(ending: Ending): string {
  return 'message' in ending ? `build ended: ${ending.kind}: ${ending.message}` : `build ended: ${ending.kind}`;
}

function toKey({ id, scope }: BuildName): string {
  return `${formatScope(scope)} ${id}`;
}

function supersede(newer: LedBuild | undefined, all: Iterable<LedBuild>): void {
  if (!newer) return;
  for (const older of all) {
    if (older === newer) return;
    if (toRefKey(older.build) !== toRefKey(newer.build)) continue;
    older.cancel.abort(new Superseded(newer.build.sha));
  }
}

function toRefKey({ scope, ref }: Build): string {
  return `${formatScope(scope)} ${formatRef(ref)}`;
}
