import { describe, expect, it } from 'vitest';

import {
  matchGlob,
  parseBaseUrl,
  parseCount,
  parseForges,
  parseNets,
  parseJobGlobs,
  parsePodPolicy,
  parsePort,
  parseRepoGlobs,
  parseTelegramChat,
} from './parse-values.ts';

const GITHUB = { kind: 'github', origin: 'https://github.com', apiBase: 'https://api.github.com' };

describe('parseForges', () => {
  it.each([
    ['', [GITHUB]],
    [
      'github=https://ghe.example.com',
      [GITHUB, { kind: 'github', origin: 'https://ghe.example.com', apiBase: 'https://ghe.example.com/api/v3' }],
    ],
    [
      ' github=https://GHE.example.com/|https://api.example.com/v3/ ,github=http://127.0.0.1:3000',
      [
        GITHUB,
        { kind: 'github', origin: 'https://ghe.example.com', apiBase: 'https://api.example.com/v3' },
        { kind: 'github', origin: 'http://127.0.0.1:3000', apiBase: 'http://127.0.0.1:3000/api/v3' },
      ],
    ],
    [
      'gitlab=https://gitlab.com',
      [GITHUB, { kind: 'gitlab', origin: 'https://gitlab.com', apiBase: 'https://gitlab.com/api/v4' }],
    ],
    ['github=https://github.com', [GITHUB]],
    [
      'github=https://github.com|http://127.0.0.1:9/api',
      [{ kind: 'github', origin: 'https://github.com', apiBase: 'http://127.0.0.1:9/api' }],
    ],
  ])('reads %j', (text, expected) => {
    expect(parseForges(text)).toStrictEqual({ value: expected });
  });

  it.each([
    ['github', 'has the entry "github", which is not of the form kind=origin or kind=origin|apibase'],
    ['github=https://a.example,', 'has the entry "", which is not of the form kind=origin or kind=origin|apibase'],
    ['svn=https://svn.example', 'has a forge of kind "svn", but the kinds are: github, gitea, forgejo, gitlab'],
    ['github=', 'has an entry whose origin is "", not a URL such as https://c3.example.com'],
    [
      'github=ssh://a.example',
      'has an entry whose origin is "ssh://a.example", not a URL such as https://c3.example.com',
    ],
    ['github=https://a.example/x', 'has an entry whose origin is "https://a.example/x", but an origin has no path'],
    ['github=https://a.example|x', 'has an entry whose API base is "x", not a URL such as https://c3.example.com'],
    [
      'https://me:pass@a.example',
      'has the entry "https://***@a.example", which is not of the form kind=origin or kind=origin|apibase',
    ],
    ['github=https://a.example,github=http://a.example', 'names a.example twice'],
  ])('refuses %j', (text, mistake) => {
    expect(parseForges(text)).toStrictEqual({ mistake });
  });
});

describe('parsePort', () => {
  it.each([
    ['0', 0],
    ['65535', 65_535],
  ])('reads %s', (text, value) => {
    expect(parsePort(text)).toStrictEqual({ value });
  });

  it.each(['65536', '-1', '1.5', '1e3', '0x50'])('refuses %s', (text) => {
    expect(parsePort(text)).toStrictEqual({ mistake: `is "${text}", not a port from 0 to 65535` });
  });
});

describe('parseBaseUrl', () => {
  it.each([
    ['https://a.example?x=1', 'is "https://a.example?x=1", but a base URL has no query and no fragment'],
    ['https://a.example/#', 'is "https://a.example/#", but a base URL has no query and no fragment'],
    ['file:///etc', 'is "file:///etc", not a URL such as https://c3.example.com'],
  ])('refuses %s', (text, mistake) => {
    expect(parseBaseUrl(text)).toStrictEqual({ mistake });
  });
});

describe('parseTelegramChat', () => {
  it.each(['0', 'builds', '@x', '-100/0', '1/2/3', '1/@a'])('refuses %s', (text) => {
    expect(parseTelegramChat(text)).toStrictEqual({
      mistake: `is "${text}", not a chat such as -100123, -100123/45 (with a topic) or @name`,
    });
  });
});

