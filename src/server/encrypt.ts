import { C3Error } from '../errors.ts';
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
import { answerHeaders, answerText } from './error-answer.ts';
import { LimitError } from './limit-error.ts';
import type { Bucket } from './limits.ts';
import type { BodyReader } from './read-body.ts';

export interface EncryptDependencies {
  readonly keyring: Keyring;
  /** c3's public base URL, without a slash at its end. */
  baseUrl(): string;
  /** @throws {C3Error} SCOPE_REFUSED */
  checkScope(scope: Scope): void;
  /** Of all that is sealed here: nobody has to say who they are. Whoever finds it empty seals with the public key. */
  readonly sealings: Bucket;
  readonly bodies: BodyReader;
}

/**
 * `POST /encrypt?repo=HOST/OWNER/NAME&for=PURPOSE`, for a hook perhaps `&signature=optional`, body = plaintext. Answers the sealed value as text; for `hook` the URL and the
 * webhook secret on two lines; JSON `{token}` or `{url, secret}` where that is asked for.
 */
export async function handleEncrypt(request: Request, dependencies: EncryptDependencies): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const scope = parseScope(requireParameter(searchParams, 'repo', 'HOST/OWNER/NAME'));
  const named = parsePurpose(requireParameter(searchParams, 'for', 'hook, k8s, telegram or secret:NAME'));
  const purpose = withSignature(named, searchParams.get('signature') ?? undefined);
  dependencies.checkScope(scope);
  const waitMs = dependencies.sealings.take();
  if (waitMs > 0) throw new LimitError('c3 has sealed more than it does in a minute', Math.ceil(waitMs / 1000));

  const plaintext = stripNewline(decodeText(await dependencies.bodies.read(request, MAX_PLAINTEXT_BYTES + 2)));
  const token = await seal(dependencies.keyring, plaintext, { scope, purpose });

  const isJson = request.headers.get('accept')?.includes('application/json') === true;
  if (purpose.kind !== 'hook') return isJson ? answerJson({ token }) : answerText(200, token);
  const url = formatHookUrl(dependencies.baseUrl(), token, { scope, purpose });
  const secret = deriveWebhookSecret(plaintext, scope);
  return isJson ? answerJson({ url, secret }) : answerText(200, `${url}\n${secret}`);
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

function answerJson(value: object): Response {
  return new Response(`${JSON.stringify(value)}\n`, { headers: answerHeaders('application/json') });
}
