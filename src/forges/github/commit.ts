import type { CommitFacts } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import { parseJson, readObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import { MAX_AUTHOR_LENGTH, MAX_SUBJECT_LENGTH, toSingleLine } from '../text.ts';
import { toDiagnosis, type GithubApi } from './api.ts';

/** With its files, of which GitHub shows 300 and of their changes about a megabyte; nobody reads them here. */
const MAX_COMMIT_BYTES = 8 * 1024 * 1024;

/** @see https://docs.github.com/en/rest/commits/commits#get-a-commit */
export async function readCommit(api: GithubApi, sha: string, signal: AbortSignal): Promise<CommitFacts | undefined> {
  // The files come in pages, the first of which is the shortest answer.
  const options = { query: { per_page: '1' }, maxBytes: MAX_COMMIT_BYTES };
  const answer = await api.get(`/commits/${sha}`, signal, options);
  // 422 is GitHub's word for a sha that it does not know.
  if (answer.status === 404 || answer.status === 422) return undefined;
  const { commit } = answer.status === 200 ? readObject(parseJson(answer.body)) : {};
  const { message, author } = readObject(commit);
  if (typeof message !== 'string') {
    throw new C3Error(
      'FORGE_REFUSED',
      `Cannot read commit ${sha.slice(0, 12)} of ${formatScope(api.scope)}: ${toDiagnosis(answer)}`,
      { hint: 'the token needs the right "Contents: read"' },
    );
  }
  const { name } = readObject(author);
  return {
    subject: toSingleLine(message, MAX_SUBJECT_LENGTH),
    author: typeof name === 'string' ? toSingleLine(name, MAX_AUTHOR_LENGTH) : '',
  };
}