describe('parseRepoGlobs', () => {
  it('reads globs in any case', () => {
    expect(parseRepoGlobs('GitHub.com/Acme/*, **/shop')).toStrictEqual({ value: ['github.com/acme/*', '**/shop'] });
  });

  it.each(['', 'github.com/acme/*,', 'github.com/acme/[ab]'])('refuses %j', (text) => {
    const entry = text.endsWith(']') ? text : '';
    expect(parseRepoGlobs(text)).toStrictEqual({
      mistake: `has the entry "${entry}", which is not a glob of HOST/OWNER/NAME`,
    });
  });
});

describe('parseNets', () => {
  it.each([
    ['', []],
    ['10.0.0.0/8', ['10.0.0.0/8']],
    [' 10.0.0.0/8 , fd00::/8,192.0.2.1,::1 ', ['10.0.0.0/8', 'fd00::/8', '192.0.2.1/32', '::1/128']],
    ['0.0.0.0/0', ['0.0.0.0/0']],
  ])('reads %j', (text, value) => {
    expect(parseNets(text)).toStrictEqual({ value });
  });

  it.each([
    '10.0.0.0/33',
    '10.0/8',
    'fd00::/129',
    'localhost',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
    'a,',
    '/8',
  ])('refuses %j', (text) => {
    const [entry = ''] = text.split(',');
    expect(parseNets(text)).toStrictEqual({
      mistake: `has the entry "${entry}", which is not a network such as 10.0.0.0/8 or fd00::/8`,
    });
  });

  it('refuses an empty entry among others', () => {
    expect(parseNets('10.0.0.0/8,')).toHaveProperty('mistake');
  });
});

describe('parsePodPolicy', () => {
  it.each(['tenant', 'baseline', 'restricted'] as const)('reads %s', (value) => {
    expect(parsePodPolicy(value)).toStrictEqual({ value });
  });

  it.each(['privileged', 'Restricted', 'none'])('refuses %s', (text) => {
    expect(parsePodPolicy(text)).toStrictEqual({ mistake: `is "${text}", not one of tenant, baseline, restricted` });
  });
});

describe('parseJobGlobs', () => {
  it.each([
    ['', []],
    [' secret/npm-* ,serviceaccount/deployer', ['secret/npm-*', 'serviceaccount/deployer']],
  ])('reads %j', (text, value) => {
    expect(parseJobGlobs(text)).toStrictEqual({ value });
  });

  it.each(['deployer', 'configmap/a', 'secret/', 'secret/a/b', 'secret/A'])('refuses %s', (text) => {
    expect(parseJobGlobs(text)).toStrictEqual({
      mistake: `has the entry "${text}", which is not a glob of serviceaccount/NAME or secret/NAME`,
    });
  });
});

describe('parseCount', () => {
  it.each([
    ['1', 1],
    ['999999', 999_999],
  ])('reads %s', (text, value) => {
    expect(parseCount(text)).toStrictEqual({ value });
  });

  it.each(['0', '-1', '1.5', '1e3', '1000000', '01'])('refuses %s', (text) => {
    expect(parseCount(text)).toStrictEqual({ mistake: `is "${text}", not a whole number from 1 to 999999` });
  });
});

describe('matchGlob', () => {
  it.each([
    ['**', 'github.com/acme/shop'],
    ['github.com/acme/shop', 'github.com/acme/shop'],
    ['github.com/acme/*', 'github.com/acme/shop'],
    ['github.com/*/shop', 'github.com/acme/shop'],
    ['*/acme/sh*', '127.0.0.1:3000/acme/shop'],
    ['gitlab.com/acme/**', 'gitlab.com/acme/back/end/shop'],
  ])('matches %s and %s', (glob, scope) => {
    expect(matchGlob([glob], scope)).toBe(true);
  });

  it.each([
    ['github.com/acme/*', 'gitlab.com/acme/back/shop'],
    ['gitlab.com/acme/*', 'gitlab.com/acme/back/shop'],
    ['github.com/acme/*', 'github.com/acme-evil/shop'],
    ['github.com/acme/*', 'xgithub.com/acme/shop'],
    ['github.com/acme/shop', 'github.com/acme/shop2'],
    ['github.com/acme/*', 'githubxcom/acme/shop'],
  ])('does not match %s and %s', (glob, scope) => {
    expect(matchGlob([glob], scope)).toBe(false);
  });

  it('matches if any glob matches, and never without a glob', () => {
    expect(matchGlob(['github.com/a/*', 'github.com/b/*'], 'github.com/b/c')).toBe(true);
    expect(matchGlob([], 'github.com/b/c')).toBe(false);
  });
});
