import { createHmac, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { compactDecrypt } from 'jose';
import { describe, expect, it } from 'vitest';
import { openLink, type Ref } from '../build/index.ts';
import { createLink } from '../../test/fakes/sample-build.ts';

import { deriveWebhookSecret, formatHookUrl, parseHookQuery } from './hook-url.ts';
import { parseKeyring, toJwks } from './keyring.ts';
import { parsePurpose } from './purpose.ts';
import { parseScope } from './scope.ts';
import { openSealed, sealForPublicKey } from './seal.ts';

interface LinkVector {
  right: 'look' | 'control';
  scope: string;
  buildId: string;
  sha: string;
  isProtected: boolean;
  ref?: Ref;
  before?: string;
  token: string;
}

interface Vectors {
  secret: string;
  jwks: { keys: { kid: string; x: string }[] };
  values: {
    name: string;
    by: string;
    repo: string;
    purpose: string;
    ref?: string;
    plaintext: string;
    sealed: string;
  }[];
  links: { name: string; link: LinkVector; sealed: string }[];
  hook: { repo: string; token: string; webhookSecret: string; baseUrl: string; url: string };
}

const file = new URL('../../test/vectors/sealing.json', import.meta.url);
const { secret, jwks, values, links, hook } = JSON.parse(readFileSync(file, 'utf8')) as Vectors;
const keyring = parseKeyring(secret);

describe('the golden vectors', () => {
  it('have the public keys of their secret', async () => {
    expect(toJwks(keyring)).toStrictEqual(jwks);
  });

  it.each(values)('open: $name', async ({ repo, purpose, ref, plaintext, sealed, by }) => {
    const binding = { scope: parseScope(repo), purpose: parsePurpose(purpose), ref };
    expect(await openSealed(keyring, sealed, binding)).toStrictEqual({ plaintext, isOldKey: by === 'old secret' });
  });

  it.each(values.filter(({ ref }) => ref !== undefined))('do not open for all refs: $name', async (value) => {
    const binding = { scope: parseScope(value.repo), purpose: parsePurpose(value.purpose) };
    await expect(openSealed(keyring, value.sealed, binding)).rejects.toMatchObject({ code: 'SEALED_INVALID' });
  });

  it.each(links)('open: a link $name', async ({ link, sealed }) => {
    const { buildId: id, sha, before, isProtected, token, ref = { kind: 'branch', name: '' } } = link;
    const trust = isProtected ? 'protected' : 'other';
    const event = ref.kind === 'tag' ? 'tag' : 'push';
    const right = link.right === 'look' ? 'view' : 'control';
    const part = { id, scope: parseScope(link.scope), event, ref, sha, before, trust, right, token } as const;
    expect(await openLink(keyring, sealed)).toEqual(createLink(part));
  });

  it('have the webhook secret and the URL of their hook key', () => {
    const scope = parseScope(hook.repo);
    const { key } = parseHookQuery(new URL(hook.url).searchParams);
    expect(deriveWebhookSecret(hook.token, scope)).toBe(hook.webhookSecret);
    expect(formatHookUrl(hook.baseUrl, key, { scope, purpose: { kind: 'hook' } })).toBe(hook.url);
  });
});

// Nothing of this room from here on: what docs/sealing.md says is enough to open a value.
describe('the format, with only jose and node:crypto', () => {
  const [first = ''] = secret.split(',');
  const derive = (use: string): Buffer =>
    Buffer.from(hkdfSync('sha256', Buffer.from(first, 'base64url'), '', `c3-seal-v1/${use}`, 32));

  it('opens a value sealed with the secret', async () => {
    const [kid, iv, ciphertext, tag] = find('hook, sealed with the secret').split('.');
    const header = encode({ alg: 'dir', enc: 'A256GCM', kid, typ: 'c3/hook', sub: 'github.com/acme/shop' });
    const { plaintext } = await compactDecrypt(`${header}..${iv}.${ciphertext}.${tag}`, derive('a256gcm'));
    expect(Buffer.from(plaintext).toString('base64url')).toBe(`DAA${hook.token}`);
  });

  it('opens a value sealed with the public key', async () => {
    const [kid, x, iv, ciphertext, tag] = find('secret, any Unicode').split('.');
    const header = encode({
      alg: 'ECDH-ES',
      enc: 'A256GCM',
      kid,
      typ: 'c3/secret:GREETING',
      sub: 'github.com/acme/shop',
      epk: { x, crv: 'X25519', kty: 'OKP' },
    });
    const jwk = { kty: 'OKP', crv: 'X25519', x: jwks.keys[0]?.x ?? '', d: derive('x25519').toString('base64url') };
    const { plaintext } = await compactDecrypt(`${header}..${iv}.${ciphertext}.${tag}`, jwk);
    expect(Buffer.from(plaintext).toString('utf8')).toBe('\0\ufeffПривет, 🌍\n');
  });

  it('opens a value for a ref that was sealed with the secret', async () => {
    const [kid, iv, ciphertext, tag] = find('secret, for version tags').split('.');
    const place = { typ: 'c3/secret:NPM_TOKEN', sub: 'github.com/acme/shop', ref: 'refs/tags/v*' };
    const header = encode({ alg: 'dir', enc: 'A256GCM', kid, ...place });
    const { plaintext } = await compactDecrypt(`${header}..${iv}.${ciphertext}.${tag}`, derive('a256gcm'));
    expect(Buffer.from(plaintext).toString('base64url')).toBe('DAAnpm_correct-horse');
  });

  it('opens a value for a ref that was sealed with the public key', async () => {
    const [kid, x, iv, ciphertext, tag] = find('k8s, for a branch, with the public key').split('.');
    const place = { typ: 'c3/k8s', sub: 'github.com/acme/shop', ref: 'refs/heads/main' };
    const header = encode({ alg: 'ECDH-ES', enc: 'A256GCM', kid, ...place, epk: { x, crv: 'X25519', kty: 'OKP' } });
    const jwk = { kty: 'OKP', crv: 'X25519', x: jwks.keys[0]?.x ?? '', d: derive('x25519').toString('base64url') };
    const { plaintext } = await compactDecrypt(`${header}..${iv}.${ciphertext}.${tag}`, jwk);
    expect(Buffer.from(plaintext).toString('utf8')).toBe('\0apiVersion: v1\nkind: Config\n');
  });

  it('opens what is sealed offline with the key set that the server shows', async () => {
    const binding = { scope: parseScope('github.com/acme/shop'), purpose: parsePurpose('k8s') };
    const [kid, x, iv, ciphertext, tag] = (await sealForPublicKey(jwks, 'apiVersion: v1', binding)).split('.');
    const epk = { x, crv: 'X25519', kty: 'OKP' };
    const header = encode({ alg: 'ECDH-ES', enc: 'A256GCM', kid, typ: 'c3/k8s', sub: 'github.com/acme/shop', epk });
    const jwk = { kty: 'OKP', crv: 'X25519', x: jwks.keys[0]?.x ?? '', d: derive('x25519').toString('base64url') };
    const { plaintext } = await compactDecrypt(`${header}..${iv}.${ciphertext}.${tag}`, jwk);
    expect(Buffer.from(plaintext).toString('utf8')).toBe('\0apiVersion: v1');
  });

  it('opens a link', async () => {
    const [kid, iv, ciphertext, tag] = (links[0]?.sealed ?? '').split('.');
    const header = encode({ alg: 'dir', enc: 'A256GCM', kid, typ: 'c3/link', sub: '' });
    const { plaintext } = await compactDecrypt(`${header}..${iv}.${ciphertext}.${tag}`, derive('a256gcm'));
    const bytes = Buffer.from(plaintext);
    expect(bytes.toString('hex', 0, 27)).toBe(
      ['12', '5f3a0c91d2e4', '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d'].join(''),
    );
    // Six bits for each of "acme/shop": their places are 0 2 12 4 39 18 7 14 15.
    expect([bytes[27], readPlaces(bytes.subarray(28, 35), 9)]).toEqual([18, [0, 2, 12, 4, 39, 18, 7, 14, 15]]);
    expect([bytes[35], readPlaces(bytes.subarray(36, 39), 4)]).toEqual([8, [12, 0, 8, 13]]);
    expect(bytes.toString('base64url', 39)).toBe(`DAA${hook.token}`);
  });

  it('derives the webhook secret', () => {
    const hmac = createHmac('sha256', hook.token).update('c3-webhook-v1\ngithub.com/acme/shop');
    expect(hmac.digest('base64url')).toBe(hook.webhookSecret);
  });
});

function encode(header: object): string {
  return Buffer.from(JSON.stringify(header)).toString('base64url');
}

/** Six bits each, the most significant first. */
function readPlaces(bytes: Uint8Array, count: number): number[] {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return Array.from({ length: count }, (_, index) => Number.parseInt(bits.slice(index * 6, index * 6 + 6), 2));
}

function find(wanted: string): string {
  return values.find(({ name }) => name === wanted)?.sealed ?? '';
}
