import { describe, expect, it } from 'vitest';

import { readConfig, readForges, readSealingConfig, type Config, type Flags } from './read-config.ts';

const SECRET = 'the-secret-itself';
const FILES: Readonly<Record<string, string>> = { '/run/secret': `${SECRET}\n`, '/run/empty': '\n' };

const NO_REPOS =
  'C3_ALLOW_REPOS is not set: name the repositories to serve, such as github.com/acme/*; ** serves every repository of the forges';

function readFile(path: string): string {
  const text = FILES[path];
  if (text === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
  return text;
}

function read(env: Record<string, string>, flags: Flags = {}): Config {
  return readConfig({ C3_SECRET: SECRET, C3_ALLOW_REPOS: 'github.com/acme/*', ...env }, flags, readFile);
}

function mistakesOf(env: Record<string, string>, flags: Flags = {}): unknown {
  try {
    return readConfig(env, flags, readFile);
  } catch (error) {
    return error;
  }
}

describe('readConfig', () => {
  it('requires only a secret and the repositories to serve', () => {
    expect(read({})).toStrictEqual({
      secret: SECRET,
      port: 8668,
      host: '0.0.0.0',
      url: 'http://localhost:8668',
      telegram: undefined,
      telegramToken: undefined,
      telegramApi: 'https://api.telegram.org',
      forges: [{ kind: 'github', origin: 'https://github.com', apiBase: 'https://api.github.com' }],
      forks: 'off',
      allowRepos: ['github.com/acme/*'],
      allowNets: [],
      podPolicy: 'tenant',
      allowInJobs: [],
      rateLimit: 120,
      rateLimitNew: 300,
      maxBuilds: 50,
      logLevel: 'info',
    });
  });

  it('prefers a flag to a variable, and a variable to the default', () => {
    expect(read({ C3_PORT: '1' }, { port: '2' }).port).toBe(2);
    expect(read({ C3_PORT: '1' }).port).toBe(1);
  });

  it('ignores an empty variable and an empty flag', () => {
    const env = { C3_PORT: '', C3_SECRET_FILE: ' ', C3_TELEGRAM_TOKEN: '', C3_URL: '' };
    expect(read(env, { port: '' })).toStrictEqual(read({}));
  });

  it('derives the default URL from the port', () => {
    expect(read({}, { port: '9000' }).url).toBe('http://localhost:9000');
  });

  it('drops the slash at the end of a base URL, and keeps its path', () => {
    expect(read({ C3_URL: 'https://C3.example/' }).url).toBe('https://c3.example');
    expect(read({ C3_URL: 'https://example.com/c3/' }).url).toBe('https://example.com/c3');
  });

  it('reads the secret from a file', () => {
    const env = { C3_ALLOW_REPOS: '**' };
    expect(readConfig({ ...env, C3_SECRET_FILE: '/run/secret' }, {}, readFile).secret).toBe(SECRET);
    expect(readConfig(env, { secretFile: '/run/secret' }, readFile).secret).toBe(SECRET);
  });

  it('ignores what Kubernetes sets for Services named c3 and c3-web', () => {
    const variables = {
      C3_SERVICE_HOST: '10.96.0.7',
      C3_SERVICE_PORT: '8668',
      C3_SERVICE_PORT_HTTP: '8668',
      C3_PORT: 'tcp://10.96.0.7:8668',
      C3_PORT_8668_TCP: 'tcp://10.96.0.7:8668',
      C3_PORT_8668_TCP_PROTO: 'tcp',
      C3_PORT_8668_TCP_PORT: '8668',
      C3_PORT_8668_TCP_ADDR: '10.96.0.7',
      C3_WEB_SERVICE_HOST: '10.96.0.8',
      C3_WEB_PORT: 'udp://10.96.0.8:53',
      C3_WEB_PORT_53_UDP: 'udp://10.96.0.8:53',
    };
    expect(read(variables)).toStrictEqual(read({}));
    expect(read(variables, { port: '9000' }).port).toBe(9000);
  });

  it('refuses a variable that looks like a setting, and names the nearest one', () => {
    const env = {
      C3_SECRET: SECRET,
      C3_ALLOW_REPO: 'github.com/acme/*',
      C3_WEB_PORT: '80',
      C3_DATABASE_URL: 'postgres://',
      C3_EMPTY: '',
      MY_C3_URL: 'https://c3.example',
    };
    expect(mistakesOf(env)).toMatchObject({
      code: 'CONFIG_INVALID',
      message: [
        NO_REPOS,
        'C3_ALLOW_REPO is not a setting; did you mean C3_ALLOW_REPOS?',
        'C3_WEB_PORT is not a setting',
        'C3_DATABASE_URL is not a setting',
      ].join('\n'),
    });
  });

  it.each([
    ['-100123', { chat: '-100123' }],
    ['-100123/45', { chat: '-100123', thread: 45 }],
    ['@builds', { chat: '@builds' }],
  ])('reads the chat %s', (text, expected) => {
    const config = read({ C3_TELEGRAM_TOKEN: '12:ab', C3_TELEGRAM_CHAT: text });
    expect(config.telegram).toStrictEqual({ token: '12:ab', ...expected });
  });

  it('accepts a bot without a chat, for chats that the operator seals', () => {
    expect(read({ C3_TELEGRAM_TOKEN: '12:ab' })).toMatchObject({ telegram: undefined, telegramToken: '12:ab' });
  });

  it('freezes everything that it returns', () => {
    const config = read({ C3_TELEGRAM_TOKEN: '12:ab', C3_TELEGRAM_CHAT: '1' });
    const parts = [config, config.telegram, config.forges, config.forges[0], config.allowRepos];
    expect(parts.map((part) => Object.isFrozen(part))).toStrictEqual(parts.map(() => true));
  });

  it('reports all mistakes together, each with the name of its setting, and quotes no secret', () => {
    const env = {
      C3_SECRET: SECRET,
      C3_SECRET_FILE: '/run/secret',
      C3_PORT: '80a',
      C3_URL: 'c3.example',
      C3_TELEGRAM_TOKEN: 'not-a-token',
      C3_TELEGRAM_API: 'https://user:pass@example.com',
      C3_FORGES: 'svn=https://svn.example.com',
      C3_ALLOW_REPOS: 'acme/*',
      C3_LOG_LEVEL: 'loud',
    };
    expect(mistakesOf(env)).toMatchObject({
      code: 'CONFIG_INVALID',
      message: [
        'C3_SECRET and C3_SECRET_FILE are both set: set only one of them',
        'C3_PORT is "80a", not a port from 0 to 65535',
        'C3_URL is "c3.example", not a URL such as https://c3.example.com',
        'C3_TELEGRAM_TOKEN is not a bot token: that is a number, a colon, and letters, digits, "-" or "_"',
        'C3_TELEGRAM_API contains a user name or a password, which a base URL must not',
        'C3_FORGES has a forge of kind "svn", but the kinds are: github, gitea, forgejo, gitlab',
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
    const allowed = { C3_ALLOW_REPOS: '**', ...env };
    expect(mistakesOf(allowed)).toMatchObject({ code: 'CONFIG_INVALID', message });
  });

  it.each([{}, { C3_ALLOW_REPOS: ' ' }])('requires the repositories to serve: %j', (env) => {
    expect(mistakesOf({ C3_SECRET: SECRET, ...env })).toMatchObject({ code: 'CONFIG_INVALID', message: NO_REPOS });
  });
});

describe('readSealingConfig', () => {
  it('requires only a secret', () => {
    expect(readSealingConfig({ C3_SECRET: SECRET, C3_UNKNOWN: 'x' }, {}, readFile)).toStrictEqual({
      secret: SECRET,
      url: 'http://localhost:8668',
    });
    expect(() => readSealingConfig({ C3_URL: 'x' }, {}, readFile)).toThrow(/^C3_SECRET is not set.*\nC3_URL is "x"/);
  });
});

describe('readForges', () => {
  const ghe = { kind: 'github', origin: 'https://ghe.example.com', apiBase: 'https://ghe.example.com/api/v3' };

  it('requires nothing, and knows github.com', () => {
    expect(readForges({ C3_UNKNOWN: 'x' }, {})).toMatchObject([{ origin: 'https://github.com' }]);
  });

  it('reads the flag, then the variable', () => {
    const env = { C3_FORGES: 'gitea=https://gitea.example.com' };
    expect(readForges(env, {})[1]).toMatchObject({ kind: 'gitea' });
    expect(readForges(env, { forges: 'github=https://ghe.example.com' })[1]).toEqual(ghe);
    expect(() => readForges({ C3_FORGES: 'x' }, {})).toThrow(/^C3_FORGES has the entry "x"/);
  });
});
