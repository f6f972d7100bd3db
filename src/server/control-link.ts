import { type Build, openLink, sealLink, toLogFields } from '../build/index.ts';
import { prove } from '../engine/index.ts';
import { C3Error } from '../errors.ts';
import type { KeyedTokenBucket } from '../limiter.ts';
import { formatScope } from '../sealing/index.ts';
import { checkOrigin, type ControlDependencies } from './build-control.ts';
import { LimitError } from './limits.ts';
import { textResponse } from './responses.ts';

export interface ControlLinkDependencies extends ControlDependencies {
  /**
   * Limits the tokens that c3 checks for each repository (A12). The key is the repository, because a person who
   * tries tokens has many of them.
   */
  readonly tokenChecks: KeyedTokenBucket;
}

/** For all attempts of one check. */
const CHECK_MS = 20_000;

/**
 * Handles `POST /b/SEALED/control`: responds with the control link of the build, if the header
 * `Authorization: Bearer TOKEN` has a token whose user may push (A14), and the commit is the head of its ref. Such a user
 * may start this build anyway. c3 does not keep the token. The control link contains the token of the webhook, as the
 * view link does. With it, a tag is not run again, and a commit only while it is the head: the token may not be allowed to
 * push the tag, and the head moves on (A2).
 */
export async function handleControlLink(
  request: Request,
  sealed: string,
  dependencies: ControlLinkDependencies,
): Promise<Response> {
  const { keyring, baseUrl, checkScope, tokenChecks, log } = dependencies;
  checkOrigin(request.headers, new URL(baseUrl()).origin);
  const link = await openLink(keyring, sealed);
  const { build } = link;
  checkScope(build.scope);
  const [, token] = /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(request.headers.get('authorization') ?? '') ?? [];
  if (token === undefined) {
    throw new C3Error('USAGE_INVALID', 'The request has no access token of the forge', {
      hint: 'send it in the header "Authorization: Bearer TOKEN", as `c3 link` does',
    });
  }
  const repository = formatScope(build.scope);
  const waitMs = tokenChecks.take(repository);
  if (waitMs > 0) throw new LimitError(`c3 checks no more tokens for ${repository} in this minute`, waitMs);
  if (!(await mayControl(build, token, dependencies))) {
    const message = `The forge does not say that this token may push to ${repository}, and that the commit is the head of its ref`;
    throw new C3Error('CONTROL_REFUSED', message, {
      hint: 'use an access token of somebody who may push; for an older commit, use the control link in Telegram',
    });
  }
  log.info(toLogFields(build), 'control link given for a token that may push');
  return textResponse(200, `${baseUrl()}/b/${await sealLink(keyring, { ...link, right: 'control', isGiven: true })}`);
}

/** One answer for every refusal: it must not show what a stolen token can see. @throws {C3Error} FORGE_UNREACHABLE */
async function mayControl(build: Build, token: string, { forgeFor, forks }: ControlLinkDependencies): Promise<boolean> {
  const tooLate = AbortSignal.timeout(CHECK_MS);
  try {
    // The forge has not confirmed the token, so it shares the few connections of strangers.
    const { scope } = build;
    const repository = forgeFor(scope).openRepository(scope, token, { isConfirmed: () => false });
    // Without this check, anyone who may push could run any old commit again as the branch.
    const claimed = { ...build, cause: 'webhook', trust: undefined } as const;
    const proof = await prove(claimed, { repository, signal: tooLate, forks, lagPausesMs: [] });
    return proof.kind === 'proven' && proof.isHead;
  } catch (error) {
    if (error instanceof C3Error && error.code === 'FORGE_UNAUTHORIZED') return false;
    if (!tooLate.aborted) throw error;
    throw new C3Error('FORGE_UNREACHABLE', 'The forge did not answer in time', { hint: 'try again later' });
  }
}
