import { readFileSync } from 'node:fs';
import { readSealingConfig, type Flags } from '../config/index.ts';
import { C3Error, toMessage } from '../errors.ts';
import { readAtMost } from '../limiter.ts';
import { checkRefPattern } from '../pipeline/index.ts';
import { toSigningToken } from '../forges/index.ts';
import { checkCredentials } from '../kube/index.ts';
import {
  checkValue,
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
  type Purpose,
} from '../sealing/index.ts';
import { isPlainLoopback } from './loopback.ts';
import { escapeControls, type Terminal } from './terminal.ts';
import { trimEnd } from '../trim-end.ts';

export interface EncryptFlags extends Flags {
  readonly repo: string;
  readonly for: string;
  readonly ref?: string;
  readonly signature?: string;
  readonly publicKey?: string;
}

/** A byte order mark and a line break, which c3 removes. */
const MAX_ADDED_BYTES = 5;
/** For the whole response. */
const FETCH_TIMEOUT_MS = 10_000;
/** A key takes about 130 bytes, and a server has a few keys. */
const MAX_KEY_SET_BYTES = 64 * 1024;

/** Runs `c3 encrypt`: seals standard input with the secret or with a server's public key. It needs no server. */
export async function encrypt(terminal: Terminal, flags: EncryptFlags): Promise<number> {
  const binding: Binding = {
    scope: parseScope(flags.repo),
    purpose: withSignature(parsePurpose(flags.for), flags.signature),
    ref: flags.ref,
  };
  checkRefPattern(flags.ref, binding.purpose.kind);
  const sealer = await openSealer(terminal, flags, binding);
  if (terminal.isInputTerminal) terminal.tell('c3: type or paste the value, then Ctrl-D on a line of its own');
  const input = await terminal.readInput(MAX_PLAINTEXT_BYTES + MAX_ADDED_BYTES);
  const plaintext = stripNewline(input.replace(/^\uFEFF/, ''));
  // Before sealing: it recognises UTF-16, which the checks of a purpose would call something else.
  const warningsOfValue = checkValue(binding.purpose, plaintext);
  const token = await sealer.seal(plaintext);
  const warnings = [
    ...warningsOfValue,
    ...(binding.purpose.kind === 'k8s' ? checkCredentials(plaintext, Date.now()) : []),
  ];
  for (const warning of warnings) terminal.tell(`c3: warning: ${escapeControls(warning)}`);
  if (binding.purpose.kind !== 'hook') {
    terminal.print(token);
    if (flags.ref !== undefined) {
      terminal.tell('c3: put this into c3.yaml:');
      terminal.tell(formatLines(binding.purpose, token, flags.ref));
    }
    return 0;
  }
  const url = formatHookUrl(sealer.baseUrl, token, binding);
  if (url.length > MAX_HOOK_URL_CHARACTERS) {
    terminal.tell(`c3: warning: the URL has ${url.length} characters; GitHub may cut it at ${MAX_HOOK_URL_CHARACTERS}`);
    terminal.tell('c3: hint: check the URL of the webhook after saving it, or use a shorter base URL');
  }
  terminal.print(url);
  const secret = deriveWebhookSecret(plaintext, binding.scope);
  terminal.print(secret);
  // Without its settings, c3 does not know the kind of the forge.
  if (binding.scope.host !== 'github.com') {
    terminal.tell(`c3: hint: on GitLab, the signing token of the webhook is ${toSigningToken(secret)}`);
  }
  return 0;
}

/** Formats the lines of c3.yaml for a value with a ref. The pattern contains no quote. */
function formatLines(purpose: Purpose, token: string, ref: string): string {
  const top = purpose.kind === 'secret' ? `secrets:\n  ${purpose.name}` : purpose.kind;
  const margin = purpose.kind === 'secret' ? '    ' : '  ';
  return `${top}:\n${margin}${purpose.kind === 'telegram' ? 'to' : 'value'}: ${token}\n${margin}ref: '${ref}'`;
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
    if (url.protocol === 'http:' && !isPlainLoopback(url)) {
      throw new Error('over http, anyone on the way can put another key in its place; use https, or a file');
    }
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
