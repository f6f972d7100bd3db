import { readFileSync } from 'node:fs';
import { readSealingConfig, type Flags } from '../config/index.ts';
import { C3Error, toMessage } from '../errors.ts';
import { readAtMost } from '../limiter.ts';
import {
  deriveWebhookSecret,
  formatHookUrl,
  isForOperatorsBot,
  MAX_HOOK_URL_CHARACTERS,
  MAX_PLAINTEXT_BYTES,
  parseKeyring,
  parsePurpose,
  parseScope,
  seal,
  sealForPublicKey,
  stripNewline,
  withSignature,
  type Binding,
} from '../sealing/index.ts';
import type { Terminal } from './terminal.ts';
import { trimEnd } from '../trim-end.ts';

export interface EncryptFlags extends Flags {
  readonly repo: string;
  readonly for: string;
  readonly signature?: string;
  readonly publicKey?: string;
}

/** For the whole response. */
const FETCH_TIMEOUT_MS = 10_000;
/** A key takes about 130 bytes, and a server has a few keys. */
const MAX_KEY_SET_BYTES = 64 * 1024;

/** Runs `c3 encrypt`: seals standard input with the secret or with a server's public key. It needs no server. */
export async function encrypt(terminal: Terminal, flags: EncryptFlags): Promise<number> {
  const binding: Binding = {
    scope: parseScope(flags.repo),
    purpose: withSignature(parsePurpose(flags.for), flags.signature),
  };
  const sealer = await openSealer(terminal, flags, binding);
  if (terminal.isInputTerminal) terminal.tell('c3: type or paste the value, then Ctrl-D on a line of its own');
  const plaintext = stripNewline(await terminal.readInput(MAX_PLAINTEXT_BYTES + 2));
  const token = await sealer.seal(plaintext);
  if (binding.purpose.kind !== 'hook') {
    terminal.print(token);
    return 0;
  }
  const url = formatHookUrl(sealer.baseUrl, token, binding);
  if (url.length > MAX_HOOK_URL_CHARACTERS) {
    terminal.tell(`c3: warning: the URL has ${url.length} characters; GitHub may cut it at ${MAX_HOOK_URL_CHARACTERS}`);
    terminal.tell('c3: hint: check the URL of the webhook after saving it, or use a shorter base URL');
  }
  terminal.print(url);
  terminal.print(deriveWebhookSecret(plaintext, binding.scope));
  return 0;
}

async function openSealer(
  terminal: Terminal,
  flags: EncryptFlags,
  binding: Binding,
): Promise<{ readonly baseUrl: string; seal(plaintext: string): Promise<string> }> {
  const { publicKey } = flags;
  if (publicKey === undefined) {
    const config = readSealingConfig(terminal.env, flags, (path) => terminal.readFile(path));
    const keyring = parseKeyring(config.secret);
    return { baseUrl: config.url, seal: (plaintext) => seal(keyring, plaintext, forOperator(binding, plaintext)) };
  }
  const jwks = await readPublicKey(publicKey);
  const baseUrl = flags.url ?? terminal.env['C3_URL'] ?? (URL.canParse(publicKey) ? new URL(publicKey).origin : '');
  if (baseUrl === '' && binding.purpose.kind === 'hook') {
    throw new C3Error('USAGE_INVALID', 'The base URL of the hook is unknown', {
      hint: 'add --url https://c3.example',
    });
  }
  return { baseUrl: trimEnd(baseUrl, '/'), seal: (plaintext) => sealForPublicKey(jwks, plaintext, binding) };
}

/** The holder of the secret is the operator, who may seal a chat for the operator's bot. */
function forOperator(binding: Binding, plaintext: string): Binding {
  if (binding.purpose.kind !== 'telegram' || !isForOperatorsBot(plaintext)) return binding;
  return { ...binding, purpose: { kind: 'telegram', bot: 'operator' } };
}

/** Reads a key set from a file or a URL. The URL may be that of the key set, or the base URL of a c3. */
async function readPublicKey(place: string): Promise<unknown> {
  try {
    if (!/^https?:\/\//.test(place)) return JSON.parse(readFileSync(place, 'utf8')) as unknown;
    const url = new URL(place);
    if (url.pathname === '/') url.pathname = '/.well-known/jwks.json';
    const answer = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
    if (!answer.ok) throw new Error(`the answer is ${answer.status}`);
    const body = await readAtMost(answer.body, MAX_KEY_SET_BYTES);
    if (body === undefined) throw new Error(`the answer is larger than ${MAX_KEY_SET_BYTES} bytes`);
    return JSON.parse(body.toString()) as unknown;
  } catch (error) {
    throw new C3Error('USAGE_INVALID', `Cannot read the public key "${place}": ${toMessage(error)}`, { cause: error });
  }
}
