import * as fc from 'fast-check';
import { CompactEncrypt } from 'jose';
import { describe, expect, it } from 'vitest';
import { createLink, type LinkPart } from '../../test/fakes/sample-build.ts';
import { formatSecret, parseKeyring, toJwks } from '../sealing/keyring.ts';
import { openLink, sealLink, type BuildLink } from './sealed-link.ts';
import { parseScope } from '../sealing/scope.ts';
import { openSealed, seal, sealForPublicKey } from '../sealing/seal.ts';

const NEW = formatSecret(Buffer.from(Array.from({ length: 32 }, (_, index) => index * 3)));
const OLD = formatSecret(Buffer.from(Array.from({ length: 32 }, (_, index) => index * 5)));
const keyring = parseKeyring(NEW);
const REFUSAL = {
  code: 'SEALED_INVALID',
  message: 'This link does not open: it is incomplete, or belongs to another c3',
  hint: "use the newest link, from the commit's status or from Telegram; an old link ends with the key that sealed it",
};

const LINK = createLink({
  right: 'view',
  scope: parseScope('github.com/acme-corp/storefront'),
  id: '5f3a0c91d2e4',
  sha: 'a1'.repeat(20),
  trust: 'protected',
  ref: { kind: 'branch', name: 'main' },
  token: `github_pat_${'x'.repeat(82)}`,
});

function change(part: LinkPart): BuildLink {
  const { right, token, build } = LINK;
  return createLink({ ...build, right, token, ...part });
}

const hex = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: length, maxLength: length });
const scope = fc
  .tuple(
    fc.constantFrom('github.com', 'git.example.com:8443'),
    fc.constantFrom('acme', 'group/sub.group', 'a_b-c'),
    fc.constantFrom('shop', 'x', 'a.b_c-d'),
  )
  .map((parts) => parseScope(parts.join('/')));
const ref = fc.record({
  kind: fc.constantFrom('branch' as const, 'tag' as const),
  name: fc.oneof(
    fc.string({
      unit: fc.constantFrom(
        'a',
        'z',
        'A',
        'X',
        'Y',
        'Z',
        'Q',
        'P',
        'R',
        'W',
        '0',
        '9',
        '-',
        '_',
        '.',
        '/',
        ':',
        '#',
        'é',
        '😀',
      ),
      maxLength: 60,
    }),
    fc.string({ unit: 'binary', maxLength: 200 }).filter((text) => text.isWellFormed()),
  ),
});
const link: fc.Arbitrary<BuildLink> = fc
  .record({
    right: fc.constantFrom('view' as const, 'control' as const),
    scope,
    id: hex(12),
    shas: fc.oneof(fc.tuple(hex(40), hex(40)), fc.tuple(hex(64), hex(64))),
    hasBefore: fc.boolean(),
    trust: fc.constantFrom('protected' as const, 'other' as const),
    ref,
    token: fc.string({
      unit: fc.constantFrom('a', 'z', 'A', 'Z', '0', '9', '_', '-', '.', '~', '+'),
      minLength: 1,
      maxLength: 200,
    }),
  })
  .map(({ shas: [sha, before], hasBefore, ...rest }) => {
    const event = rest.ref.kind === 'tag' && rest.ref.name !== '' ? 'tag' : 'push';
    const shown = rest.ref.name === '' ? { kind: 'branch' as const, name: '' } : rest.ref;
    return createLink({ ...rest, ref: shown, event, sha, before: hasBefore ? before : undefined });
  });

const pullLink: fc.Arbitrary<BuildLink> = fc
  .record({
    one: link,
    number: fc.integer({ min: 1, max: 2 ** 40 }),
    base: ref,
    isDraft: fc.boolean(),
    isFork: fc.boolean(),
  })
  .map(({ one: { build, ...rest }, number, base, isDraft, isFork }) => {
    const branch = { kind: 'branch', name: build.ref.name } as const;
    const pull = { number, base: base.name, head: isFork ? '' : branch.name, isDraft, isFork };
    const origin = isFork
      ? ({ ref: { kind: 'pull', name: String(number) }, trust: 'fork', configSha: build.sha } as const)
      : { ref: branch };
    return createLink({ ...build, ...rest, event: 'pull_request', pull, ...origin });
  });

