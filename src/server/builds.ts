import { Superseded, type BuildRequest, type BuildSource, type Ending } from '../engine/index.ts';
import { C3Error } from '../errors.ts';
import type { Push, Repository } from '../forges/forge.ts';
import type { Log } from '../log.ts';
import { formatScope, type Scope } from '../sealing/index.ts';

/** The builds of this process. It holds no other state, and none that outlives it. */
export interface Builds {
  /** @throws {C3Error} DRAINING */
  checkOpen(): void;
  /**
   * Starts a build in the background, or names the running one of the very same delivery.
   *
   * @throws {C3Error} DRAINING
   */
  accept(delivery: AcceptedPush): { id: string; isNew: boolean };
  /** Cancels the builds of the same repository and ref that were accepted before this one. */
  cancelPrevious(id: string): void;
  readonly count: number;
  /**
   * Takes no more and resolves when every build has ended. `cancel` ends the waiting by cancelling them, `halt` by not waiting for
   * what they do in `finally` either.
   */
  drain(cancel: AbortSignal, halt?: AbortSignal): Promise<void>;
}

export interface AcceptedPush {
  readonly scope: Scope;
  readonly repository: Repository;
  readonly repositoryUrl: string;
  readonly push: Push;
  /** Hex. Equal for deliveries of the same content. */
  readonly fingerprint: string;
  /** The hook's key was sealed with an old key of this c3. */
  readonly isOldKey: boolean;
}

export interface BuildsOptions {
  run(request: BuildRequest, scope: Scope): Promise<Ending>;
  readonly log: Log;
}

interface RunningBuild {
  readonly scope: string;
  readonly push: Push;
  readonly cancel: AbortController;
  readonly ended: Promise<void>;
}

/** 48 bits: short enough to be read, long enough that no two deliveries of a commit share one. */
const ID_LENGTH = 12;

export function createBuilds({ run, log }: BuildsOptions): Builds {
  /** By id, oldest first. */
  const running = new Map<string, RunningBuild>();
  const halt = new AbortController();
  let isDraining = false;

  async function build(id: string, delivery: AcceptedPush, signal: AbortSignal): Promise<void> {
    const { scope, repository, repositoryUrl, push, isOldKey } = delivery;
    const fields = { build: id, repository: formatScope(scope), ref: push.ref, sha: push.sha };
    log.info(fields, 'build started');
    try {
      const source = toSource(scope, repositoryUrl, push);
      const request = { id, source, push, repository, isOldKey, isResumed: false, signal, haltSignal: halt.signal };
      const ending = await run(request, scope);
      const words =
        'message' in ending ? `build ended: ${ending.kind}: ${ending.message}` : `build ended: ${ending.kind}`;
      log.info({ ...fields, ending: ending.kind }, words);
    } finally {
      await repository.close();
    }
  }

  function checkOpen(): void {
    if (!isDraining) return;
    throw new C3Error('DRAINING', 'This c3 is shutting down', { hint: 'deliver the event again in a minute' });
  }

  return {
    checkOpen,
    accept(delivery): { id: string; isNew: boolean } {
      // Again: the draining may have begun while the body was read, and waits only for what runs by then.
      checkOpen();
      // The same content has the same id, for ever: by it the forge's own record tells a replay.
      const id = delivery.fingerprint.slice(0, ID_LENGTH);
      if (running.has(id)) return { id, isNew: false };
      const cancel = new AbortController();
      const ended = build(id, delivery, cancel.signal)
        .catch((error: unknown) => log.error({ build: id, error: String(error) }, 'build failed inside c3'))
        .finally(() => running.delete(id));
      running.set(id, { scope: formatScope(delivery.scope), push: delivery.push, cancel, ended });
      return { id, isNew: true };
    },
    cancelPrevious(id): void {
      const newer = running.get(id);
      if (!newer) return;
      for (const older of running.values()) {
        if (older === newer) return;
        if (older.scope !== newer.scope || older.push.ref !== newer.push.ref) continue;
        older.cancel.abort(new Superseded(newer.push.sha));
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

function toSource(scope: Scope, repositoryUrl: string, push: Push): BuildSource {
  return {
    scope: formatScope(scope),
    repositoryUrl,
    refKind: push.refKind,
    refName: push.refName,
    sha: push.sha,
    commitUrl: push.commitUrl,
    subject: push.subject,
    author: push.author,
  };
}
