import type { ReportedBuild } from '../build/index.ts';
import { C3Error } from '../errors.ts';
import type { Forge, ForgeEvent } from '../forges/forge.ts';
import {
  deriveWebhookSecret,
  formatScope,
  openSealed,
  parseHookQuery,
  type Keyring,
  type Scope,
} from '../sealing/index.ts';
import { createBuildRepository } from './build-repository.ts';
import type { Builds } from './builds.ts';
import { toDigest, toHook } from './digest.ts';
import { answerText } from './error-answer.ts';
import type { HookLimits } from './limits.ts';
import type { BodyReader } from './read-body.ts';

/** GitHub sends up to 25 MB; a push of 2,048 commits is about 3 MB. */
const MAX_HOOK_BODY_BYTES = 5 * 1024 * 1024;

export interface HookDependencies {
  readonly keyring: Keyring;
  /** @throws {C3Error} SCOPE_REFUSED */
  forgeFor(scope: Scope): Forge;
  /** @throws {C3Error} SCOPE_REFUSED */
  checkScope(scope: Scope): void;
  readonly builds: Builds;
  readonly limits: HookLimits;
  readonly bodies: BodyReader;
}

/**
 * `POST /hook?key=…`: the key is opened before the body is read, the signature is checked over the raw bytes before they are
 * parsed, and the answer goes out before the build starts to work.
 */
export async function handleHook(request: Request, dependencies: HookDependencies): Promise<Response> {
  const { keyring, builds, limits, bodies } = dependencies;
  builds.checkOpen();
  const { key, scope, signature } = parseHookQuery(new URL(request.url).searchParams);
  dependencies.checkScope(scope);
  const forge = dependencies.forgeFor(scope);
  const { plaintext: token, isOldKey } = await openSealed(keyring, key, {
    scope,
    purpose: { kind: 'hook', signature },
  });
  const hook = toHook(scope, token);
  limits.countNewcomer(hook);

  const body = await bodies.read(request, MAX_HOOK_BODY_BYTES);
  const headers = Object.fromEntries(request.headers);
  const isSignatureOptional = signature === 'optional';
  const verified = forge.verify({ headers, body, isSignatureOptional }, deriveWebhookSecret(token, scope));
  limits.countDelivery(hook, body.length);
  const event = forge.parseEvent(headers, verified);
  checkRepository(event, scope);

  switch (event.kind) {
    case 'ping':
      return answerText(200, `pong: the webhook of ${formatScope(scope)} works`);
    case 'ignored':
      return answerText(200, `ignored: ${event.reason}`);
    case 'build': {
      const { id, isNew } = acceptBuild(event.build, { token, forge, hook, body, isOldKey }, dependencies);
      return answerText(202, isNew ? `build ${id}` : `build ${id} is already running for this push`);
    }
  }
}

interface Delivered {
  readonly token: string;
  readonly forge: Forge;
  /** As {@link HookLimits} knows it. */
  readonly hook: string;
  readonly body: Uint8Array;
  readonly isOldKey: boolean;
}

function acceptBuild(
  build: ReportedBuild,
  { token, forge, hook, body, isOldKey }: Delivered,
  { builds, limits }: HookDependencies,
): { id: string; isNew: boolean } {
  const leave = limits.enterBuild({ hook, repository: formatScope(build.scope) });
  try {
    const repository = createBuildRepository(
      forge.openRepository(build.scope, token, { isConfirmed: () => limits.isTrusted(hook) }),
      { hook, limits },
    );
    const accepted = builds.accept({
      build: { ...build, cause: 'webhook' },
      token,
      repository,
      leave,
      // The delivery id is not signed: the body is what a replay cannot change. Of another hook it is another delivery, so that
      // nobody takes the place of one that is to come.
      fingerprint: toDigest(hook, body),
      isOldKey,
    });
    if (!accepted.isNew) leave();
    return accepted;
  } catch (error) {
    leave();
    throw error;
  }
}

function checkRepository(event: ForgeEvent, scope: Scope): void {
  if (event.scope === undefined || formatScope(event.scope) === formatScope(scope)) return;
  throw new C3Error(
    'REPOSITORY_MISMATCH',
    `The hook key is of ${formatScope(scope)}, but the event is of ${formatScope(event.scope)}`,
    { hint: 'make a key for this repository with c3 encrypt --for hook' },
  );
}
