import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseScope } from '../sealing/scope.ts';
import { createForges, type Forges } from './index.ts';

let forges: Forges;

beforeEach(() => {
  forges = createForges([
    { kind: 'github', origin: 'https://github.com', apiBase: 'https://api.github.com' },
    { kind: 'github', origin: 'https://GHE.example.com:8443', apiBase: 'https://ghe.example.com:8443/api/v3' },
    { kind: 'gitlab', origin: 'https://gitlab.com', apiBase: 'https://gitlab.com/api/v4' },
  ]);
});

afterEach(async () => {
  await forges.close();
});

test.each(['github.com', 'ghe.example.com:8443', 'gitlab.com'])('a scope on %s has its forge', (host) => {
  expect(forges.forgeFor(parseScope(`${host}/Acme/Shop`)).host).toBe(host);
});

test.each(['git.example.com', 'ghe.example.com', 'api.github.com', 'github.com:8443'])(
  'a scope on %s is refused, and the hint names the setting',
  (host) => {
    expect(() => forges.forgeFor(parseScope(`${host}/acme/shop`))).toThrow(
      expect.objectContaining({
        code: 'SCOPE_REFUSED',
        message: `${host}/acme/shop is on a forge that this c3 does not serve`,
        hint: 'it serves github.com, ghe.example.com:8443, gitlab.com; the operator adds others in C3_FORGES',
      }),
    );
  },
);
