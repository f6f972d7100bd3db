import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { answerJson, createFakeApiServer, type FakeApiServer } from '../../test/contract/fake-api-server.ts';
import { toPod } from './api-types.ts';
import { createClient, type KubeClient } from './client.ts';
import { createContainerStarts, type ContainerStarts } from './container-starts.ts';

const NEVER = new AbortController().signal;

let server: FakeApiServer;
let client: KubeClient;
let starts: ContainerStarts;
/** What came in, and who waits for more of it. */
let watches: ServerResponse[];
/** The path and query of the last. */
let asked: string;
/** What the next are answered with. */
let answer: (response: ServerResponse) => void;

beforeAll(async () => {
  server = await createFakeApiServer();
  client = createClient(server.access);
});
afterAll(async () => {
  await client.close();
  await server.close();
});
beforeEach(() => {
  starts = createContainerStarts(client);
  [watches, answer] = [[], (response) => response.writeHead(200).flushHeaders()];
  server.onRequest = (request, response) => {
    asked = decodeURIComponent(request.url ?? '');
    watches.push(response);
    answer(response);
  };
});

async function hear(uid = 'u', signal: AbortSignal = NEVER, namespace = 'ci'): Promise<boolean> {
  return await starts.hear({ namespace, uid, containerNames: ['main', 'git'] }, signal);
}
function line(container: string, uid = 'u', type = 'ADDED'): string {
  const involvedObject = { kind: 'Pod', uid, fieldPath: container };
  return `${JSON.stringify({ type, object: { reason: 'Started', involvedObject } })}\n`;
}
const MAIN = line('spec.containers{main}');
const GIT = line('spec.containers{git}');

async function untilClosed(response: ServerResponse | undefined): Promise<void> {
  await expect.poll(() => response?.destroyed).toBe(true);
}

test('that all containers of a Pod have started is heard as soon as the last has, and then the watch is over', async () => {
  answer = (response) => void response.write(GIT + GIT + line('spec.containers{main}', 'v') + MAIN);
  expect(await hear()).toBe(true);
  await untilClosed(watches[0]);
  const selector = 'involvedObject.kind=Pod,reason=Started';
  expect(asked).toMatch(`/api/v1/namespaces/ci/events?watch=true&fieldSelector=${selector}&timeoutSeconds=`);
});

test.each<[string, (response: ServerResponse) => void]>([
  ['not all of them have', (response) => response.end(MAIN)],
  [
    'another container has, an init container, or one of another Pod',
    (response) =>
      response.end(
        MAIN +
          line('spec.initContainers{git}') +
          line('spec.containers{gits}') +
          line('') +
          line('spec.containers{git}', 'v'),
      ),
  ],
  ['the Event is gone again', (response) => response.end(MAIN + line('spec.containers{git}', 'u', 'DELETED'))],
  ['the watch is refused', (response) => answerJson(response, 403, { message: 'events is forbidden' })],
  ['it is cut', (response) => void response.write(MAIN, () => response.destroy())],
  ['it makes no sense', (response) => response.end(`{}\n{"type":"ADDED"}\nnull\n${MAIN}${GIT}`)],
])('nothing is heard where %s, and who comes next asks anew', async (_what, given) => {
  answer = given;
  expect(await hear()).toBe(false);
  answer = (response) => void response.write(MAIN + GIT);
  expect(await hear()).toBe(true);
  expect(watches).toHaveLength(2);
});

test('Pods of one namespace that start at the same time share a watch, which ends with the last', async () => {
  const stop = new AbortController();
  const heard = [hear('u'), hear('v'), hear('w', stop.signal)];
  await expect.poll(() => watches.length).toBe(1);
  watches[0]?.write(MAIN + GIT);
  expect(await heard[0]).toBe(true);
  watches[0]?.write(line('spec.containers{main}', 'v') + line('spec.containers{git}', 'v'));
  expect(await heard[1]).toBe(true);
  expect(watches[0]?.destroyed).toBe(false);
  stop.abort();
  expect(await heard[2]).toBe(false);
  await untilClosed(watches[0]);
  expect(watches).toHaveLength(1);
});

test('each namespace has a watch of its own', async () => {
  const stop = new AbortController();
  const heard = [hear('u', stop.signal), hear('v', stop.signal, 'other')];
  await expect.poll(() => watches.length).toBe(2);
  stop.abort();
  expect(await Promise.all(heard)).toEqual([false, false]);
  await Promise.all(watches.map(untilClosed));
});

test('who does not want to hear any more asks nobody', async () => {
  expect(await hear('u', AbortSignal.abort())).toBe(false);
  expect(watches).toHaveLength(0);
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
