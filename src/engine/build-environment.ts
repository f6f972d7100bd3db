import { type Build, formatRef } from '../build/index.ts';
import { formatScope } from '../sealing/index.ts';

/** What every step of a build finds in its environment. Event data reaches a step this way only, never as part of a script. */
export function toBuildEnvironment({ id, scope, event, ref, sha, commit }: Build): Record<string, string> {
  return {
    CI: 'true',
    C3: 'true',
    /** Also the mark by which everything of the build is found and killed when it is over. */
    C3_BUILD_ID: id,
    C3_REPO: formatScope(scope),
    C3_EVENT: event,
    C3_REF: formatRef(ref),
    C3_REF_NAME: ref.name,
    ...(ref.kind === 'branch' ? { C3_BRANCH: ref.name } : { C3_TAG: ref.name }),
    C3_SHA: sha,
    C3_SUBJECT: commit.subject,
    C3_AUTHOR: commit.author,
  };
}
