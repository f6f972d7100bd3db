import type { CommitStatus } from '../build/index.ts';
import { C3Error } from '../errors.ts';
import { parseJson, readObject, type UnknownObject } from '../json.ts';
import type { PatientRequest } from './patient-client.ts';
import { describeCommit, toForgeError, type RestApi } from './rest-api.ts';

/** How a kind of forge lists the statuses of a commit. */
export interface StatusList {
  readonly path: string;
  toQuery(page: number): Readonly<Record<string, string>>;
  /** The length of a full page. */
  readonly pageLength: number;
  /** A shorter page is the last one. Default: `pageLength`. */
  readonly minFullPage?: number;
  /** A user who may push could hide c3's statuses behind others. */
  readonly maxPages: number;
  /** The answers for a commit that the forge does not know. It has no status, and `prove` reports that it is unknown. */
  readonly unknown: readonly number[];
  readonly isLate: PatientRequest['isLate'];
  /** What the token needs. */
  readonly hint: string;
}

/**
 * Reads the statuses of a commit, page by page.
 *
 * @throws {C3Error} FORGE_REFUSED, also if there are too many: then c3 cannot tell whether the commit was built
 */
export async function* readStatusPages(
  api: RestApi,
  sha: string,
  { list, signal }: { readonly list: StatusList; readonly signal: AbortSignal },
): AsyncGenerator<readonly UnknownObject[], void> {
  const { pageLength, minFullPage = pageLength, maxPages } = list;
  for (let page = 1; page <= maxPages; page += 1) {
    const response = await api.get(list.path, signal, { query: list.toQuery(page), isLate: list.isLate });
    if (list.unknown.includes(response.status)) return;
    const found = response.status === 200 ? parseJson(response.body) : undefined;
    if (!Array.isArray(found)) {
      throw toForgeError(`read the statuses of ${describeCommit(api.scope, sha)}`, response, list.hint);
    }
    yield found.map(readObject);
    if (found.length < minFullPage) return;
  }
  const message = `${describeCommit(api.scope, sha)} has more than ${maxPages * pageLength} statuses: c3 cannot tell whether it was built`;
  throw new C3Error('FORGE_REFUSED', message);
}

/** c3 lists the statuses of these contexts: `c3/push`, `c3/tag`, `c3/pr`. */
const CONTEXT_PREFIX = 'c3/';

const STATES: readonly unknown[] = ['pending', 'success', 'failure', 'error'] satisfies CommitStatus['state'][];

/**
 * Returns a status if c3 can have written it. Another user who may set statuses can forge one, but such a user can also
 * push.
 */
export function toCommitStatus(context: unknown, state: unknown, description: unknown): CommitStatus | undefined {
  if (typeof context !== 'string' || !context.startsWith(CONTEXT_PREFIX)) return undefined;
  if (typeof description !== 'string' || !STATES.includes(state)) return undefined;
  return { context, state: state as CommitStatus['state'], description };
}
