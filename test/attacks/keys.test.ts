import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/commands.ts';
import { readConfig } from '../../src/config/index.ts';
import { formatSecret, openSealed, parseKeyring, parseScope, seal } from '../../src/sealing/index.ts';

describe('A13 The keys of c3', () => {
  const binding = { scope: parseScope('github.com/acme/shop'), purpose: { kind: 'secret', name: 'A' } } as const;

  function refusal(text: string): string {
    try {
      parseKeyring(text);
    } catch (error) {
      const { message, hint } = error as { message: string; hint?: string };
      return `${message} ${hint}`;
    }
    throw new Error('it was accepted');
  }

  it('accepts no key that is short, a word, a pattern or in another encoding, and quotes none', () => {
    const weak = [
      '',
      'password',
      'x'.repeat(43),
      Buffer.from('correct horse battery staple').toString('base64url'),
      Buffer.alloc(32, 'ab').toString('base64url'),
      randomBytes(31).toString('base64url'),
      randomBytes(32).toString('hex'),
      `${randomBytes(32).toString('base64url')},`,
    ];
    for (const text of weak) {
      const sentence = refusal(text);
      expect(sentence).toMatch(/C3_SECRET entry/);
      expect(text.length > 8 && sentence.includes(text.slice(0, 16))).toBe(false);
    }
  });

  it('does not start without a key', () => {
    expect(() => readConfig({}, {}, () => '')).toThrow(/C3_SECRET is not set/);
  });

  it('has no flag for a secret, which every process of the machine could read', async () => {
    const told: string[] = [];
    await runCli(['serve', '--help'], {
      env: {},
      isInputTerminal: false,
      readInput: () => Promise.resolve(''),
      readFile: () => '',
      writeFile: () => {},
      print: (text) => void told.push(text),
      tell: (text) => void told.push(text),
    });
    const help = told.join('\n');
    expect(help).toMatch(/--secret-file/);
    expect(help).not.toMatch(/--secret[ <]|--telegram-token|--token/);
  });

  it('quotes no setting that may be secret when it refuses it', () => {
    const secret = 'sup3r-s3cret-value-of-somebody';
    const env = {
      C3_SECRET: 'x',
      C3_TELEGRAM_TOKEN: secret,
      C3_TELEGRAM_CHAT: '1',
      C3_FORGES: `github=https://user:${secret}@ghe.example.com`,
      C3_URL: `https://user:${secret}@c3.example`,
    };
    let message = '';
    try {
      readConfig(env, {}, () => '');
    } catch (error) {
      message = String(error);
    }
    expect(message).toMatch(/C3_TELEGRAM_TOKEN/);
    expect(message).not.toContain(secret);
  });

  it('seals with the first key, opens with all keys, and reports which values must be sealed again', async () => {
    const [old, now] = [formatSecret(randomBytes(32)), formatSecret(randomBytes(32))];
    const rotated = parseKeyring(`${now},${old}`);
    const sealed = await seal(parseKeyring(old), 'a value', binding);
    expect(await openSealed(rotated, sealed, binding)).toEqual({ plaintext: 'a value', isOldKey: true });
    const anew = await seal(rotated, 'a value', binding);
    expect(await openSealed(parseKeyring(now), anew, binding)).toEqual({ plaintext: 'a value', isOldKey: false });
  });

  it('opens nothing that was sealed with a key that was removed', async () => {
    const [old, now] = [formatSecret(randomBytes(32)), formatSecret(randomBytes(32))];
    const sealed = await seal(parseKeyring(old), 'a value', binding);
    await expect(openSealed(parseKeyring(now), sealed, binding)).rejects.toMatchObject({ code: 'SEALED_INVALID' });
  });

  it('prints no key when a keyring is logged', () => {
    const text = formatSecret(randomBytes(32));
    const keyring = parseKeyring(text);
    const bytes = Buffer.from(text, 'base64url').toString('hex');
    const shown = `${JSON.stringify(keyring)}${inspect(keyring, { depth: 9, showHidden: true })}`;
    expect(shown).not.toContain(text);
    expect(shown).not.toContain(bytes);
  });

  it('uses each nonce once: the same text never becomes the same token', async () => {
    const keyring = parseKeyring(formatSecret(randomBytes(32)));
    const tokens = await Promise.all(Array.from({ length: 500 }, () => seal(keyring, 'a value', binding)));
    expect(new Set(tokens.map((token) => token.split('.')[1])).size).toBe(500);
  });
});
