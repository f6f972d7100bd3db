import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { HttpResponse } from './http-client.ts';
import { createPatientClient, PAUSES_MS, type PatientClient, type PatientRequest, USED } from './patient-client.ts';

const CALL: PatientRequest = { method: 'GET', repository: 'acme/shop', path: '/x', headers: {}, maxBytes: 100 };
const LATE: PatientRequest = { ...CALL, isLate: ({ status }) => status === 404 };
const { signal } = new AbortController();

interface Setup {
  readonly client: PatientClient;
  /** The statuses of the next responses. The last one repeats. */
  statuses: number[];
  readonly count: () => number;
  readonly answered: () => number;
  /** The most requests at the same time, of those sent after the first response. */
  readonly most: () => number;
}

function setup({ isConfirmed = true, pausesMs = [1, 1, 1, 1, 1] } = {}): Setup {
  let count = 0;
  let open = 0;
  let most = 0;
  let answered = 0;
  const made: Setup = {
    statuses: [200],
    count: () => count,
    answered: () => answered,
    most: () => most,
    client: createPatientClient(
      {
        async send(): Promise<HttpResponse> {
          count += 1;
          open += 1;
          if (answered > 0) most = Math.max(most, open);
          await setImmediate();
          answered += 1;
          open -= 1;
          const status = (made.statuses.length > 1 ? made.statuses.shift() : made.statuses[0]) ?? 200;
          return { status, mediaType: '', body: Buffer.alloc(0), isCut: false };
        },
      },
      { pausesMs, isConfirmed: () => isConfirmed },
    ),
  };
  return made;
}

async function statusOf(client: PatientClient, request = CALL): Promise<number> {
  return (await client.send(request, signal)).status;
}

test('the pauses are 1, 7, 15 or 30 seconds together', () => {
  const sums = Object.entries(USED).map(([name, count]) => [
    name,
    PAUSES_MS.slice(0, count).reduce((sum, pauseMs) => sum + pauseMs, 0) / 1000,
  ]);
  expect(Object.fromEntries(sums)).toEqual({ unconfirmed: 1, refused: 7, late: 15, refusedLater: 30 });
});

test('a single 401 is not the last word', async () => {
  const made = setup();
  made.statuses = [401, 200];
  expect(await statusOf(made.client)).toBe(200);
  expect(made.count()).toBe(2);
});

test.each([
  ['that was never accepted, three times', [401], 4],
  ['that was accepted before, five times', [200, 401], 7],
])('asks again for a refused token %s, and then no more', async (_, statuses, count) => {
  const made = setup();
  made.statuses = statuses;
  if (statuses[0] === 200) await statusOf(made.client);
  expect(await statusOf(made.client)).toBe(401);
  expect(made.count()).toBe(count);
  expect(await statusOf(made.client)).toBe(401);
  expect(made.count()).toBe(count + 1);
  made.statuses = [200, 401, 200];
  await statusOf(made.client);
  expect(await statusOf(made.client)).toBe(200);
});

test.each([
  ['401', CALL, 401],
  ['a late answer', LATE, 404],
])(
  'asks once more after %s for a token that is not confirmed, even after a good answer (A12)',
  async (_, call, last) => {
    const made = setup({ isConfirmed: false });
    await statusOf(made.client);
    made.statuses = [last];
    expect(await statusOf(made.client, call)).toBe(last);
    expect(made.count()).toBe(3);
  },
);

test('asks again four times while the answer may be late', async () => {
  const made = setup();
  made.statuses = [404];
  expect(await statusOf(made.client, LATE)).toBe(404);
  expect(made.count()).toBe(5);
  made.statuses = [404, 401, 404, 200];
  expect(await statusOf(made.client, LATE)).toBe(200);
  expect(made.count()).toBe(9);
});

test('the request decides how often its answer may be late, and by default it never is', async () => {
  const made = setup();
  made.statuses = [404];
  expect(await statusOf(made.client)).toBe(404);
  expect(made.count()).toBe(1);
  expect(await statusOf(made.client, { ...CALL, isLate: (_, tries) => tries < 2 })).toBe(404);
  expect(made.count()).toBe(4);
});

test('after 401 it sends one request at a time, and the requests that wait share its verdict', async () => {
  const made = setup();
  made.statuses = [401];
  const refused = await Promise.all(Array.from({ length: 8 }, () => statusOf(made.client)));
  expect(new Set(refused)).toEqual(new Set([401]));
  expect(made.count()).toBe(8 + USED.refused);
  const other = setup();
  other.statuses = [401, 401, 401, 401, 200];
  const accepted = await Promise.all(Array.from({ length: 4 }, () => statusOf(other.client)));
  expect(accepted).toEqual([200, 200, 200, 200]);
  expect(other.count()).toBe(8);
  expect([made.most(), other.most()]).toEqual([1, 1]);
});

test.each([
  ['401', 401],
  ['a late answer', 404],
])('an aborted call throws the reason during the pause after %s', async (_, status) => {
  const made = setup({ pausesMs: [60_000] });
  made.statuses = [status];
  const controller = new AbortController();
  const calls = [made.client.send(LATE, controller.signal), made.client.send(LATE, controller.signal)];
  await expect.poll(made.answered).toBe(2);
  await setImmediate();
  controller.abort(new Error('cancelled'));
  for (const call of calls) await expect(call).rejects.toThrow('cancelled');
});
