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
  type Scope,
} from '../sealing/index.ts';
import { answerHeaders, answerText } from './error-answer.ts';
import { readBody } from './read-body.ts';

export interface EncryptDependencies {
  readonly keyring: Keyring;
  /** c3's public base URL, without a slash at its end. */
  baseUrl(): string;
  /** @throws {C3Error} SCOPE_REFUSED */
  checkScope(scope: Scope): void;
}

/**
 * `POST /encrypt?repo=HOST/OWNER/NAME&for=PURPOSE`, body = plaintext. Answers the sealed value as text; for `hook` the URL and the
 * webhook secret on two lines; JSON `{token}` or `{url, secret}` where that is asked for.
 */
export async function handleEncrypt(request: Request, dependencies: EncryptDependencies): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const scope = parseScope(requireParameter(searchParams, 'repo', 'HOST/OWNER/NAME'));
  const purpose = parsePurpose(requireParameter(searchParams, 'for', 'hook, k8s, telegram or secret:NAME'));
  dependencies.checkScope(scope);

  const plaintext = stripNewline(decodeText(await readBody(request, MAX_PLAINTEXT_BYTES + 2)));
  const token = await seal(dependencies.keyring, plaintext, { scope, purpose });

  const isJson = request.headers.get('accept')?.includes('application/json') === true;
  if (purpose.kind !== 'hook') return isJson ? answerJson({ token }) : answerText(200, token);
  const url = formatHookUrl(dependencies.baseUrl(), token, scope);
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
