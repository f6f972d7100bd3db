import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { C3Error } from '../errors.ts';
import { formatScope, parseScope, type Scope } from './scope.ts';

describe('parseScope', () => {
  it.each([
    ['github.com/acme/shop', 'github.com/acme/shop'],
    ['https://GitHub.com/Acme/Shop.git', 'github.com/acme/shop'],
    ['http://127.0.0.1:3000/acme/shop/', '127.0.0.1:3000/acme/shop'],
    [' gitlab.com/acme/back-end/shop_2\n', 'gitlab.com/acme/back-end/shop_2'],
    ['github.com/acme/shop.js', 'github.com/acme/shop.js'],
    ['github.com/acme/shop.git.git', 'github.com/acme/shop'],
    ['github.com/acme/.github', 'github.com/acme/.github'],
  ])('reads %j as %s', (text, expected) => {
    expect(formatScope(parseScope(text))).toBe(expected);
  });

  it.each([
    '',
    'shop',
    'acme/shop',
    'github.com//shop',
    'github.com/acme/..',
    'github.com/../acme/shop',
    'github.com/./shop',
    'github.com/acme//shop',
    'github.com/acme/.git',
    'github.com/acme/shop?x=1',
    'github.com/acme/sh op',
    'github.com/acme/shop\nx',
    'user@github.com/acme/shop',
    '-github.com/acme/shop',
    'github.com:port/acme/shop',
    'github.com/acme/\u212Aube',
    `github.com/acme/${'a'.repeat(101)}`,
  ])('refuses %j', (text) => {
    expect(() => parseScope(text)).toThrow(
      expect.objectContaining({
        code: 'SCOPE_INVALID',
        message: `Repository "${text.slice(0, 120)}" is not of the form HOST/OWNER/NAME`,
        hint: 'for example github.com/acme/shop',
      }),
    );
  });

  it('refuses a long text quickly', () => {
    const slashes = '/'.repeat(5_000_000);
    expect(() => parseScope(`github.com${slashes}x`)).toThrow(expect.objectContaining({ code: 'SCOPE_INVALID' }));
  });

  it('parses what it formats to the same scope, and throws only SCOPE_INVALID', () => {
    const part = fc.stringMatching(/^[A-Za-z0-9._/:-]{0,12}$/);
    const text = fc.oneof(
      fc.string(),
      fc.array(part, { maxLength: 5 }).map((parts) => parts.join('/')),
    );
    fc.assert(
      fc.property(text, (given) => {
        const scope = parsed(given);
        expect(scope === 'SCOPE_INVALID' ? scope : parseScope(formatScope(scope))).toStrictEqual(scope);
      }),
    );
  });
});

function parsed(text: string): Scope | 'SCOPE_INVALID' {
  try {
    return parseScope(text);
  } catch (error) {
    if (error instanceof C3Error && error.code === 'SCOPE_INVALID') return error.code;
    throw error;
  }
}
