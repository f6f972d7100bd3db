import { describe, expect, test } from 'vitest';

import { parsePipeline, type Problem } from '../index.ts';

function lint(when: Record<string, string>): readonly Problem[] {
  const source = {
    k8s: 'aa.aXY.Y3Q.dGFn',
    job: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'demo' }, spec: { containers: [{ name: 'c' }] } },
    checkout: false,
    steps: [{ c: 'make', when }],
  };
  return parsePipeline(JSON.stringify(source)).problems;
}

const GLOBS = 'c3 reads globs, not regular expressions';

describe('a glob for names', () => {
  test.each([
    ['^main$', `git does not allow "^" in a name; ${GLOBS}: write main`],
    ['^main', `git does not allow "^" in a name; ${GLOBS}: write main`],
    ['!^main$', `git does not allow "^" in a name; ${GLOBS}: write !main`],
    ['^(main|dev)$', `git does not allow "^" in a name; ${GLOBS}`],
    ['/^v\\d+/', `git does not allow "^" in a name; ${GLOBS}`],
    ['release/.*', `git does not allow "." at the start of a name or after "/"; ${GLOBS}`],
    ['.*', `git does not allow "." at the start of a name or after "/"; ${GLOBS}`],
    ['a b', `git does not allow " " in a name; ${GLOBS}`],
    ['a~1', `git does not allow "~" in a name; ${GLOBS}`],
    ['origin:main', `git does not allow ":" in a name; ${GLOBS}`],
    ['a..b', `git does not allow ".." in a name; ${GLOBS}`],
    ['a\\\\b', `git does not allow "\\" in a name; ${GLOBS}`],
    ['a\\*', `git does not allow "*" in a name; ${GLOBS}`],
  ])('%j never matches', (glob, hint) => {
    for (const key of ['branch', 'tag']) {
      expect(lint({ [key]: glob })).toMatchObject([
        { severity: 'error', message: `when.${key} has a glob that never matches`, hint },
      ]);
    }
    expect(lint({ path: glob }).every(({ message }) => !message.includes('git'))).toBe(true);
  });

  test.each([
    'v\\d+',
    'feature.*',
    'release-.*',
    'v.+',
    'v[0-9]+.[0-9]+',
    'v[0-9]{2}',
    'main$',
    '(main|dev)',
    '{^a,b}$',
  ])('%j looks like a regular expression', (glob) => {
    expect(lint({ tag: glob })).toMatchObject([
      {
        severity: 'warning',
        message: 'when.tag has a glob that looks like a regular expression',
        hint: `${GLOBS}: write "*" for any characters, and "{a,b}" for one of several`,
      },
    ]);
  });

  test.each([
    'main',
    'v1.*',
    'v*.*.*',
    'v[0-9]*',
    '[!.]*',
    '[^v]*',
    '**',
    '!dependabot/**',
    'feature/{a,b}',
    '\\!important',
    'a+b',
    '1.2.3+build',
    'with(parentheses)',
  ])('%j is a glob', (glob) => {
    expect(lint({ branch: glob })).toEqual([]);
  });
});

describe('a glob for paths', () => {
  test.each(['^src/**', 'src/.*\\.js', 'src/.+', '(a|b)/c', 'a\\w', '\\.js$'])(
    '%j looks like a regular expression',
    (glob) => {
      expect(lint({ path: glob })).toMatchObject([{ severity: 'warning' }]);
    },
  );

  test.each(['src/.*', '.github/**', 'app/(shop)/[id]/*', 'a b/*', 'src/+page.ts', 'odd\\*name', 'a:b', 'a^b'])(
    '%j is a glob',
    (glob) => {
      expect(lint({ path: glob })).toEqual([]);
    },
  );
});
