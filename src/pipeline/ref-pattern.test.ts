import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRef } from '../build/index.ts';
import { checkRefPattern, findRefMistake, matchesRef } from './ref-pattern.ts';

const PREFIX = 'must be refs/heads/ or refs/tags/ and a name';
const HIDDEN = 'contains a space, an invisible character or a single quote; "?" matches any one character';

describe('findRefMistake', () => {
  it.each(['refs/heads/main', 'refs/tags/v*', 'refs/heads/**', 'refs/heads/{main,release/*}', 'refs/heads/größe'])(
    'finds none in %s',
    (pattern) => {
      expect(findRefMistake(pattern)).toBeUndefined();
    },
  );

  it.each([
    ['', PREFIX],
    ['main', PREFIX],
    ['refs/heads/', PREFIX],
    ['refs/tags/', PREFIX],
    ['refs/*/main', PREFIX],
    ['refs/{heads,tags}/v1', PREFIX],
    ['refs/head?/main', PREFIX],
    ['**', PREFIX],
    ['!refs/heads/main', PREFIX],
    ['Refs/heads/main', PREFIX],
    [' refs/heads/main', PREFIX],
    ['refs/heads/main ', HIDDEN],
    ['refs/heads/main\n', HIDDEN],
    ['refs/heads/a\u00a0b', HIDDEN],
    ['refs/heads/a\u200db', HIDDEN],
    ['refs/heads/\u202emain', HIDDEN],
    ['refs/heads/a\ud800', HIDDEN],
    ["refs/heads/it's", HIDDEN],
    ['refs/heads/{a', 'has an invalid glob: its "{" is not closed'],
    ['refs/heads/[a', 'has an invalid glob: its "[" is not closed'],
    [`refs/heads/${'a'.repeat(246)}`, 'has an invalid glob: it is longer than 256 characters'],
  ])('finds one in %j', (pattern, mistake) => {
    expect(findRefMistake(pattern)).toBe(mistake);
  });
});

describe('checkRefPattern', () => {
  it.each([
    ['main', 'write refs/heads/main'],
    ['release/*', 'write refs/heads/release/*'],
    ['heads/main', 'write refs/heads/main'],
    ['/refs/heads/main', 'write refs/heads/main'],
    [' refs/heads/main ', 'write refs/heads/main'],
    ['branch/x', 'write refs/heads/x'],
    ['v*', 'write refs/tags/v*'],
    ['v1.2', 'write refs/tags/v1.2'],
    ['tags/v1', 'write refs/tags/v1'],
    ['vendor', 'write refs/heads/vendor'],
    ['a b', 'for example refs/heads/main or refs/tags/v*'],
    ['', 'for example refs/heads/main or refs/tags/v*'],
  ])('says what is probably meant by %j', (pattern, hint) => {
    expect(() => checkRefPattern(pattern, 'k8s')).toThrow(expect.objectContaining({ code: 'USAGE_INVALID', hint }));
  });

  it('says in one sentence what is wrong', () => {
    expect(() => checkRefPattern('main', 'k8s')).toThrow('Ref "main" must be refs/heads/ or refs/tags/ and a name');
  });

  it('refuses a pattern that git allows no ref for, such as a regular expression', () => {
    expect(() => checkRefPattern('refs/heads/^main$', 'k8s')).toThrow(
      expect.objectContaining({
        message: 'Ref "refs/heads/^main$" can match no branch and no tag',
        hint: 'git does not allow "^" in a name; c3 reads globs, not regular expressions: write main',
      }),
    );
  });

  it('refuses a ref for a hook key, even a correct one', () => {
    expect(() => checkRefPattern('refs/heads/main', 'hook')).toThrow(
      'A hook key cannot be sealed for a ref: its webhook reports every push',
    );
  });

  it('accepts a value for all refs', () => {
    expect(() => checkRefPattern(undefined, 'hook')).not.toThrow();
  });
});

describe('matchesRef', () => {
  it.each([
    ['refs/heads/main', 'refs/heads/main'],
    ['refs/heads/*', 'refs/heads/main'],
    ['refs/heads/**', 'refs/heads/a/b/c'],
    ['refs/heads/release/**', 'refs/heads/release/1/2'],
    ['refs/tags/v*', 'refs/tags/v1.0'],
    ['refs/heads/{main,release/*}', 'refs/heads/release/1'],
    ['refs/heads/**', 'refs/heads/refs/tags/v1'],
  ])('%s matches %s', (pattern, ref) => {
    expect(matchesRef(pattern, parseRef(ref) ?? fail())).toBe(true);
  });

  it.each([
    ['refs/heads/main', 'refs/tags/main'],
    ['refs/heads/main', 'refs/heads/Main'],
    ['refs/heads/main', 'refs/heads/main2'],
    ['refs/heads/main', 'refs/heads/x/main'],
    ['refs/heads/main', 'refs/tags/refs/heads/main'],
    ['refs/heads/main', 'refs/heads/refs/heads/main'],
    ['refs/heads/main', 'refs/heads/m\u0430in'],
    ['refs/heads/größe', 'refs/heads/gro\u0308ße'],
    ['refs/heads/*', 'refs/heads/a/b'],
    ['refs/tags/v*', 'refs/tags/v1/x'],
    ['refs/tags/v*', 'refs/heads/refs/tags/v1'],
    ['refs/heads/{a,b}', 'refs/heads/{a,b}'],
    ['refs/heads/**', 'refs/tags/x'],
  ])('%s does not match %s', (pattern, ref) => {
    expect(matchesRef(pattern, parseRef(ref) ?? fail())).toBe(false);
  });

  it('matches no tag with a pattern for branches, whatever the glob and the name are', () => {
    const part = fc.stringMatching(/^[a-z*?/{}[\]\\,!-]{1,12}$/);
    fc.assert(
      fc.property(part, part, (glob, name) => {
        fc.pre(findRefMistake(`refs/heads/${glob}`) === undefined);
        expect(matchesRef(`refs/heads/${glob}`, { kind: 'tag', name })).toBe(false);
      }),
    );
  });

  it('does not match when no work is left', () => {
    const work = { left: 100 };
    expect(matchesRef('refs/heads/main', { kind: 'branch', name: 'main' }, work)).toBe(true);
    for (let i = 0; i < 5; i++) matchesRef('refs/heads/main', { kind: 'branch', name: 'main' }, work);
    expect(matchesRef('refs/heads/main', { kind: 'branch', name: 'main' }, work)).toBe(false);
  });
});

function fail(): never {
  throw new Error('not a ref');
}
