import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { answerJson, createFakeApiServer, type FakeApiServer } from '../../test/contract/fake-api-server.ts';
import { toPod } from './api-types.ts';
import { createClient, type KubeClient } from './client.ts';
import { hearStarts } from './container-starts.ts';

let server: FakeApiServer;
let client: KubeClient;

beforeAll(async () => {
  server = await createFakeApiServer();
  client = createClient(server.access);
});
afterAll(async () => {
  await client.close();
  await server.close();
});

/** Whether it hears of the start of "main" and "git". */
async function hear(answer: (response: ServerResponse) => void): Promise<boolean> {
  let path = '';
  server.onRequest = (request, response) => {
    path = decodeURIComponent(request.url ?? '');
    answer(response);
  };
  const stop = new AbortController();
  const pod = { namespace: 'ci', uid: 'u', containerNames: ['main', 'git'] };
  const hasStarted = await hearStarts(client, pod, stop.signal);
  stop.abort();
  expect(path).toContain('/api/v1/namespaces/ci/events?watch=true&fieldSelector=involvedObject.uid=u,reason=Started&');
  return hasStarted;
}

function line(container: string, type = 'ADDED'): string {
  return `${JSON.stringify({ type, object: { reason: 'Started', involvedObject: { fieldPath: container } } })}\n`;
}

test('that all containers of a Pod have started is heard as soon as the last has', async () => {
  expect(
    await hear((response) => {
      response.write(line('spec.containers{git}'));
      response.write(line('spec.containers{git}'));
      response.write(line('spec.containers{main}'));
    }),
  ).toBe(true);
});

test.each<[string, (response: ServerResponse) => void]>([
  ['not all of them have', (response) => response.end(line('spec.containers{main}'))],
  [
    'another container has, or an init container',
    (response) =>
      response.end(
        line('spec.containers{main}') + line('spec.initContainers{git}') + line('spec.containers{gits}') + line(''),
      ),
  ],
  [
    'the Event is gone again',
    (response) => response.end(line('spec.containers{main}') + line('spec.containers{git}', 'DELETED')),
  ],
  ['the watch is refused', (response) => answerJson(response, 403, { message: 'events is forbidden' })],
  ['it is cut', (response) => void response.write(line('spec.containers{main}'), () => response.destroy())],
  [
    'it makes no sense',
    (response) => response.end('{}\nnull\n{"type":"ADDED"}\nno JSON\n' + line('spec.containers{main}')),
  ],
])('nothing is heard where %s', async (_what, answer) => {
  expect(await hear(answer)).toBe(false);
});

test.each<[boolean, object]>([
  [true, {}],
  [true, { livenessProbe: {}, lifecycle: { preStop: {} } }],
  [false, { readinessProbe: {} }],
  [false, { startupProbe: {} }],
  [false, { lifecycle: { postStart: {} } }],
])('that a Pod can be used once it has started is %s of one with %j', (expected, container) => {
  const spec = { containers: [{ name: 'main' }, { name: 'db', ...container }] };
  expect(toPod({ spec }).isReadyOnceStarted).toBe(expected);
});
