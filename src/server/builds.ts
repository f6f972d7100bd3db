import { randomBytes } from 'node:crypto';
import type { BuildRequest, BuildSource, Ending } from '../engine/index.ts';
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
  readonly count: number;
  /** Takes no more and resolves when every build has ended, at the latest `signal` ends the waiting by cancelling them. */
  drain(signal: AbortSignal): Promise<void>;
}

export interface AcceptedPush {
  readonly scope: Scope;
  readonly repository: Repository;
  readonly repositoryUrl: string;
  readonly push: Push;
  /** Equal for deliveries of the same content. */
  readonly fingerprint: string;
}

export interface BuildsOptions {
  run(request: BuildRequest, scope: Scope): Promise<Ending>;
  readonly log: Log;
}

export function createBuilds({ run, log }: BuildsOptions): Builds {
  const running = new Map<string, { id: string; ended: Promise<void> }>();
  const cancel = new AbortController();
  let isDraining = false;

  async function build(id: string, { scope, repository, repositoryUrl, push }: AcceptedPush): Promise<void> {
    const fields = { build: id, repository: formatScope(scope), ref: push.ref, sha: push.sha };
    log.info(fields, 'build started');
    try {
      const source = toSource(scope, repositoryUrl, push);
      const ending = await run({ id, source, push, repository, signal: cancel.signal }, scope);
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
      const known = running.get(delivery.fingerprint);
      if (known) return { id: known.id, isNew: false };
      const id = randomBytes(6).toString('hex');
      const ended = build(id, delivery)
        .catch((error: unknown) => log.error({ build: id, error: String(error) }, 'build failed inside c3'))
        .finally(() => running.delete(delivery.fingerprint));
      running.set(delivery.fingerprint, { id, ended });
      return { id, isNew: true };
    },
    get count() {
      return running.size;
    },
    async drain(signal): Promise<void> {
      isDraining = true;
      signal.addEventListener('abort', () => cancel.abort(), { once: true });
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
