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
 * @param {{ scope: string, purpose: string, ref?: string }} binding `host/owner/name` in lower case; `hook`, `k8s`,
 * `telegram`, `secret:NAME`; for some refs only, their pattern
 */
export async function sealForPublicKey(publicKey, plaintext, { scope, purpose, ref }) {
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
    ...(ref === undefined ? {} : { ref }),
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

// oxlint-disable-next-line no-control-regex -- NUL is what UTF-16 has
const UTF_16 = /^(?:\uFFFD\uFFFD.*\0|[^\0]\0[^\0]\0|\0[^\0]\0[^\0])/s;
const UTF_16_MISTAKE =
  'The text is UTF-16, as the `>` of Windows PowerShell writes it: write the file with `| Out-File -Encoding utf8`';

/**
 * Returns what is wrong with a value; undefined when the server would accept it.
 *
 * @param {string} purpose
 * @param {string} plaintext
 */
export function findMistake(purpose, plaintext) {
  if (plaintext.trim() === '') return 'The value is empty';
  if (UTF_16.test(plaintext)) return UTF_16_MISTAKE;
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

/** Returns what is wrong with a kubeconfig. The page has no parser for YAML. */
export function findKubeconfigMistake(purpose, plaintext) {
  const missing = ['clusters', 'contexts', 'users'].find(
    (key) => !new RegExp(`(?:^|[\\s{,"'])${key}["']?\\s*:`).test(plaintext),
  );
  return purpose !== 'k8s' || missing === undefined
    ? undefined
    : `This is not a kubeconfig: it has no "${missing}". Paste what kubectl config view --raw --minify --flatten prints`;
}

const MIN_MASKED_CHARACTERS = 8;

/** Lists what c3 cannot hide of a secret in logs. */
export function findUnmaskable(purpose, plaintext) {
  if (!purpose.startsWith('secret:')) return [];
  const { length } = plaintext.trim();
  if (length < MIN_MASKED_CHARACTERS) {
    return [
      `c3 does not hide this value in logs: it has ${length} characters, and c3 hides ${MIN_MASKED_CHARACTERS} or more`,
    ];
  }
  const lines = plaintext.split(/\r\n|\r|\n/).map((line) => line.trim());
  const isShort = (line) => /\w/.test(line) && line.length < MIN_MASKED_CHARACTERS;
  const shortLines = lines.filter(isShort).length;
  const which = shortLines === 1 ? 'one line of this value' : `${shortLines} lines of this value`;
  return [
    ...(shortLines === 0
      ? []
      : [`c3 does not hide ${which} in logs: c3 hides lines of ${MIN_MASKED_CHARACTERS} or more characters`]),
    ...(hasParts(plaintext, lines)
      ? ['c3 hides whole lines of this value, not a password inside a line: seal each password as a value of its own']
      : []),
    ...(!hasParts(plaintext, lines) && lines.filter(Boolean).length === 1 && /\S[ \t]+\S/.test(plaintext)
      ? [
          'c3 hides this value as a whole, not its words: use the variable in double quotes, or a shell splits it at spaces',
        ]
      : []),
  ];
}

function hasParts(value, lines) {
  return (
    isJson(value) ||
    /^[a-z][a-z0-9+.-]*:\/\/[^\s/@:]*:[^\s/@]+@/i.test(value) ||
    lines.some((line) => /^(?:export )?[A-Za-z_]\w*=./.test(line))
  );
}

function isJson(value) {
  try {
    const json = JSON.parse(value);
    return typeof json === 'object' && json !== null;
  } catch {
    return false;
  }
}

/**
 * Returns what is wrong with a ref pattern; undefined when it is right. Knows only globs without `[`, `\` and nested
 * braces, and refuses the others, because the page has no parser for globs.
 *
 * @param {string} ref
 */
export function findRefMistake(ref) {
  if (!/^refs\/(?:heads|tags)\/./s.test(ref)) {
    return 'The ref must begin with refs/heads/ or refs/tags/, for example refs/heads/main or refs/tags/v*';
  }
  if (!/^[^\p{Z}\p{Cc}\p{Cf}\p{Cs}']{1,256}$/u.test(ref)) {
    return 'The ref contains a space, an invisible character or a quote, or is longer than 256 characters';
  }
  return /^(?:[^\\[{]|\{[^\\[{}]*\})+$/.test(ref)
    ? undefined
    : 'This form knows only the globs *, ** and ? and {a,b}: use the command line below';
}

/**
 * Formats the lines of c3.yaml for a value that is for some refs only.
 *
 * @param {string} purpose
 * @param {string} token
 * @param {string} ref contains no quote
 */
export function formatLines(purpose, token, ref) {
  const [kind, name] = purpose.split(':');
  const [top, margin] = name === undefined ? [kind, '  '] : [`secrets:\n  ${name}`, '    '];
  return `${top}:\n${margin}${kind === 'telegram' ? 'to' : 'value'}: ${token}\n${margin}ref: '${ref}'`;
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
    find('ref-field').hidden = purpose.value === 'hook';
    for (const note of document.querySelectorAll('[data-for]')) note.hidden = note.dataset.for !== purpose.value;
    answer.hidden = true;
  }

  async function sealForm() {
    const scope = toScope(find('repo').value);
    const name = find('name').value.trim();
    const named = purpose.value === 'secret' ? `secret:${name}` : purpose.value;
    const ref = named === 'hook' ? undefined : find('ref').value.trim() || undefined;
    const plaintext = value.value.replace(/^\uFEFF/, '').replace(/\r?\n$/, '');
    const mistake =
      (scope === undefined ? 'The repository must have the form HOST/OWNER/NAME' : findMistake(named, plaintext)) ??
      (ref === undefined ? undefined : findRefMistake(ref)) ??
      findKubeconfigMistake(named, plaintext);
    if (mistake !== undefined) throw new Error(mistake);
    find('warning').textContent = findUnmaskable(named, plaintext).join('. ');
    const token = await sealForPublicKey(publicKey, plaintext, { scope, purpose: named, ref });
    if (ref !== undefined) return show([['c3.yaml', formatLines(named, token, ref)]]);
    if (named !== 'hook') return show([[`${purpose.value === 'secret' ? name : named}:`, token]]);
    const url = `${baseUrl}/hook?key=${token}&repo=${scope.replace(/^github\.com\/(?=[^/]+\/[^/]+$)/, '')}`;
    const secret = await deriveWebhookSecret(plaintext, scope);
    const gitlab = [['Signing token (GitLab)', `whsec_${secret.replaceAll('-', '+').replaceAll('_', '/')}=`]];
    show([['Payload URL', url], ['Secret', secret], ...(scope.startsWith('github.com/') ? [] : gitlab)]);
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
  for (const button of document.querySelectorAll('.copy')) addCopying(button, button.previousSibling.textContent);
}

function createLine([label, text]) {
  const [term, description, code, copy] = ['dt', 'dd', 'code', 'button'].map((name) => document.createElement(name));
  term.textContent = label;
  code.textContent = text;
  copy.textContent = 'Copy';
  copy.ariaLabel = `Copy ${label}`;
  addCopying(copy, text);
  description.append(code, ' ', copy);
  return [term, description];
}

/** A browser has a clipboard only on HTTPS and on localhost. */
function addCopying(button, text) {
  button.hidden = !navigator.clipboard;
  const say = (word) => () => (button.textContent = word);
  button.addEventListener('click', () => {
    void navigator.clipboard.writeText(text).then(say('Copied'), say('Not allowed'));
  });
}

if (typeof document !== 'undefined') start();
