import { expect, test } from 'vitest';
import type { RestApi } from '../rest-api.ts';
import { listStatuses, setStatus } from './statuses.ts';

/** An API whose commit has so many statuses of other programs, and one of c3 as the oldest. */
function createApi(others: number): Pick<RestApi, 'get' | 'scope'> {
  const c3 = { context: 'c3/tag', state: 'success', description: 'passed in 8s (v1, build a)' };
  const all = [...Array.from({ length: others }, () => ({ context: 'x', state: 'success', description: '' })), c3];
  return {
    scope: { host: 'github.com', owner: 'acme', name: 'shop' },
    get(_path, _signal, options) {
      const page = Number(options?.query?.['page']);
      const body = Buffer.from(JSON.stringify(all.slice((page - 1) * 100, page * 100)));
      return Promise.resolve({ status: 200, headers: {}, mediaType: 'application/json', body, isCut: false });
    },
  };
}

async function list(others: number): Promise<unknown[]> {
  return await Array.fromAsync(
    listStatuses(createApi(others) as RestApi, 'a'.repeat(40), new AbortController().signal),
  );
}

test('statuses of other programs do not hide those of c3', async () => {
  expect(await list(0)).toHaveLength(1);
  expect(await list(2_900)).toHaveLength(1);
  await expect(list(3_000)).rejects.toMatchObject({
    code: 'FORGE_REFUSED',
    message: 'aaaaaaaaaaaa in github.com/acme/shop has more than 3000 statuses: c3 cannot tell whether it was built',
  });
});

test('a status beyond the limit of the forge is an error that quotes the forge', async () => {
  const error = 'This SHA and context has reached the maximum number of statuses.';
  const body = Buffer.from(JSON.stringify({ message: 'Validation Failed', errors: [{ message: error }] }));
  const api = {
    ...createApi(0),
    send: () => Promise.resolve({ status: 422, headers: {}, mediaType: 'application/json', body, isCut: false }),
  } as unknown as RestApi;
  const status = { context: 'c3/push', state: 'failure', description: 'failed' } as const;
  await expect(setStatus(api, 'a'.repeat(40), { status, signal: new AbortController().signal })).rejects.toMatchObject({
    code: 'STATUS_LIMIT',
    message: `The status of aaaaaaaaaaaa in github.com/acme/shop stays as it is: the forge answers 422 "Validation Failed: ${error}"`,
  });
});
