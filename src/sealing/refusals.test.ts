import { CompactEncrypt } from 'jose';
import { describe, expect, it } from 'vitest';
import { parseHookQuery } from './hook-url.ts';
import { formatSecret, parseKeyring } from './keyring.ts';
import { openSealed } from './seal.ts';
import { parsePurpose } from './purpose.ts';
import { formatScope, parseScope } from './scope.ts';

/** What is refused, in which words: they are all that a person has who made the mistake. */
const keyring = parseKeyring(formatSecret(Buffer.from(Array.from({ length: 32 }, (_, index) => index * 3))));
const scope = parseScope('github.com/acme/shop');

function refusalOf(act: () => unknown): object {
  try {
    act();
  } catch (error) {
    const { code, message, hint } = error as { code: string; message: string; hint?: string };
    return { code, message, hint };
  }
  throw new Error('it was not refused');
}

/** As the format says, without this room's checks. */
async function sealUnchecked(bytes: string, typ: string): Promise<string> {
  const [{ id, secretKey }] = keyring.keys;
  const header = { alg: 'dir', enc: 'A256GCM', kid: id, typ, sub: 'github.com/acme/shop' };
  const jwe = await new CompactEncrypt(Buffer.from(bytes)).setProtectedHeader(header).encrypt(secretKey);
  return [id, ...jwe.split('.').slice(2)].join('.');
}

describe('a sealed value that does not open', () => {
  it.each([
    ['hook', 'The key in the hook URL'],
    ['k8s', 'The sealed kubeconfig'],
    ['telegram', 'The sealed Telegram destination'],
    ['secret:DEPLOY_KEY', 'The sealed secret DEPLOY_KEY'],
  ])('is named after its purpose, %s, with the command that seals another', async (purpose, subject) => {
    await expect(openSealed(keyring, 'x', { scope, purpose: parsePurpose(purpose) })).rejects.toMatchObject({
      code: 'SEALED_INVALID',
      message: `${subject} does not open for github.com/acme/shop: it is damaged, or was sealed for another repository or purpose${purpose === 'hook' ? '' : ', or with another ref'}`,
      hint: `seal it again with c3 encrypt --repo github.com/acme/shop --for ${purpose}`,
    });
  });

  it('has a message of its own if only its key is unknown, with the same command', async () => {
    const token = await sealUnchecked('\0value', 'c3/secret:KEY');
    const foreign = `${keyring.keys[0].id === 'zz' ? 'yy' : 'zz'}${token.slice(2)}`;
    const binding = { scope, purpose: parsePurpose('secret:KEY') };
    await expect(openSealed(keyring, foreign, binding)).rejects.toMatchObject({
      message: 'The sealed secret KEY was sealed with a key this c3 does not have',
      hint: 'seal it again with c3 encrypt --repo github.com/acme/shop --for secret:KEY',
    });
  });

  it.each(['aab.', '?aa.', 'aa?.', '.', 'a.'])(
    'is damaged, and not of another key, when its key id is "%s"',
    async (id) => {
      const token = await sealUnchecked('\0value', 'c3/secret:KEY');
      const binding = { scope, purpose: parsePurpose('secret:KEY') };
      await expect(openSealed(keyring, id + token.slice(3), binding)).rejects.toMatchObject({
        message: expect.stringMatching(/^The sealed secret KEY does not open for/),
      });
    },
  );

  it.each([1, 2, 3, 6])('has four or five parts, not %d', async (count) => {
    const token = Array.from({ length: count }, () => 'zz').join('.');
    await expect(openSealed(keyring, token, { scope, purpose: { kind: 'k8s' } })).rejects.toMatchObject({
      message: expect.stringMatching(/is damaged/),
    });
  });

  it.each([
    ['it has the longest length that is read', 'zz.AAAA.'.padEnd(24 * 1024 - 5, 'A') + '.AAAA', true],
    ['it is longer', 'zz.AAAA.'.padEnd(24 * 1024 - 4, 'A') + '.AAAA', false],
    ['a part is empty', 'zz.AAAA..AAAA', false],
    ['its last part has bits that no encoder writes', 'zz.AAAA.AAAA.AB', false],
  ])('names an unknown key only if the rest may be a value: %s', async (_, token, isNamed) => {
    expect(keyring.keys[0].id).not.toBe('zz');
    await expect(openSealed(keyring, token, { scope, purpose: { kind: 'k8s' } })).rejects.toMatchObject({
      message: expect.stringMatching(isNamed ? /with a key this c3 does not have$/ : /is damaged/) as string,
    });
  });

  it('may be too long to be read, though its key is right', async () => {
    const token = await sealUnchecked(`\0${'x'.repeat(19_000)}`, 'c3/k8s');
    await expect(openSealed(keyring, token, { scope, purpose: { kind: 'k8s' } })).rejects.toMatchObject({
      code: 'SEALED_INVALID',
    });
  });

  it('has a part that is empty', async () => {
    const [id, iv, , tag] = (await sealUnchecked('\0value', 'c3/k8s')).split('.');
    await expect(openSealed(keyring, `${id}.${iv}..${tag}`, { scope, purpose: { kind: 'k8s' } })).rejects.toMatchObject(
      {
        message: expect.stringMatching(/is damaged/),
      },
    );
  });
});

