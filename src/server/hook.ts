import { FORKS_OFF } from '../engine/index.ts';
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
import { toBuildId, toHookId } from './build-id.ts';
import type { Builds } from './builds.ts';
import { type Hook, type HookLimits, LIMITS, ownerOf, RATE_LIMIT_PATIENCE_MS } from './limits.ts';
import { handleClosed, handleComment } from './pull-events.ts';
import type { BodyReader, BodySender } from './read-body.ts';
import { textResponse } from './responses.ts';

export interface HookDependencies {
  readonly keyring: Keyring;
  /** @throws {C3Error} SCOPE_REFUSED */
  forgeFor(scope: Scope): Forge;
  /** @throws {C3Error} SCOPE_REFUSED */
  checkScope(scope: Scope): void;
  readonly builds: Builds;
  readonly limits: HookLimits;
  readonly bodies: BodyReader;
  /** The operator's `C3_FORKS`. */
  readonly forks: 'off' | 'approve';
}

/**
 * Handles `POST /hook?key=…`. It opens the key before it reads the body (A12), checks the signature over the raw
 * bytes before it parses them (A4), and responds before the build does anything.
 */
export async function handleHook(request: Request, dependencies: HookDependencies): Promise<Response> {
  const { keyring, builds, limits, bodies } = dependencies;
  builds.checkAccepting();
  const { key, scope, signature } = parseHookQuery(new URL(request.url).searchParams);
  dependencies.checkScope(scope);
  const forge = dependencies.forgeFor(scope);
  const purpose = { kind: 'hook', signature } as const;
  const { plaintext: token, isOldKey } = await openSealed(keyring, key, { scope, purpose });

  // Only a holder of C3_SECRET makes a key of four parts (docs/sealing.md).
  const isSealedWithSecret = key.split('.').length === 4;
  const hook = { id: toHookId(scope, token), repository: formatScope(scope), isSealedWithSecret };
  const body = await bodies.read(request, { maxBytes: LIMITS.hookBodyBytes, sender: toSender(hook, limits) });
  const headers = Object.fromEntries(request.headers);
  const isSignatureOptional = signature === 'optional';
  const verified = forge.verify({ headers, body, isSignatureOptional }, deriveWebhookSecret(token, scope));
  limits.countDelivery(hook, body.length);
  const event = forge.parseEvent(headers, verified);
  checkRepository(event, scope);

  if (event.kind === 'ping') return textResponse(200, `pong: the webhook of ${formatScope(scope)} works`);
  if (event.kind === 'ignored') return textResponse(200, `ignored: ${event.reason}`);
  const repository = forge.openRepository(scope, token, {
    isConfirmed: () => !limits.isNew(hook),
    // A stranger's builds must not wait for minutes (A12).
    ...(limits.isNew(hook) ? {} : { patienceMs: RATE_LIMIT_PATIENCE_MS }),
  });
  const { forks } = dependencies;
  const context = { scope, hook, token, repository, isOldKey, builds, forks };
  if (event.kind === 'closed') return await handleClosed(event.pull, context);
  if (event.kind === 'comment') return await handleComment(event.comment, context);
  if (event.build.pull?.isFork === true && forks === 'off') return textResponse(200, `ignored: ${FORKS_OFF}`);
  const id = toBuildId(hook.id, body);
  const build = { ...event.build, id, cause: 'webhook', trust: undefined } as const;
  const result = builds.start({ build, hook, token, repository, isOldKey });
  if (result === 'ended') {
    const advice = 'to build it again, use Re-run on its page, which the commit status links to';
    return textResponse(200, `ignored: build ${id} has ended already; ${advice}`);
  }
  return textResponse(202, `build ${id}${result === 'running' ? ' is already running for this push' : ''}`);
}

function checkRepository(event: ForgeEvent, scope: Scope): void {
  if (event.scope === undefined || formatScope(event.scope) === formatScope(scope)) return;
  throw new C3Error(
    'REPOSITORY_MISMATCH',
    `The hook key is of ${formatScope(scope)}, but the event is of ${formatScope(event.scope)}`,
    { hint: 'make a key for this repository with c3 encrypt --for hook' },
  );
}

/** New hooks are one group, whose members are repositories. The members of an owner are hooks. */
function toSender(hook: Hook, limits: HookLimits): BodySender {
  if (limits.isNew(hook)) return { group: 'new hooks', member: hook.repository };
  return { group: ownerOf(hook.repository), member: hook.id };
}
