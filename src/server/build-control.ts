import { type BuildLink, openLink, sealLink } from '../build/index.ts';
import { C3Error } from '../errors.ts';
import type { Log } from '../log.ts';
import { formatScope } from '../sealing/index.ts';
import { createBuildRepository } from './build-repository.ts';
import { toDigest, toHook } from './digest.ts';
import { answerHeaders } from './error-answer.ts';
import type { HookDependencies } from './hook.ts';

export interface ControlDependencies extends HookDependencies {
  /** c3's public base URL, without a slash at its end. */
  baseUrl(): string;
  readonly log: Log;
}

/** Of a form with one field. */
const MAX_FORM_BYTES = 4 * 1024;
/** What a page makes has 22 characters. */
const NONCE = /^[\w-]{8,64}$/;
/** The name of a commit is nice to have; a build that is to run again does not wait longer for it. */
const READ_COMMIT_MS = 5_000;

const BY = 'somebody with the control link';

/** `POST /b/SEALED/cancel`: the build ends as cancelled, after its `finally`; then back to the page. */
export async function handleCancel(
  request: Request,
  sealed: string,
  dependencies: ControlDependencies,
): Promise<Response> {
  const { build } = await openControlLink(request, sealed, dependencies);
  const { id, scope } = build;
  if (!dependencies.builds.cancel(build, BY)) {
    throw new C3Error(
      'BUILD_ELSEWHERE',
      `Build ${id} does not run in this c3, so that there is nothing to cancel here`,
      {
        hint: 'its page tells whether it has ended; if another c3 led it and is gone, run it again',
      },
    );
  }
  dependencies.log.info({ build: id, repository: formatScope(scope) }, 'build cancelled from its page');
  return redirect(sealed);
}

/**
 * `POST /b/SEALED/rerun`: a new build of the same commit, through the same proof and limits as one of a webhook; then to its page. The
 * same form, sent twice, is one build.
 */
export async function handleRerun(
  request: Request,
  sealed: string,
  dependencies: ControlDependencies,
): Promise<Response> {
  dependencies.builds.checkOpen();
  const link = await openControlLink(request, sealed, dependencies);
  const { build, token } = link;
  const hook = toHook(build.scope, token);
  dependencies.limits.countNewcomer(hook);
  const nonce = await readNonce(request, dependencies);
  dependencies.limits.countDelivery(hook);
  const id = await acceptRerun(link, { hook, nonce }, dependencies);
  dependencies.log.info({ build: id, repository: formatScope(build.scope), again: build.id }, 'build is run again');
  // What the old link was proven for holds for this one: it is the same commit.
  return redirect(await sealLink(dependencies.keyring, { ...link, build: { ...build, id } }));
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
    throw new C3Error('CONTROL_REFUSED', 'This link is for looking: it cancels nothing and runs nothing', {
      hint: 'the buttons in Telegram lead to a link that may',
    });
  }
  return link;
}

/**
 * Whoever knows a control link needs no browser. But who knows one and cannot reach this c3 could have somebody's browser do it. What
 * sends neither header is no browser.
 *
 * @see https://www.w3.org/TR/fetch-metadata/
 */
function checkOrigin(headers: Headers, own: string): void {
  const site = headers.get('sec-fetch-site');
  const origin = headers.get('origin');
  // Where there is no TLS browsers leave the first one out.
  if (site === null ? origin === null || origin === own : site === 'same-origin') return;
  throw new C3Error('CONTROL_REFUSED', 'This request comes from another site', {
    hint: "use the build page's own buttons",
  });
}

/** @throws {C3Error} USAGE_INVALID, BODY_TOO_LARGE, BODY_UNREADABLE */
async function readNonce(request: Request, { bodies }: ControlDependencies): Promise<string> {
  const body = await bodies.read(request, MAX_FORM_BYTES);
  const nonce = new URLSearchParams(new TextDecoder().decode(body)).get('nonce');
  if (nonce !== null && NONCE.test(nonce)) return nonce;
  throw new C3Error('USAGE_INVALID', 'The form has no "nonce"', {
    hint: 'it is what makes one build of two clicks: 8 to 64 letters and digits, others for each new build',
  });
}

async function acceptRerun(
  { build, token }: BuildLink,
  { hook, nonce }: { readonly hook: string; readonly nonce: string },
  { forgeFor, builds, limits }: ControlDependencies,
): Promise<string> {
  const { scope, sha } = build;
  const leave = limits.enterBuild({ hook, repository: formatScope(scope) });
  try {
    const repository = createBuildRepository(forgeFor(scope).openRepository(scope, token), { hook, limits });
    const commit = await repository.readCommit(sha, AbortSignal.timeout(READ_COMMIT_MS)).catch(() => undefined);
    const again = { ...build, cause: 'rerun', commit: commit ?? build.commit } as const;
    const { id, isNew } = builds.accept({
      build: again,
      token,
      repository,
      leave,
      fingerprint: toDigest(hook, `run again ${build.id} ${nonce}`),
      isOldKey: false,
    });
    if (!isNew) leave();
    return id;
  } catch (error) {
    leave();
    throw error;
  }
}

/** To a build's page. Relative: c3 may be reached by other addresses than its own, and below a path. */
function redirect(sealed: string): Response {
  const headers = { ...answerHeaders('text/plain; charset=utf-8'), location: `../${sealed}` };
  return new Response('The build page shows it\n', { status: 303, headers });
}
