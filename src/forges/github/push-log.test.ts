import { expect, test } from 'vitest';
import { C3Error, type ErrorCode } from '../../errors.ts';
import type { RestApi } from '../rest-api.ts';
import { proofCalls } from './prove.ts';

const [FIRST, SECOND, THIRD] = ['a', 'b', 'c'].map((digit) => digit.repeat(40));
const MAIN = { kind: 'branch', name: 'main' } as const;
const LOG = [
  { ref: 'refs/heads/dev', before: FIRST, after: THIRD },
  { ref: 'refs/heads/main', before: FIRST, after: SECOND },
  { ref: 'refs/heads/main', before: '0'.repeat(40), after: FIRST },
];

function createApi(status: number, body: unknown, fault?: ErrorCode): RestApi {
  return {
    scope: { host: 'github.com', owner: 'acme', name: 'shop' },
    get() {
      if (fault) return Promise.reject(new C3Error(fault, 'no'));
      const bytes = Buffer.from(JSON.stringify(body));
      return Promise.resolve({ status, mediaType: 'application/json', body: bytes, isCut: false });
    },
    send: () => Promise.reject(new Error('it only reads')),
  };
}

test.each([
  ['a push', createApi(200, LOG), SECOND, { before: FIRST }],
  ['a new branch', createApi(200, LOG), FIRST, { before: undefined }],
  ['a push to another branch', createApi(200, LOG), THIRD, undefined],
  ['a forge without the log', createApi(404, LOG), SECOND, undefined],
  ['a forge that does not answer', createApi(200, LOG, 'FORGE_UNREACHABLE'), SECOND, undefined],
])('the log of pushes tells what the branch pointed at before %s', async (_, api, sha = '', expected) => {
  expect(await proofCalls.readPush(api, { ref: MAIN, sha }, new AbortController().signal)).toEqual(expected);
});

test('a token that the forge does not accept is a fault', async () => {
  const push = proofCalls.readPush(
    createApi(200, LOG, 'FORGE_UNAUTHORIZED'),
    { ref: MAIN, sha: '' },
    new AbortController().signal,
  );
  await expect(push).rejects.toMatchObject({ code: 'FORGE_UNAUTHORIZED' });
});