it('opens without a check what the reader of its purpose checks, and checks a token, which goes into a header', async () => {
  const path = await sealUnchecked('\0/home/ann/.kube/config', 'c3/k8s');
  expect(await openSealed(keyring, path, { scope, purpose: { kind: 'k8s' } })).toMatchObject({
    plaintext: '/home/ann/.kube/config',
  });
  const token = await sealUnchecked('\0a b', 'c3/hook');
  await expect(openSealed(keyring, token, { scope, purpose: { kind: 'hook' } })).rejects.toMatchObject({
    code: 'SEALED_INVALID',
  });
});

describe('a hook URL', () => {
  const hint = 'copy the whole hook URL that c3 encrypt printed into the webhook';

  it.each([
    ['repo=a/b', 'SEALED_INVALID', 'The hook URL has no key'],
    ['key=&repo=a/b', 'SEALED_INVALID', 'The hook URL has no key'],
    ['key=aa.b.c.d&key=aa.b.c.d&repo=a/b', 'SEALED_INVALID', 'The hook URL has more than one key'],
    ['key=aa.b.c&repo=a/b', 'SEALED_INVALID', 'The key in the hook URL is not whole: the URL looks truncated'],
    ['key=!aa.b.c.d&repo=a/b', 'SEALED_INVALID', 'The key in the hook URL is not whole: the URL looks truncated'],
    ['key=aa.b.c.d!&repo=a/b', 'SEALED_INVALID', 'The key in the hook URL is not whole: the URL looks truncated'],
    ['key=aa.b.c.d.e.f&repo=a/b', 'SEALED_INVALID', 'The key in the hook URL is not whole: the URL looks truncated'],
    ['key=aa.b.c.d', 'SCOPE_INVALID', 'The hook URL has no repository: the URL looks truncated'],
    ['key=aa.b.c.d&repo=a/b&repo=a/b', 'SCOPE_INVALID', 'The hook URL has more than one repository'],
  ])('is refused with its own message: %s', (query, code, message) => {
    expect(refusalOf(() => parseHookQuery(new URLSearchParams(query)))).toEqual({ code, message, hint });
  });
});

describe('a purpose', () => {
  it('is refused, and its first 120 characters are quoted', () => {
    expect(refusalOf(() => parsePurpose('x'.repeat(200)))).toEqual({
      code: 'USAGE_INVALID',
      message: `Purpose "${'x'.repeat(120)}" is not one of hook, k8s, telegram, secret:NAME`,
      hint: undefined,
    });
  });

  it('has a name of at most 100 characters, of which the message quotes 120', () => {
    expect(parsePurpose(`secret:${'N'.repeat(100)}`)).toEqual({ kind: 'secret', name: 'N'.repeat(100) });
    expect(refusalOf(() => parsePurpose(`secret:${'N'.repeat(130)}`))).toEqual({
      code: 'USAGE_INVALID',
      message: `Secret name "${'N'.repeat(120)}" is not a name of a shell variable`,
      hint: 'letters, digits and "_", no digit first, at most 100 characters, for example secret:DEPLOY_KEY',
    });
    expect(() => parsePurpose(`secret:${'N'.repeat(101)}`)).toThrow(/is not a name/);
  });
});

describe('a scope', () => {
  it.each(['a/b/c', 'https://a/b/c', 'HTTP://A/B/C', 'a/b/c//', 'a/b/c.git', 'a/b/c.git.git/', ' a/b/c '])(
    'is read from "%s"',
    (text) => {
      expect(formatScope(parseScope(text))).toBe('a/b/c');
    },
  );

  it.each([
    'x/https://a/b/c',
    'a/b',
    'a//b/c',
    'a/b//c',
    'a/./c',
    'a/../c',
    'a/b/..',
    '-a/b/c',
    'a-/b/c',
    'a:/b/c',
    'a:123456/b/c',
    'a/b c/d',
    'a/b/c?',
    '',
  ])('is not "%s"', (text) => {
    expect(refusalOf(() => parseScope(text))).toEqual({
      code: 'SCOPE_INVALID',
      message: `Repository "${text}" is not of the form HOST/OWNER/NAME`,
      hint: 'for example github.com/acme/shop',
    });
  });

  it('has at most 600 characters, and the message quotes 120', () => {
    const name = `${'h'.repeat(250)}/${'o'.repeat(200)}/${'n'.repeat(99)}x`;
    const longest = name.padStart(600, ' ');
    expect(formatScope(parseScope(longest))).toBe(name);
    expect(refusalOf(() => parseScope(` ${longest}`))).toMatchObject({
      message: `Repository "${' '.repeat(600 - name.length + 1)}${'h'.repeat(120 - (600 - name.length + 1))}" is not of the form HOST/OWNER/NAME`,
    });
    expect(() => parseScope(`a/b/c${'/'.repeat(600)}`)).toThrow(/is not of the form/);
  });
});
