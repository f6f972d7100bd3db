import { C3Error } from '../errors.ts';
import type { TokenBucket } from '../limiter.ts';
import {
  deriveWebhookSecret,
  formatHookUrl,
  MAX_PLAINTEXT_BYTES,
  parsePurpose,
  parseScope,
  seal,
  stripNewline,
  type Keyring,
  withSignature,
  type Scope,
} from '../sealing/index.ts';
import { LimitError } from './limits.ts';
import type { BodyReader } from './read-body.ts';
import { responseHeaders, textResponse } from './responses.ts';

export interface EncryptDependencies {
  readonly keyring: Keyring;
  /** c3's public base URL, without a slash at its end. */
  baseUrl(): string;
  /** @throws {C3Error} SCOPE_REFUSED */
  checkScope(scope: Scope): void;
  /** Limits the values of all callers together, because nobody logs in (A12). The public key is the alternative. */
  readonly sealings: TokenBucket;
  readonly bodies: BodyReader;
}

/**
 * Handles `POST /encrypt?repo=HOST/OWNER/NAME&for=PURPOSE`, whose body is the plaintext. A hook may have
 * `&signature=optional`. The response is the sealed value as text; for a hook, its URL and the webhook's secret on
 * two lines. With `Accept: application/json` it is `{token}` or `{url, secret}`.
 */
export async function handleEncrypt(request: Request, dependencies: EncryptDependencies): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const scope = parseScope(requireParameter(searchParams, 'repo', 'HOST/OWNER/NAME'));
  const named = parsePurpose(requireParameter(searchParams, 'for', 'hook, k8s, telegram or secret:NAME'));
  const purpose = withSignature(named, searchParams.get('signature') ?? undefined);
  dependencies.checkScope(scope);
  const waitMs = dependencies.sealings.take();
  if (waitMs > 0) throw new LimitError('c3 seals no more values in this minute', waitMs);

  const plaintext = stripNewline(decodeText(await dependencies.bodies.read(request, MAX_PLAINTEXT_BYTES + 2)));
  const token = await seal(dependencies.keyring, plaintext, { scope, purpose });

  const isJson = request.headers.get('accept')?.includes('application/json') === true;
  if (purpose.kind !== 'hook') return isJson ? jsonResponse({ token }) : textResponse(200, token);
  const url = formatHookUrl(dependencies.baseUrl(), token, { scope, purpose });
  const secret = deriveWebhookSecret(plaintext, scope);
  return isJson ? jsonResponse({ url, secret }) : textResponse(200, `${url}\n${secret}`);
}

function requireParameter(parameters: URLSearchParams, name: string, form: string): string {
  const value = parameters.get(name);
  if (value) return value;
  throw new C3Error('USAGE_INVALID', `The query parameter "${name}" is missing`, { hint: `add ${name}=${form}` });
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new C3Error('PLAINTEXT_INVALID', 'The body is not UTF-8 text', { cause: error });
  }
}

function jsonResponse(value: object): Response {
  return new Response(`${JSON.stringify(value)}\n`, { headers: responseHeaders('application/json') });
}
