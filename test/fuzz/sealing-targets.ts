import * as fc from 'fast-check';
import { type BuildLink, openLink, sealLink } from '../../src/build/index.ts';
import { createBuild } from '../fakes/sample-build.ts';
import {
  createMasking,
  formatPurpose,
  formatScope,
  formatSecret,
  openSealed,
  parseHookQuery,
  parseKeyring,
  parsePurpose,
  parseScope,
  seal,
  sealForPublicKey,
  toJwks,
  type Binding,
} from '../../src/sealing/index.ts';
import { anyText, inPieces, mutated } from './arbitraries.ts';
import { defineTarget, ensure, orRefusal, orRefusalLater, type Target } from './target.ts';

const SECRET = formatSecret(Buffer.from(Array.from({ length: 32 }, (_, index) => index * 7)));
const keyring = parseKeyring(SECRET);
const BINDING: Binding = { scope: parseScope('github.com/acme/shop'), purpose: { kind: 'secret', name: 'KEY' } };
const PLAINTEXT = 'correct horse';
const TOKENS = [await seal(keyring, PLAINTEXT, BINDING), await sealForPublicKey(toJwks(keyring), PLAINTEXT, BINDING)];
const LINK: BuildLink = {
  right: 'view',
  build: createBuild({ scope: BINDING.scope }),
  token: 'a-token',
};
const LINKS = await Promise.all((['view', 'control'] as const).map((right) => sealLink(keyring, { ...LINK, right })));

const scopeTexts = [
  'github.com/acme/shop',
  'https://GHE.example.com:8443/Acme/Shop.git',
  'gitlab.com/a/b/c/d.e_f',
  'a/b',
];
const purposeTexts = ['hook', 'k8s', 'telegram', 'secret:DEPLOY_KEY', 'hook:signature=optional'];
const queries = [`key=${TOKENS[0]}&repo=acme/shop`, `key=${TOKENS[1]}&repo=ghe.example.com/a/b&signature=optional`];

/** A text with a secret, in one of the encodings in which programs print it. */
const spelled = fc
  .tuple(
    fc.string({ unit: 'binary', minLength: 8, maxLength: 40 }).filter((secret) => secret.trim().length >= 8),
    anyText,
    anyText,
    fc.constantFrom<(text: string) => string>(
      (text) => text,
      (text) => Buffer.from(text).toString('base64').replace(/=+$/, ''),
      (text) => Buffer.from(text).toString('base64url'),
      (text) => Buffer.from(text).toString('hex'),
      (text) => Buffer.from(text).toString('hex').toUpperCase(),
      (text) => encodeURIComponent(text),
      (text) => JSON.stringify(text).slice(1, -1),
    ),
  )
  .map(([secret, before, after, spell]) => ({ secret, spelling: spell(secret), text: before + spell(secret) + after }));

export const sealingTargets: readonly Target[] = [
  defineTarget('hook-query', mutated(queries), (text) => {
    const query = orRefusal(() => parseHookQuery(new URLSearchParams(text)));
    if (query === 'refused') return;
    ensure(/^[\w-]+(?:\.[\w-]+){3,4}$/.test(query.key), 'a key has four or five parts');
    ensure(
      formatScope(parseScope(formatScope(query.scope))) === formatScope(query.scope),
      'a scope is parsed to itself',
    );
  }),

  defineTarget('link', fc.oneof(mutated([...LINKS, ...TOKENS]), anyText), async (sealed) => {
    const opened = await orRefusalLater(() => openLink(keyring, sealed));
    if (opened === 'refused') return;
    ensure(LINKS.includes(sealed) && opened.token === LINK.token, 'only a sealed link opens');
    ensure((opened.right === 'control') === (sealed === LINKS[1]), 'a link keeps its right');
  }),

  defineTarget('sealed-token', fc.oneof(mutated(TOKENS), anyText), async (token) => {
    const opened = await orRefusalLater(() => openSealed(keyring, token, BINDING));
    ensure(
      opened === 'refused' || (TOKENS.includes(token) && opened.plaintext === PLAINTEXT),
      'only a sealed value opens',
    );
  }),

  defineTarget('scope', mutated(scopeTexts), (text) => {
    const scope = orRefusal(() => parseScope(text));
    if (scope === 'refused') return;
    const formatted = formatScope(scope);
    ensure(/^[a-z0-9.:_/-]+$/.test(formatted), 'a scope is lower-case ASCII');
    ensure(!formatted.split('/').some((part) => part === '' || part === '.' || part === '..'), 'no segment is ".."');
    ensure(formatScope(parseScope(formatted)) === formatted, 'a scope is parsed to itself');
  }),

  defineTarget('purpose', mutated(purposeTexts), (text) => {
    const purpose = orRefusal(() => parsePurpose(text));
    ensure(purpose === 'refused' || formatPurpose(purpose) === text, 'a purpose has one form');
  }),

  defineTarget('keyring', mutated([SECRET, `${SECRET},${SECRET}`, Buffer.alloc(32, 1).toString('hex')]), (text) => {
    try {
      parseKeyring(text);
    } catch (error) {
      orRefusal(() => {
        throw error;
      });
      const { message } = error as Error;
      const entries = text.split(',').filter((entry) => /^[\w-]{12,}$/.test(entry.trim()));
      ensure(!entries.some((entry) => message.includes(entry.trim().slice(0, 12))), 'a refusal quotes no key');
    }
  }),

  defineTarget(
    'plaintext',
    fc.tuple(fc.oneof(anyText, fc.string({ unit: 'binary' })), fc.constantFrom(...purposeTexts)),
    async ([text, to]) => {
      const binding = { scope: BINDING.scope, purpose: parsePurpose(to) };
      const token = await orRefusalLater(() => seal(keyring, text, binding));
      if (token === 'refused') return;
      const { plaintext } = await openSealed(keyring, token, binding);
      ensure(plaintext === text, 'a sealed value opens to its plaintext');
    },
  ),

  defineTarget(
    'mask',
    spelled.chain(({ text, ...rest }) => inPieces(fc.constant(Buffer.from(text))).map((cut) => ({ ...rest, ...cut }))),
    ({ secret, spelling, whole, pieces }) => {
      const masker = createMasking([secret]).createMasker();
      const masked = Buffer.concat([...pieces.map((piece) => Buffer.from(masker.push(piece))), masker.flush()]);
      const expected = createMasking([secret]).mask(whole.toString());
      ensure(masked.toString() === expected, 'a stream is masked like its text, wherever it is cut');
      // A mask and the text beside it may form a secret that contains asterisks.
      if (!secret.includes('*')) {
        ensure(!masked.includes(secret), 'a masked text contains no secret');
        ensure(!masked.includes(spelling), 'a masked text contains no encoded secret');
      }
      // In bytes: a spelling may end within a character.
      const rest = masked.toString('latin1').split('***');
      const isRest = rest.every((piece) => whole.toString('latin1').includes(piece));
      ensure(isRest || whole.includes('*'), 'the rest does not change');
    },
  ),
];
