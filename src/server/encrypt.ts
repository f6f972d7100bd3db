import { C3Error } from '../errors.ts';
import type { Forge } from '../forges/forge.ts';
import { checkRefPattern } from '../pipeline/index.ts';
import {
  checkValue,
  deriveWebhookSecret,
  formatHookUrl,
  formatScope,
  MAX_PLAINTEXT_BYTES,
  parsePurpose,
  parseScope,
  seal,
  stripNewline,
  type Keyring,
  withSignature,
  type Scope,
} from '../sealing/index.ts';
import type { FairTokenBucket } from './fair-token-bucket.ts';
import { LimitError } from './limits.ts';
import type { BodyReader } from './read-body.ts';
import { responseHeaders, textResponse } from './responses.ts';

export interface EncryptDependencies {
  readonly keyring: Keyring;
  /** c3's public base URL, without a slash at its end. */
  baseUrl(): string;
  /** @throws {C3Error} SCOPE_REFUSED */
  checkScope(scope: Scope): void;
  /** @throws {C3Error} SCOPE_REFUSED */
  forgeFor(scope: Scope): Forge;
  /** Lists why a build cannot use a kubeconfig, or cannot use it for long. */
  checkCredentials?(kubeconfig: string): readonly string[];
  /** Limit all callers together, by repository, because nobody logs in (A12). The public key is the alternative. */
  readonly sealings: { readonly values: FairTokenBucket; readonly hooks: FairTokenBucket };
  readonly bodies: BodyReader;
}

/**
 * Handles `POST /encrypt?repo=HOST/OWNER/NAME&for=PURPOSE`, whose body is the plaintext. A hook may have
 * `&signature=optional`, and other values `&ref=PATTERN`. The response is the sealed value as text; for a hook, its
 * URL and the webhook's secret on two lines. With `Accept: application/json` it is `{token}` or `{url, secret}`.
 * What c3 cannot hide of a secret, and credentials that expire, are in `c3-warning` headers and in `warnings`.
 *
 * It seals a hook only if the forge says that the token may push. So the user learns at once what is wrong, and a key
 * that c3 has sealed has limits of its own (A12).
 */
export async function handleEncrypt(request: Request, dependencies: EncryptDependencies): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const scope = parseScope(requireParameter(searchParams, 'repo', 'HOST/OWNER/NAME'));
  const named = parsePurpose(requireParameter(searchParams, 'for', 'hook, k8s, telegram or secret:NAME'));
  const purpose = withSignature(named, searchParams.get('signature') ?? undefined);
  const ref = searchParams.get('ref') ?? undefined;
  checkRefPattern(ref, purpose.kind);
  dependencies.checkScope(scope);
  const repository = formatScope(scope);
  const sender = { group: '/encrypt', member: repository };
  const body = await dependencies.bodies.read(request, { maxBytes: MAX_PLAINTEXT_BYTES + 2, sender });
  const { hooks, values } = dependencies.sealings;
  const waitMs = (purpose.kind === 'hook' ? hooks : values).take(repository);
  if (waitMs > 0) throw new LimitError('c3 seals no more values in this minute', waitMs);

  const plaintext = stripNewline(decodeText(body));
  // Before sealing: it recognises UTF-16, which the checks of a purpose would call something else.
  const warningsOfValue = checkValue(purpose, plaintext);
  const token = await seal(dependencies.keyring, plaintext, { scope, purpose, ref });
  if (purpose.kind === 'hook') await checkAccess(dependencies.forgeFor(scope), scope, plaintext);

  const warnings = [
    ...warningsOfValue,
    ...(purpose.kind === 'k8s' ? (dependencies.checkCredentials?.(plaintext) ?? []) : []),
  ];
  const isJson = request.headers.get('accept')?.includes('application/json') === true;
  if (purpose.kind !== 'hook') {
    const response = isJson
      ? jsonResponse({ token, ...(warnings.length === 0 ? {} : { warnings }) })
      : textResponse(200, token);
    for (const warning of warnings) response.headers.append('c3-warning', toHeaderValue(warning));
    return response;
  }
  const url = formatHookUrl(dependencies.baseUrl(), token, { scope, purpose });
  const secret = deriveWebhookSecret(plaintext, scope);
  return isJson ? jsonResponse({ url, secret }) : textResponse(200, `${url}\n${secret}`);
}

/** @throws {C3Error} FORGE_REFUSED, FORGE_UNAUTHORIZED, FORGE_UNREACHABLE */
async function checkAccess(forge: Forge, scope: Scope, token: string): Promise<void> {
  const repository = forge.openRepository(scope, token, { isConfirmed: () => false });
  const refusal = await repository.checkAccess(new AbortController().signal);
  if (refusal === undefined) return;
  throw new C3Error('FORGE_REFUSED', `c3 seals no key for this hook: ${refusal}`, {
    hint: 'make a token that may push to this repository, and check the name in repo=',
  });
}

function requireParameter(parameters: URLSearchParams, name: string, form: string): string {
  const value = parameters.get(name);
  if (value) return value;
  throw new C3Error('USAGE_INVALID', `The query parameter "${name}" is missing`, { hint: `add ${name}=${form}` });
}

/** A header holds visible ASCII only; a message of the kubeconfig's parser can quote its names. */
function toHeaderValue(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}

function decodeText(bytes: Uint8Array): string {
  try {
    // Removes a byte order mark.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    // Reports UTF-16 with a byte order mark. A hook has no other checks there.
    checkValue({ kind: 'hook' }, new TextDecoder().decode(bytes));
    throw new C3Error('PLAINTEXT_INVALID', 'The body is not UTF-8 text', { cause: error });
  }
}

function jsonResponse(value: object): Response {
  return new Response(`${JSON.stringify(value)}\n`, { headers: responseHeaders('application/json') });
}
