import { describe, expect, it } from 'vitest';

import { readConfig, type Config, type Flags } from './read-config.ts';

const SECRET = 'the-secret-itself';
const FILES: Readonly<Record<string, string>> = { '/run/secret': `${SECRET}\n`, '/run/empty': '\n' };

function readFile(path: string): string {
  const text = FILES[path];
  if (text === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
  return text;
}

function read(env: Record<string, string>, flags: Flags = {}): Config {
  return readConfig({ C3_SECRET: SECRET, ...env }, flags, readFile);
}

function mistakesOf(env: Record<string, string>, flags: Flags = {}): unknown {
  try {
    return readConfig(env, flags, readFile);
  } catch (error) {
    return error;
  }
}

describe('readConfig', () => {
  it('needs nothing but the secret', () => {
    expect(read({})).toStrictEqual({
      secret: SECRET,
      port: 8668,
      host: '0.0.0.0',
      url: 'http://localhost:8668',
      telegram: undefined,
      telegramToken: undefined,
      telegramApi: 'https://api.telegram.org',
      forges: [{ kind: 'github', origin: 'https://github.com', apiBase: 'https://api.github.com' }],
      allowRepos: ['**'],
      allowNets: [],
      podPolicy: 'tenant',
      rateLimit: 120,
      rateLimitNew: 300,
      maxBuilds: 50,
      logLevel: 'info',
    });
  });

  it('takes a flag before a variable, and a variable before the default', () => {
    expect(read({ C3_PORT: '1' }, { port: '2' }).port).toBe(2);
    expect(read({ C3_PORT: '1' }).port).toBe(1);
  });

  it('counts an empty variable and an empty flag as unset', () => {
    const env = { C3_PORT: '', C3_SECRET_FILE: ' ', C3_TELEGRAM_TOKEN: '', C3_URL: '' };
    expect(read(env, { port: '' })).toStrictEqual(read({}));
  });

  it('makes the default URL of the port', () => {
    expect(read({}, { port: '9000' }).url).toBe('http://localhost:9000');
  });

  it('drops the slash at the end of a base URL, and keeps its path', () => {
    expect(read({ C3_URL: 'https://C3.example/' }).url).toBe('https://c3.example');
    expect(read({ C3_URL: 'https://example.com/c3/' }).url).toBe('https://example.com/c3');
  });

  it('reads the secret from a file', () => {
    expect(readConfig({ C3_SECRET_FILE: '/run/secret' }, {}, readFile).secret).toBe(SECRET);
    expect(readConfig({}, { secretFile: '/run/secret' }, readFile).secret).toBe(SECRET);
  });

  it('leaves alone the C3_PORT that Kubernetes makes of a Service named c3', () => {
    expect(read({ C3_PORT: 'tcp://10.96.0.7:8668' }).port).toBe(8668);
  });

  it.each([
    ['-100123', { chat: '-100123' }],
    ['-100123/45', { chat: '-100123', thread: 45 }],
    ['@builds', { chat: '@builds' }],
  ])('reads the chat %s', (text, expected) => {
    const config = read({ C3_TELEGRAM_TOKEN: '12:ab', C3_TELEGRAM_CHAT: text });
    expect(config.telegram).toStrictEqual({ token: '12:ab', ...expected });
  });

  it('takes a bot without a chat, for chats that the operator seals', () => {
    expect(read({ C3_TELEGRAM_TOKEN: '12:ab' })).toMatchObject({ telegram: undefined, telegramToken: '12:ab' });
  });

  it('freezes all it returns', () => {
    const config = read({ C3_TELEGRAM_TOKEN: '12:ab', C3_TELEGRAM_CHAT: '1' });
    const parts = [config, config.telegram, config.forges, config.forges[0], config.allowRepos];
    expect(parts.map((part) => Object.isFrozen(part))).toStrictEqual(parts.map(() => true));
  });

  it('tells all mistakes together, each with the name of its setting, and no secret', () => {
    const env = {
      C3_SECRET: SECRET,
      C3_SECRET_FILE: '/run/secret',
      C3_PORT: '80a',
      C3_URL: 'c3.example',
      C3_TELEGRAM_TOKEN: 'not-a-token',
      C3_TELEGRAM_API: 'https://user:pass@example.com',
      C3_FORGES: 'gitea=https://git.example.com',
      C3_ALLOW_REPOS: 'acme/*',
      C3_LOG_LEVEL: 'loud',
    };
    expect(mistakesOf(env)).toMatchObject({
      code: 'CONFIG_INVALID',
      message: [
        'C3_SECRET and C3_SECRET_FILE are both set: only one of them may be',
        'C3_PORT is "80a", not a port from 0 to 65535',
        'C3_URL is "c3.example", not a URL such as https://c3.example.com',
        'C3_TELEGRAM_TOKEN is not a bot token: that is a number, a colon, and letters, digits, "-" or "_"',
        'C3_TELEGRAM_API holds a user name or a password, which a base URL must not',
        'C3_FORGES has a forge of kind "gitea", but the kinds are: github',
        'C3_ALLOW_REPOS has the entry "acme/*", which has no host: write github.com/acme/*',
        'C3_LOG_LEVEL is "loud", not one of fatal, error, warn, info, debug, trace, silent',
      ].join('\n'),
    });
  });

  it.each([
    [{}, 'C3_SECRET is not set, and C3_SECRET_FILE is not either: c3 keygen prints a new secret'],
    [{ C3_SECRET_FILE: '/run/none' }, 'C3_SECRET_FILE names "/run/none", which cannot be read (ENOENT)'],
    [{ C3_SECRET_FILE: '/run/empty' }, 'C3_SECRET_FILE names "/run/empty", which is empty'],
    [
      { C3_SECRET: 'x', C3_TELEGRAM_CHAT: '1' },
      'C3_TELEGRAM_CHAT is set, but C3_TELEGRAM_TOKEN is not: no bot would write there',
    ],
  ])('refuses %j', (env, message) => {
    expect(mistakesOf(env)).toMatchObject({ code: 'CONFIG_INVALID', message });
  });
});
