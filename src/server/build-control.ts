import { type BuildLink, openLink, sealLink, toLogFields } from '../build/index.ts';
import { C3Error } from '../errors.ts';
import type { Log } from '../log.ts';
import { formatScope } from '../sealing/index.ts';
import { toBuildId, toHookId } from './build-id.ts';
import type { HookDependencies } from './hook.ts';
import { LIMITS, RATE_LIMIT_PATIENCE_MS, ownerOf } from './limits.ts';
import { responseHeaders } from './responses.ts';

export interface ControlDependencies extends HookDependencies {
  /** c3's public base URL, without a slash at its end. */
  baseUrl(): string;
  readonly log: Log;
}

/** The build page makes one of 22 characters. */
const NONCE = /^[\w-]{8,64}$/;
/** A new build does not need the commit's subject and author, so it waits no longer for them. */
const READ_COMMIT_MS = 5_000;

/** Handles `POST /b/SEALED/cancel`: cancels the build, whose `finally` still runs, and redirects to its page. */
export async function handleCancel(
  request: Request,
  sealed: string,
  dependencies: ControlDependencies,
): Promise<Response> {
  const { build } = await openControlLink(request, sealed, dependencies);
  const { id } = build;
  if (!dependencies.builds.cancel(build, 'somebody with the control link')) {
    throw new C3Error('BUILD_ELSEWHERE', `This c3 does not run build ${id}, so it cannot cancel it`, {
      hint: 'see its page; if it has not ended and the c3 that ran it is gone, run it again',
    });
  }
  dependencies.log.info(toLogFields(build), 'build cancelled from its page');
  return redirect(sealed);
}

/**
 * Handles `POST /b/SEALED/rerun`: starts a new build of the same commit, with the same limits as for a webhook, and
 * redirects to its page. The link proves the commit. If a form is sent twice, there is one build.
 */
export async function handleRerun(
  request: Request,
  sealed: string,
  dependencies: ControlDependencies,
): Promise<Response> {
  const { builds, limits, log, keyring } = dependencies;
  builds.checkAccepting();
  const link = await openControlLink(request, sealed, dependencies);
  const { build: previous, token } = link;
  const { scope, sha } = previous;
  const hook = { id: toHookId(scope, token), repository: formatScope(scope), isSealedWithSecret: true };
  const sender = { group: ownerOf(hook.repository), member: hook.id };
  const nonce = parseNonce(await dependencies.bodies.read(request, { maxBytes: LIMITS.formBytes, sender }));
  limits.countDelivery(hook);

  const repository = dependencies.forgeFor(scope).openRepository(scope, token, { patienceMs: RATE_LIMIT_PATIENCE_MS });
  const commit = await repository.readCommit(sha, AbortSignal.timeout(READ_COMMIT_MS)).catch(() => undefined);
  const id = toBuildId(hook.id, `run again ${previous.id} ${nonce}`);
  const trust = link.isGiven === true ? undefined : previous.trust;
  const build = { ...previous, id, trust, cause: 'rerun', commit: commit ?? previous.commit } as const;
  builds.start({ build, hook, token, repository, isOldKey: false });
  log.info({ ...toLogFields(build), again: previous.id }, 'build is run again');
  // The proof of the old link holds for the new one: it is the same commit.
  return redirect(await sealLink(keyring, { ...link, build: { ...previous, id } }));
}

/** @throws {C3Error} CONTROL_REFUSED, SEALED_INVALID, SCOPE_REFUSED */
async function openControlLink(
  request: Request,
  sealed: string,
  { keyring, baseUrl, checkScope }: ControlDependencies,
): Promise<BuildLink> {
  checkOrigin(request.headers, new URL(baseUrl()).origin);
  const link = await openLink(keyring, sealed);
  checkScope(link.build.scope);
  if (link.right !== 'control') {
    throw new C3Error('CONTROL_REFUSED', 'This is a view link. It cannot cancel a build or run it again', {
      hint: 'use the buttons in Telegram, which have a control link, or get one with `c3 link`',
    });
  }
  return link;
}

/**
 * Refuses a form of another site (A14). Somebody who knows a control link but cannot reach this c3 could make another
 * person's browser send it. A program sends neither header.
 *
 * @see https://www.w3.org/TR/fetch-metadata/
 */
export function checkOrigin(headers: Headers, own: string): void {
  const site = headers.get('sec-fetch-site');
  const origin = headers.get('origin');
  // Without TLS, browsers omit Sec-Fetch-Site.
  if (site === null ? origin === null || origin === own : site === 'same-origin') return;
  throw new C3Error('CONTROL_REFUSED', 'This request comes from another site', {
    hint: 'use the buttons of the build page',
  });
}

/** @throws {C3Error} USAGE_INVALID */
function parseNonce(body: Uint8Array): string {
  const nonce = new URLSearchParams(new TextDecoder().decode(body)).get('nonce');
  if (nonce !== null && NONCE.test(nonce)) return nonce;
  throw new C3Error('USAGE_INVALID', 'The form has no valid "nonce"', {
    hint: 'send 8 to 64 letters and digits, and other ones for each new build',
  });
}

/** Redirects to a build's page. The address is relative, because c3 may have other addresses and be below a path. */
function redirect(sealed: string): Response {
  const headers = { ...responseHeaders('text/plain; charset=utf-8'), location: `../${sealed}` };
  return new Response('See the build page\n', { status: 303, headers });
}