describe('a link to a build', () => {
  it('opens to its pull request, too', async () => {
    await fc.assert(
      fc.asyncProperty(pullLink, async (one) => {
        const opened = await openLink(keyring, await sealLink(keyring, one));
        expect(opened).toEqual(one.right === 'control' ? one : { ...one, build: { ...one.build, before: undefined } });
      }),
      { numRuns: 200 },
    );
  });

  it('opens to its content; a view link omits the commit before', async () => {
    await fc.assert(
      fc.asyncProperty(link, async (one) => {
        const opened = await openLink(keyring, await sealLink(keyring, one));
        expect(opened).toEqual(one.right === 'control' ? one : { ...one, build: { ...one.build, before: undefined } });
      }),
      { numRuns: 200 },
    );
  });

  it('stays within the 255 characters of GitLab with a token of 93 and a base URL of 45', async () => {
    const base = `https://${'c'.repeat(37)}`;
    expect([base.length, LINK.token.length]).toEqual([45, 93]);
    expect(`${base}/b/${await sealLink(keyring, LINK)}`.length).toBeLessThanOrEqual(255);
    // docs/sealing.md says that OWNER/NAME and the ref together can have 29 characters of six bits.
    const longer = change({ ref: { kind: 'tag', name: 'v2.0.0-r1' } });
    expect(`${base}/b/${await sealLink(keyring, longer)}`.length).toBeLessThanOrEqual(255);
  });

  it('opens with an old key of the keyring, and not without that key', async () => {
    const sealed = await sealLink(parseKeyring(OLD), LINK);
    expect(await openLink(parseKeyring(`${NEW},${OLD}`), sealed)).toEqual(LINK);
    await expect(openLink(keyring, sealed)).rejects.toMatchObject(REFUSAL);
  });

  it('does not open if one bit is changed', async () => {
    const sealed = await sealLink(keyring, LINK);
    const [kid = '', ...parts] = sealed.split('.');
    for (const [index, part] of parts.entries()) {
      const bytes = Buffer.from(part, 'base64url');
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const other = parts.with(index, changed.toString('base64url'));
        await expect(openLink(keyring, [kid, ...other].join('.'))).rejects.toMatchObject(REFUSAL);
      }
    }
  });

  it('does not open if it is cut, doubled or not a link', async () => {
    const sealed = await sealLink(keyring, LINK);
    const cuts = Array.from({ length: sealed.length }, (_, length) => sealed.slice(0, length));
    for (const text of [
      ...cuts,
      `${sealed}.`,
      `${sealed}A`,
      `${sealed}.${sealed}`,
      `.${sealed}`,
      ' ',
      sealed.repeat(200),
    ]) {
      await expect(openLink(keyring, text)).rejects.toMatchObject(REFUSAL);
    }
  });

  it('cannot be made with the public key or by /encrypt', async () => {
    const jwks = toJwks(keyring);
    const packed = '\u0001\u0002'.repeat(60);
    for (const purpose of [{ kind: 'k8s' }, { kind: 'hook' }, { kind: 'secret', name: 'link' }] as const) {
      const text = purpose.kind === 'hook' ? LINK.token : packed;
      const binding = { scope: LINK.build.scope, purpose };
      for (const token of [await seal(keyring, text, binding), await sealForPublicKey(jwks, text, binding)]) {
        await expect(openLink(keyring, token)).rejects.toMatchObject(REFUSAL);
      }
    }
  });

  it('does not open as a sealed value of another purpose', async () => {
    const sealed = await sealLink(keyring, LINK);
    for (const purpose of [{ kind: 'hook' }, { kind: 'k8s' }, { kind: 'secret', name: 'LINK' }] as const) {
      await expect(openSealed(keyring, sealed, { scope: LINK.build.scope, purpose })).rejects.toMatchObject({
        code: 'SEALED_INVALID',
      });
    }
  });

  it.each([
    ['63 characters of six bits', 'x'.repeat(63)],
    ['64 characters of six bits', 'x'.repeat(64)],
    ['65 characters of six bits', 'x'.repeat(65)],
    ['255 characters of six bits', 'feature/'.repeat(32).slice(0, 255)],
    ['63 bytes of UTF-8', 'Q'.repeat(63)],
    ['64 bytes of UTF-8', 'Q'.repeat(64)],
    ['765 bytes of UTF-8', '你'.repeat(255)],
    ['a byte order mark', '\ufeffmain'],
    ['nothing', ''],
  ])('opens to a ref of %s', async (_, name) => {
    const ref = { kind: 'branch', name } as const;
    expect(await openLink(keyring, await sealLink(keyring, change({ ref })))).toEqual(change({ ref }));
  });

  /** Seals bytes in the format of links, without any check. */
  async function sealElsewhere(bytes: Uint8Array): Promise<string> {
    const [{ id, secretKey }] = keyring.keys;
    const header = { alg: 'dir', enc: 'A256GCM', kid: id, typ: 'c3/link', sub: '' };
    const jwe = await new CompactEncrypt(bytes).setProtectedHeader(header).encrypt(secretKey);
    return [id, ...jwe.split('.').slice(2)].join('.');
  }

  it('does not open if the bytes are not a link, even with the right key and header', async () => {
    const long = Buffer.concat([Buffer.alloc(27), Buffer.of(0xff, 0xff), Buffer.alloc(40)]);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(28), Buffer.alloc(200), long]) {
      await expect(openLink(keyring, await sealElsewhere(bytes))).rejects.toMatchObject(REFUSAL);
    }
  });

  it('does not open if a name in it is not UTF-8', async () => {
    const begin = Buffer.concat([Buffer.of(16), Buffer.alloc(26)]);
    const name = (...bytes: number[]): Buffer => Buffer.of(bytes.length * 2 + 1, ...bytes);
    const token = Buffer.from('\0a token');
    const open = async (ref: Buffer): Promise<BuildLink> =>
      await openLink(keyring, await sealElsewhere(Buffer.concat([begin, name(...Buffer.from('a/b')), ref, token])));
    expect(await open(name(0x6d))).toMatchObject({ build: { ref: { kind: 'branch', name: 'm' } }, token: 'a token' });
    await expect(open(name(0xff))).rejects.toMatchObject(REFUSAL);
  });

  it.each([
    ['an id', { id: '5f3a' }, 12, '5f3a'],
    ['a sha', { sha: 'main' }, 40, 'main'],
    ['a sha of other digits', { sha: 'xy'.repeat(20) }, 40, 'xy'.repeat(20)],
    ['a sha with a character more', { sha: `${'a1'.repeat(20)}x` }, 40, `${'a1'.repeat(20)}x`],
    ['a sha before', { right: 'control', before: 'a1'.repeat(32) }, 40, 'a1'.repeat(32)],
    ['a whole page', { sha: 'x'.repeat(1000) }, 40, 'x'.repeat(80)],
  ] as const)('is not made from %s that is not valid', async (_, part, length, quoted) => {
    await expect(async () => await sealLink(keyring, change(part))).rejects.toMatchObject({
      code: 'INTERNAL',
      message: `A link needs ${length} hex digits, not "${quoted}"`,
    });
  });
});
