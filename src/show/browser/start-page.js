// Seals values in the browser with WebCrypto. Nothing that is typed into the form is sent anywhere. docs/sealing.md
// describes the format, and test/vectors/sealing.json tests it. The page embeds this file unchanged, so it imports
// nothing.

const MAX_PLAINTEXT_BYTES = 16 * 1024;
const FILLERS = ['B', 'CA', 'DAA', 'EAAA'];
const encoder = new TextEncoder();

/**
 * Seals a value as `kid.epk.iv.ciphertext.tag`: a JWE with ECDH-ES (X25519) and A256GCM, without its protected
 * header. See RFC 7516 and RFC 7518 §4.6.
 *
 * @param {{ kid: string, x: string }} publicKey c3's key
 * @param {string} plaintext at most 16 KiB
 * @param {{ scope: string, purpose: string }} binding `host/owner/name` in lower case; `hook`, `k8s`, `telegram`,
 * `secret:NAME`
 */
export async function sealForPublicKey(publicKey, plaintext, { scope, purpose }) {
  const { subtle } = globalThis.crypto;
  const theirs = await subtle.importKey('jwk', { kty: 'OKP', crv: 'X25519', x: publicKey.x }, 'X25519', false, []);
  const ours = await subtle.generateKey('X25519', false, ['deriveBits']);
  const epk = encodeBase64url(await subtle.exportKey('raw', ours.publicKey));
  const agreed = await subtle.deriveBits({ name: 'X25519', public: theirs }, ours.privateKey, 256);
  const key = await subtle.importKey('raw', await deriveKey(agreed), 'AES-GCM', false, ['encrypt']);
  const header = {
    alg: 'ECDH-ES',
    enc: 'A256GCM',
    kid: publicKey.kid,
    typ: `c3/${purpose}`,
    sub: scope,
    epk: { x: epk, crv: 'X25519', kty: 'OKP' },
  };
  const iv = globalThis.crypto.getRandomValues(new Uint8Array(12));
  const additionalData = encoder.encode(encodeBase64url(encoder.encode(JSON.stringify(header))));
  const sealed = new Uint8Array(await subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, key, pack(plaintext)));
  const [ciphertext, tag] = [sealed.subarray(0, -16), sealed.subarray(-16)];
  return [publicKey.kid, epk, ...[iv, ciphertext, tag].map(encodeBase64url)].join('.');
}

/**
 * Derives the secret with which the forge signs webhooks: `base64url(HMAC-SHA256(token, "c3-webhook-v1\n" + scope))`.
 *
 * @param {string} token
 * @param {string} scope
 */
export async function deriveWebhookSecret(token, scope) {
  const { subtle } = globalThis.crypto;
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await subtle.importKey('raw', encoder.encode(token), algorithm, false, ['sign']);
  return encodeBase64url(await subtle.sign('HMAC', key, encoder.encode(`c3-webhook-v1\n${scope}`)));
}

/**
 * Returns a repository as the `host/owner/name` that c3 seals; undefined when the text is not a repository.
 *
 * @param {string} text with or without `https://` and `.git`
 */
