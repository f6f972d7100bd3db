import { createHash } from 'node:crypto';
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
import type { Builds } from './builds.ts';
import { type HookLimits, LIMITS } from './limits.ts';
import type { BodyReader } from './read-body.ts';
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

  const body = await bodies.read(request, LIMITS.hookBodyBytes);
  const headers = Object.fromEntries(request.headers);
  const isSignatureOptional = signature === 'optional';
  const verified = forge.verify({ headers, body, isSignatureOptional }, deriveWebhookSecret(token, scope));
  const hook = toHookId(scope, token);
  limits.countDelivery(hook, body.length);
  const event = forge.parseEvent(headers, verified);
  checkRepository(event, scope);

  switch (event.kind) {
    case 'ping':
      return textResponse(200, `pong: the webhook of ${formatScope(scope)} works`);
    case 'ignored':
      return textResponse(200, `ignored: ${event.reason}`);
    case 'build': {
      const id = toBuildId(hook, body);
      const build = { ...event.build, id, cause: 'webhook', trust: undefined } as const;
      const repository = forge.openRepository(scope, token, { isConfirmed: () => limits.isConfirmed(hook) });
      const isNew = builds.start({ build, hook, token, repository, isOldKey });
      return textResponse(202, isNew ? `build ${id}` : `build ${id} is already running for this push`);
    }
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

/** Returns the name of a hook for {@link HookLimits}. It contains neither the repository nor the token. */
export function toHookId(scope: Scope, token: string): string {
  return digest(formatScope(scope), token);
}

/** 48 bits. People can read them, and no two deliveries of a commit have the same. */
const ID_LENGTH = 12;

/**
 * Returns the id of a build. The same content has the same id for ever, so that the forge's statuses reveal a replay
 * (A4). A delivery's own id is not signed. Another hook gets another id, so that nobody can occupy it in advance.
 */
export function toBuildId(hook: string, content: string | Uint8Array): string {
  return digest(hook, content).slice(0, ID_LENGTH);
}

function digest(owner: string, content: string | Uint8Array): string {
  return createHash('sha256').update(owner).update('\n').update(content).digest('hex');
}
