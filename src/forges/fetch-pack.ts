import { formatFetchRequest, readFetchResponse, type FetchOrder } from '../git/index.ts';
import type { Scope } from '../sealing/scope.ts';
import type { HttpClient } from './http-client.ts';
import { encodePath } from './rest-api.ts';

/** A larger pack goes directly to the container that checks out (A12). */
const MAX_BYTES = 256 * 1024;

export interface FetchPackOptions {
  readonly scope: Scope;
  /** A whole header line, which is secret. */
  readonly header: string;
  readonly signal: AbortSignal;
}

/**
 * Sends one request of git's protocol, version 2, and returns the pack. Returns undefined for every other answer.
 *
 * @see https://git-scm.com/docs/http-protocol#_smart_service_git_upload_pack
 */
export async function fetchPack(
  client: Pick<HttpClient, 'send'>,
  order: FetchOrder,
  { scope, header, signal }: FetchPackOptions,
): Promise<Uint8Array | undefined> {
  const [name = '', value = ''] = header.split(': ', 2);
  const repository = encodePath(`/${scope.owner}/${scope.name}`);
  const response = await client.send(
    {
      method: 'POST',
      repository,
      path: `${repository}.git/git-upload-pack`,
      headers: {
        [name.toLowerCase()]: value,
        'content-type': 'application/x-git-upload-pack-request',
        accept: RESULT,
        'git-protocol': 'version=2',
        'user-agent': 'git/c3',
      },
      body: formatFetchRequest(order),
      maxBytes: MAX_BYTES,
    },
    signal,
  );
  const isPack = response.status === 200 && response.mediaType === RESULT && !response.isCut;
  return isPack ? readFetchResponse(response.body) : undefined;
}

const RESULT = 'application/x-git-upload-pack-result';
