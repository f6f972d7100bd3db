import { expect, it } from 'vitest';

import { matchRepo } from './match-repo.ts';

it.each([
  ['**', 'github.com/acme/shop'],
  ['github.com/acme/shop', 'github.com/acme/shop'],
  ['github.com/acme/*', 'github.com/acme/shop'],
  ['github.com/*/shop', 'github.com/acme/shop'],
  ['*/acme/sh*', '127.0.0.1:3000/acme/shop'],
  ['gitlab.com/acme/**', 'gitlab.com/acme/back/end/shop'],
])('%s matches %s', (glob, scope) => {
  expect(matchRepo([glob], scope)).toBe(true);
});

it.each([
  ['github.com/acme/*', 'gitlab.com/acme/back/shop'],
  ['gitlab.com/acme/*', 'gitlab.com/acme/back/shop'],
  ['github.com/acme/*', 'github.com/acme-evil/shop'],
  ['github.com/acme/*', 'xgithub.com/acme/shop'],
  ['github.com/acme/shop', 'github.com/acme/shop2'],
  ['github.com/acme/*', 'githubxcom/acme/shop'],
])('%s does not match %s', (glob, scope) => {
  expect(matchRepo([glob], scope)).toBe(false);
});

it('matches if any glob matches, and matches nothing without a glob', () => {
  expect(matchRepo(['github.com/a/*', 'github.com/b/*'], 'github.com/b/c')).toBe(true);
  expect(matchRepo([], 'github.com/b/c')).toBe(false);
});
