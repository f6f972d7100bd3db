import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { checkCredentials, refuseExpired } from './credential-expiry.ts';
import { parseKubeconfig } from './kubeconfig.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const DAY_MS = 86_400_000;

function kubeconfig(user: object): string {
  return stringify({
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    clusters: [{ name: 'a', cluster: { server: 'https://k8s.example.com' } }],
    users: [{ name: 'a', user }],
  });
}

function toToken(claims: object): string {
  return ['{"alg":"RS256"}', JSON.stringify(claims), 'x']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');
}

async function toCertificate(notAfterDate: Date): Promise<object> {
  const { cert, private: key } = await generate(undefined, {
    keyType: 'ec',
    notBeforeDate: new Date(NOW - 400 * DAY_MS),
    notAfterDate,
  });
  const [certificate, data] = [cert, key].map((pem) => Buffer.from(pem).toString('base64'));
  return { 'client-certificate-data': certificate, 'client-key-data': data };
}

test.each([
  [
    'a token of Kubernetes that expired',
    { exp: NOW / 1_000 - 3_600 },
    'expired at 2026-05-31T23:00:00Z: builds with it fail',
  ],
  ['a token that expires later', { exp: NOW / 1_000 + 3_600 }, 'expires at 2026-06-01T01:00:00Z: later builds fail'],
  ['a token that does not expire', { sub: 'system:serviceaccount:ci:c3' }, undefined],
  ['a token with another "exp"', { exp: 'soon' }, undefined],
])('%s', (_what, claims, expected) => {
  const text = kubeconfig({ token: toToken(claims) });
  expect(checkCredentials(text, NOW)).toEqual(
    expected === undefined ? [] : [`the token of this kubeconfig ${expected}`],
  );
});

test('a token without claims is not reported', () => {
  expect(checkCredentials(kubeconfig({ token: 'abc.def' }), NOW)).toEqual([]);
});

test.each([
  [-1, 'expired at 2026-05-31T00:00:00Z: builds with it fail'],
  [10, 'expires at 2026-06-11T00:00:00Z: later builds fail'],
  [300, undefined],
])('a client certificate that ends in %i days', async (days, expected) => {
  const text = kubeconfig(await toCertificate(new Date(NOW + days * DAY_MS)));
  expect(checkCredentials(text, NOW)).toEqual(
    expected === undefined ? [] : [`the client certificate of this kubeconfig ${expected}`],
  );
});

test('what a build would refuse is reported', () => {
  expect(checkCredentials(kubeconfig({ exec: { command: 'aws' } }), NOW)).toEqual([
    expect.stringMatching(/^a build would refuse this kubeconfig: .*exec would run a program/),
  ]);
});

test('a build with expired credentials ends with the time, after five minutes for the clocks', () => {
  const access = parseKubeconfig(kubeconfig({ token: toToken({ exp: NOW / 1_000 }) }));
  expect(() => refuseExpired(access, NOW + 299_000)).not.toThrow();
  expect(() => refuseExpired(access, NOW + 301_000)).toThrow(
    'the token of the kubeconfig expired at 2026-06-01T00:00:00Z',
  );
});