export function toScope(text) {
  const bare = text
    .trim()
    .replace(/^https?:\/\//i, '')
    .replace(/\/+$/, '')
    .replace(/(\.git)+$/i, '');
  const isScope =
    /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?\/[a-z0-9._/-]{1,200}\/[a-z0-9._-]{1,100}$/i.test(bare);
  const segments = bare.split('/').slice(1);
  return isScope && segments.every((segment) => !/^\.{0,2}$/.test(segment)) ? bare.toLowerCase() : undefined;
}

/**
 * Returns what is wrong with a value; undefined when the server would accept it.
 *
 * @param {string} purpose
 * @param {string} plaintext
 */
export function findMistake(purpose, plaintext) {
  if (plaintext.trim() === '') return 'The value is empty';
  const size = encoder.encode(plaintext).length;
  if (size > MAX_PLAINTEXT_BYTES) return `The value has ${size} bytes; the maximum is ${MAX_PLAINTEXT_BYTES}`;
  if (purpose === 'hook' && !/^[\x21-\x7e]{1,4096}$/.test(plaintext))
    return 'An access token contains only ASCII letters, digits and punctuation, and no spaces';
  if (purpose === 'telegram' && !isDestination(plaintext)) {
    return 'A Telegram destination is JSON, for example {"token": "123:abc", "chat": -100123, "thread": 45}';
  }
  if (purpose.startsWith('secret:') && !/^secret:[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(purpose)) {
    return 'The name of a secret must be a valid shell variable, for example DEPLOY_KEY';
  }
  return undefined;
}

function isDestination(text) {
  try {
    const { token, chat, thread, ...others } = JSON.parse(text);
    const isChat = Number.isSafeInteger(chat) || /^(-?[1-9][0-9]{0,15}|@[A-Za-z][A-Za-z0-9_]{3,31})$/.test(chat);
    const isThread = thread === undefined || (Number.isSafeInteger(thread) && thread > 0);
    return /^[0-9]+:[A-Za-z0-9_-]+$/.test(token) && isChat && isThread && Object.keys(others).length === 0;
  } catch {
    return false;
  }
}

/**
 * Encodes the plaintext. Base64url text is stored decoded, at six bits per character, because hook URLs must be
 * short.
 */
function pack(text) {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return Uint8Array.from([0, ...encoder.encode(text)]);
  const binary = atob((FILLERS[3 - (text.length % 4)] + text).replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** Runs one round of the Concat KDF, which yields the 256 bits of the key. See RFC 7518 §4.6.2. */
async function deriveKey(agreed) {
  const algorithm = encoder.encode('A256GCM');
  const noParties = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
  const round = [0, 0, 0, 1, ...new Uint8Array(agreed), 0, 0, 0, algorithm.length, ...algorithm, ...noParties];
  return await globalThis.crypto.subtle.digest('SHA-256', Uint8Array.from(round));
}

function encodeBase64url(bytes) {
  const binary = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Shows the form and handles it. The rest of the page needs no script. */
function start() {
  const find = (id) => document.getElementById(id);
  const form = document.querySelector('form');
  const { baseUrl, publicKey } = JSON.parse(find('c3').textContent);
  const [purpose, value, answer, fault] = ['for', 'value', 'answer', 'fault'].map(find);

  function choose() {
    find('name-field').hidden = purpose.value !== 'secret';
    for (const note of document.querySelectorAll('[data-for]')) note.hidden = note.dataset.for !== purpose.value;
    answer.hidden = true;
  }

  async function sealForm() {
    const scope = toScope(find('repo').value);
    const name = find('name').value.trim();
    const named = purpose.value === 'secret' ? `secret:${name}` : purpose.value;
    const plaintext = value.value.replace(/\r?\n$/, '');
    const mistake =
      scope === undefined ? 'The repository must have the form HOST/OWNER/NAME' : findMistake(named, plaintext);
    if (mistake !== undefined) throw new Error(mistake);
    const token = await sealForPublicKey(publicKey, plaintext, { scope, purpose: named });
    if (named !== 'hook') return show([[`${purpose.value === 'secret' ? name : named}:`, token]]);
    const url = `${baseUrl}/hook?key=${token}&repo=${scope.replace(/^github\.com\/(?=[^/]+\/[^/]+$)/, '')}`;
    show([
      ['Payload URL', url],
      ['Secret', await deriveWebhookSecret(plaintext, scope)],
    ]);
    find('too-long').hidden = url.length <= 255;
  }

  function show(lines) {
    find('sealed').replaceChildren(...lines.flatMap(createLine));
    answer.hidden = false;
    value.value = '';
    answer.focus();
  }

  purpose.addEventListener('change', choose);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    fault.textContent = '';
    find('too-long').hidden = true;
    sealForm().catch((error) => {
      const isOld = error instanceof DOMException && error.name === 'NotSupportedError';
      fault.textContent = isOld ? 'This browser does not support X25519. Use the command line below.' : error.message;
      answer.hidden = true;
    });
  });
  choose();
  form.hidden = false;
}

function createLine([label, text]) {
  const [term, description, code, copy] = ['dt', 'dd', 'code', 'button'].map((name) => document.createElement(name));
  term.textContent = label;
  code.textContent = text;
  copy.textContent = 'Copy';
  copy.ariaLabel = `Copy ${label}`;
  copy.addEventListener('click', () => {
    void navigator.clipboard.writeText(text).then(() => (copy.textContent = 'Copied'));
  });
  description.append(code, ' ', copy);
  return [term, description];
}

if (typeof document !== 'undefined') start();
