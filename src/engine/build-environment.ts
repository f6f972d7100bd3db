import type { Push } from '../forges/forge.ts';

/** What every step of a build finds in its environment. Event data reaches a step this way only, never as part of a script. */
export function toBuildEnvironment(build: { id: string; scope: string; push: Push }): Record<string, string> {
  const { id, scope, push } = build;
  return {
    CI: 'true',
    C3: 'true',
    /** Also the mark by which everything of the build is found and killed when it is over. */
    C3_BUILD_ID: id,
    C3_REPO: scope,
    C3_EVENT: push.refKind === 'tag' ? 'tag' : 'push',
    C3_REF: push.ref,
    C3_REF_NAME: push.refName,
    ...(push.refKind === 'branch' ? { C3_BRANCH: push.refName } : { C3_TAG: push.refName }),
    C3_SHA: push.sha,
    C3_SUBJECT: push.subject,
    C3_AUTHOR: push.author,
  };
}
