import {
  type Build,
  type BuildState,
  type Ending,
  formatCommitStatus,
  formatRef,
  hasBegun,
  readCommitStatus,
  toLogFields,
} from '../build/index.ts';
import { Cancelled, Superseded, type BuildRequest } from '../engine/index.ts';
import { C3Error } from '../errors.ts';
import type { Repository } from '../forges/forge.ts';
import { LruMap, type Release } from '../limiter.ts';
import type { Log } from '../log.ts';
import type { RunningBuild } from '../logs/index.ts';
import { formatScope, type Scope } from '../sealing/index.ts';
import { BuildStates } from './build-states.ts';
import { drain } from './drain.ts';
import type { Hook, HookLimits } from './limits.ts';

/** The builds of this process. Nothing of them outlives it. */
export interface Builds {
  /** @throws {C3Error} DRAINING */
  checkAccepting(): void;
  /**
   * Starts a build in the background, within the limits of its hook. If a build with the same identity runs, or has
   * ended in this process after it had begun, it does nothing.
   *
   * @returns what it has done, or what the build with the same identity does
   * @throws {C3Error} DRAINING; {LimitError}
   */
  start(build: NewBuild): 'started' | 'running' | 'ended';
  /** Cancels the builds of the same repository and ref that started before this one. */
  cancelPrevious(build: BuildIdentity): void;
  /**
   * Cancels the running builds of a repository for which `matches` returns true. Returns how many there were.
   *
   * @param matches gets the build, and when it started in epoch milliseconds
   */
  cancelWhere(scope: Scope, matches: (build: Build, startedAt: number) => boolean, reason: Cancelled): number;
  /** Marks a build as proven. Returns false if another one of its commit and ref is marked and runs. */
  claim(build: BuildIdentity): boolean;
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
   * Starts no further build, and resolves when every build has ended and is reported. `cancel` cancels them all, and
   * ends the wait for reports soon after the end of a build. `halt` also ends the wait for their `finally`.
   */
  drain(cancel: AbortSignal, halt?: AbortSignal): Promise<void>;
}

/** Identifies a build. The id alone is so short that a stranger could find a body with the same one. */
export type BuildIdentity = Pick<Build, 'id' | 'scope'>;

export interface NewBuild {
  readonly build: Build;
  /** The hook whose limits the build counts against (see {@link HookLimits}). */
  readonly hook: Hook;
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
  /** Whether the hook was new when the build started (see {@link HookLimits}). */
  readonly isFromNewHook: boolean;
  /** Receives every state, from the first. */
  onState(state: BuildState): void;
  /** Called when the work is done. Reports may still be on their way. */
  onOver(ending: Ending): void;
}

export interface BuildsOptions {
  run(request: BuildRequest, context: RunContext): Promise<Ending>;
  readonly limits: Pick<HookLimits, 'acquireBuildSlot' | 'confirm' | 'isNew'>;
  readonly log: Log;
  /** How long a cancelled build's reports are awaited. Default: five seconds. */
  readonly lastReportMs?: number;
}

/** The commit status of a cancelled build needs a request or two. */
const LAST_REPORT_MS = 5_000;

interface StartedBuild {
  readonly build: Build;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly cancel: AbortController;
  /** Undefined before the first state. */
  states: BuildStates | undefined;
  /** Resolves when its work is done. Reports may still be on their way. */
  readonly over: PromiseWithResolvers<void>;
  isOver: boolean;
  isProven: boolean;
  /** Resolves when the build and its reports are done. */
  ended: Promise<void>;
}

/** Ended builds whose deliveries are recognized when they come again. For others the forge's status tells. */
const MAX_ENDED = 1_000;

/** Returns whether a build has ended, and anything of it may have run. */
function isBuilt(state: BuildState): boolean {
  const { phase } = state;
  if (phase.kind !== 'ended' || phase.ending.kind === 'skipped') return false;
  return hasBegun(readCommitStatus(formatCommitStatus(state)));
}

