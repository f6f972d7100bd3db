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
import { answerText } from './error-answer.ts';
import { readBody } from './read-body.ts';

/** GitHub sends up to 25 MB; a push of 2,048 commits is about 3 MB. */
const MAX_HOOK_BODY_BYTES = 5 * 1024 * 1024;

export interface HookDependencies {
  readonly keyring: Keyring;
  /** @throws {C3Error} SCOPE_REFUSED */
  forgeFor(scope: Scope): Forge;
  /** @throws {C3Error} SCOPE_REFUSED */
  checkScope(scope: Scope): void;
  readonly builds: Builds;
}

/**
 * `POST /hook?key=…`: the key is opened before the body is read, the signature is checked over the raw bytes before they are
 * parsed, and the answer goes out before the build starts to work.
 */
export async function handleHook(request: Request, dependencies: HookDependencies): Promise<Response> {
  const { keyring, builds } = dependencies;
  builds.checkOpen();
  const { key, scope } = parseHookQuery(new URL(request.url).searchParams);
  dependencies.checkScope(scope);
  const forge = dependencies.forgeFor(scope);
  const { plaintext: token } = await openSealed(keyring, key, { scope, purpose: { kind: 'hook' } });

  const body = await readBody(request, MAX_HOOK_BODY_BYTES);
  const headers = Object.fromEntries(request.headers);
  const verified = forge.verify({ headers, body }, deriveWebhookSecret(token, scope));
  const event = forge.parseEvent(headers, verified);
  checkRepository(event, scope);

  switch (event.kind) {
    case 'ping':
      return answerText(200, `pong: the webhook of ${formatScope(scope)} works`);
    case 'ignored':
      return answerText(200, `ignored: ${event.reason}`);
    case 'push': {
      // The delivery id is not signed: the body is what a replay cannot change.
      const fingerprint = createHash('sha256').update(formatScope(scope)).update('\n').update(body).digest('hex');
      const { id, isNew } = builds.accept({
        scope,
        repository: forge.openRepository(scope, token),
        repositoryUrl: forge.webUrl(scope),
        push: event.push,
        fingerprint,
      });
      return answerText(202, isNew ? `build ${id}` : `build ${id} is already running for this push`);
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