export function createBuilds(options: BuildsOptions): Builds {
  const { limits, log } = options;
  /** By identity, the oldest first. */
  const running = new Map<string, StartedBuild>();
  const ended = new LruMap<string, true>(MAX_ENDED);
  const halt = new AbortController();
  let isDraining = false;

  function checkAccepting(): void {
    if (!isDraining) return;
    throw new C3Error('DRAINING', 'This c3 is shutting down', { hint: 'try again in a minute' });
  }

  return {
    checkAccepting,
    start(given): ReturnType<Builds['start']> {
      // The drain may have begun while the body was read. It waits only for builds that run by then.
      checkAccepting();
      const { build, hook } = given;
      const key = toKey(build);
      const same = running.get(key);
      if (same) return same.isOver && same.states && isBuilt(same.states.state) ? 'ended' : 'running';
      if (ended.has(key)) return 'ended';
      const releaseSlot = limits.acquireBuildSlot(hook);
      const started = createStarted(build);
      running.set(key, started);
      started.ended = run(given, { started, haltSignal: halt.signal, releaseSlot }, options)
        .catch((error: unknown) => log.error({ ...toLogFields(build), error: String(error) }, 'build failed inside c3'))
        .finally(() => {
          running.delete(key);
          if (started.states && isBuilt(started.states.state)) ended.set(key, true);
        });
      return 'started';
    },
    find: (build) => running.get(toKey(build))?.states,
    cancel(build, by): boolean {
      const found = running.get(toKey(build));
      // A build that has ended may still be reported.
      if (found?.states?.state.phase.kind === 'ended') return false;
      found?.cancel.abort(new Cancelled(by));
      return found !== undefined;
    },
    cancelWhere(scope, matches, reason): number {
      const ofScope = [...running.values()].filter(({ build }) => formatScope(build.scope) === formatScope(scope));
      const found = ofScope.filter(({ build, startedAt, isOver }) => !isOver && matches(build, startedAt));
      for (const { cancel } of found) cancel.abort(reason);
      return found.length;
    },
    cancelPrevious(build): void {
      const newer = running.get(toKey(build));
      if (!newer) return;
      for (const older of running.values()) {
        if (older === newer) return;
        if (toRefKey(older.build) === toRefKey(newer.build)) older.cancel.abort(new Superseded(newer.build.sha));
      }
    },
    claim: (build) => claim(running.get(toKey(build)), [...running.values()]),
    get count() {
      return running.size;
    },
    async drain(signal, haltSignal): Promise<void> {
      isDraining = true;
      haltSignal?.addEventListener('abort', () => halt.abort(), { once: true });
      const patience = options.lastReportMs ?? LAST_REPORT_MS;
      await drain(running, { log, signal, halt: halt.signal, patience });
    },
  };
}

function createStarted(build: Build): StartedBuild {
  const over = Promise.withResolvers<void>();
  const ended = Promise.resolve();
  return {
    build,
    startedAt: Date.now(),
    cancel: new AbortController(),
    states: undefined,
    over,
    isOver: false,
    isProven: false,
    ended,
  };
}

function claim(own: StartedBuild | undefined, running: readonly StartedBuild[]): boolean {
  if (!own) return true;
  const same = running.filter(({ build }) => toCommitKey(build) === toCommitKey(own.build));
  own.isProven = same.every(({ isProven }) => !isProven);
  return own.isProven;
}

/** Resolves when the build and its reports are done. */
async function run(
  { build, hook, token, repository, isOldKey }: NewBuild,
  { started, haltSignal, releaseSlot }: { started: StartedBuild; haltSignal: AbortSignal; releaseSlot: Release },
  { run: runBuild, limits, log }: BuildsOptions,
): Promise<void> {
  const fields = toLogFields(build);
  log.info(fields, 'build started');
  const isFromNewHook = limits.isNew(hook);
  let isProven = false;
  function confirm(proven: boolean): void {
    isProven = proven;
    if (proven) limits.confirm(hook);
  }
  const proving: Repository = {
    ...repository,
    async prove(...args) {
      const proof = await repository.prove(...args);
      confirm(proof.kind === 'proven');
      return proof;
    },
    async checkAccess(...args) {
      const refusal = await repository.checkAccess(...args);
      confirm(refusal === undefined);
      return refusal;
    },
  };
  function onOver(ending: Ending): void {
    if (started.isOver) return;
    started.isOver = true;
    started.over.resolve();
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
    onOver(await runBuild(request, { token, isProven: () => isProven, isFromNewHook, onState, onOver }));
    log.info(fields, 'build reported');
  } finally {
    started.over.resolve();
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

/** A pull request supersedes its own builds, and not those of pushes to its branch. */
function toRefKey({ scope, ref, pull }: Build): string {
  return `${formatScope(scope)} ${pull ? `pull request ${pull.number}` : formatRef(ref)}`;
}

function toCommitKey(build: Build): string {
  return `${toRefKey(build)} ${build.sha}`;
}
