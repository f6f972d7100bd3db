import type { ServerResponse } from 'node:http';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { answerJson, startFakeApi, type FakeApiServer } from '../../test/contract/fake-api-server.ts';
import { toPod, type PodEvent } from './api-types.ts';
import type { KubeClient } from './client.ts';
import { createPodEvents, haveContainersStarted, type PodEvents } from './pod-events.ts';

let server: FakeApiServer;
let client: KubeClient;
let events: PodEvents;
/** Unique for each test: the last request of one may arrive during the next. */
let ci = 'ci-0';
/** Ends the follows of a test. */
let stop: AbortController;
/** `list` or `watch`, with path and query, in order. */
let asked: string[];
let watches: ServerResponse[];
/** Answer the next requests. */
let onList: (response: ServerResponse) => void;
let onWatch: (response: ServerResponse) => void;

beforeAll(async () => {
  const api = await startFakeApi();
  ({ server, client } = api);
  return api.close;
});
beforeEach(() => {
  ci = `ci-${Number(ci.slice(3)) + 1}`;
  [events, stop, asked, watches] = [createPodEvents(client), new AbortController(), [], []];
  // Earlier Events are in the list, which c3 does not read.
  onList = (response) => answerJson(response, 200, { metadata: { resourceVersion: '70' }, items: [toEvent('OLD')] });
  onWatch = (response) => response.writeHead(200).flushHeaders();
  server.onRequest = ({ url = '' }, response) => {
    if (!url.includes(`/${ci}`)) return response.destroy();
    asked.push(decodeURIComponent(url));
    if (!url.includes('watch=true')) return onList(response);
    watches.push(response);
    onWatch(response);
  };
});
afterEach(() => stop.abort());

function toEvent(reason: string, { name = 'p', resourceVersion = '71' } = {}): object {
  return { metadata: { resourceVersion }, reason, involvedObject: { kind: 'Pod', name, uid: 'u' } };
}
function line(object: object, type = 'ADDED'): string {
  return `${JSON.stringify({ type, object })}\n`;
}
/** Follows the Events of a Pod, and returns their reasons. */
async function follow(name = 'p', { signal = stop.signal, namespace = ci } = {}): Promise<string[]> {
  const received: string[] = [];
  await events.follow({ namespace, name }, { onEvent: ({ reason }) => received.push(reason), signal });
  return received;
}
async function untilClosed(response: ServerResponse | undefined): Promise<void> {
  await expect.poll(() => response?.destroyed).toBe(true);
}

test('reports new and repeated Events of a Pod, and lists only one Event', async () => {
  onWatch = (response) => {
    response.write(
      line(toEvent('Scheduled')) + line(toEvent('Other', { name: 'q' })) + line(toEvent('Gone'), 'DELETED'),
    );
    response.write(line(toEvent('FailedMount'), 'MODIFIED'));
  };
  const received = await follow();
  await expect.poll(() => received).toEqual(['Scheduled', 'FailedMount']);
  expect(asked).toEqual([
    `/api/v1/namespaces/${ci}/events?limit=1`,
    expect.stringMatching(
      /^\/api\/v1\/namespaces\/ci-\d+\/events\?watch=true&.*fieldSelector=involvedObject\.kind=Pod&resourceVersion=70&/,
    ),
  ]);
});

test('followers in one namespace share a watch, which ends with the last of them', async () => {
  const [other, again] = [new AbortController(), new AbortController()];
  const received = await Promise.all([
    follow('p'),
    follow('q', { signal: other.signal }),
    follow('p', { signal: again.signal }),
  ]);
  await expect.poll(() => watches.length).toBe(1);
  watches[0]?.write(line(toEvent('A')) + line(toEvent('B', { name: 'q' })));
  await expect.poll(() => received).toEqual([['A'], ['B'], ['A']]);
  stop.abort();
  again.abort();
  watches[0]?.write(line(toEvent('C')) + line(toEvent('D', { name: 'q' })));
  await expect.poll(() => received).toEqual([['A'], ['B', 'D'], ['A']]);
  other.abort();
  await untilClosed(watches[0]);
  stop = new AbortController();
  await follow();
  await expect.poll(() => watches.length).toBe(2);
});

test('each namespace has its own watch', async () => {
  await Promise.all([follow('p'), follow('p', { namespace: `${ci}-other` })]);
  await expect.poll(() => watches.length).toBe(2);
  stop.abort();
  await Promise.all(watches.map(untilClosed));
});

test('resumes after a cut, and starts again when the version is too old', async () => {
  const cut = (response: ServerResponse): void => {
    onWatch = expire;
    response.write(line(toEvent('A', { resourceVersion: '75' })), () => response.destroy());
  };
  const expire = (response: ServerResponse): void => {
    onWatch = (last) => void last.write(line(toEvent('B')));
    onList = (listed) => answerJson(listed, 200, { metadata: { resourceVersion: '90' }, items: [] });
    response.end(line({ code: 410 }, 'ERROR'));
  };
  onWatch = cut;
  const received = await follow();
  await expect.poll(() => received).toEqual(['A', 'B']);
  const versions = asked.map((url) => /resourceVersion=(\d+)/.exec(url)?.[1] ?? 'list');
  expect(versions).toEqual(['list', '70', '75', 'list', '90']);
});

test.each<[string, number, () => void]>([
  [
    'the list is refused',
    1,
    () => (onList = (response) => answerJson(response, 403, { message: 'events is forbidden' })),
  ],
  [
    'the watch is refused',
    2,
    () => (onWatch = (response) => answerJson(response, 403, { message: 'events is forbidden' })),
  ],
  ['it makes no sense', 2, () => (onWatch = (response) => response.end('no JSON\n'))],
])('there are no Events when %s, and the next follower tries again', async (_what, count, refuse) => {
  const before = [onList, onWatch] as const;
  refuse();
  const received = await follow();
  await expect.poll(() => asked.length).toBe(count);
  [onList, onWatch] = before;
  await expect
    .poll(async () => {
      await follow();
      return asked.slice(count).some((url) => !url.includes('watch=true'));
    })
    .toBe(true);
  expect(received).toEqual([]);
});

test('a follower waits at most a second for the first answer', async () => {
  onList = () => {};
  expect(await follow()).toEqual([]);
  expect(asked).toHaveLength(1);
});

test('an aborted follower sends no request', async () => {
  await follow('p', { signal: AbortSignal.abort() });
  expect(asked).toEqual([]);
});

const MAIN: PodEvent = {
  reason: 'Started',
  message: '',
  podName: 'p',
  podUid: 'u',
  fieldPath: 'spec.containers{main}',
};
const GIT: PodEvent = { ...MAIN, fieldPath: 'spec.containers{git}' };

test.each<[string, boolean, PodEvent[]]>([
  ['all have an Event', true, [GIT, MAIN, GIT]],
  ['one has none', false, [MAIN]],
  ['there is no Event', false, []],
  [
    'another container has one',
    false,
    [MAIN, { ...GIT, fieldPath: 'spec.containers{gits}' }, { ...GIT, fieldPath: '' }],
  ],
  ['an init container has one', false, [MAIN, { ...GIT, fieldPath: 'spec.initContainers{git}' }]],
  ['one is about another Pod of the name', false, [MAIN, { ...GIT, podUid: 'v' }]],
  ['one was created, not started', false, [MAIN, { ...GIT, reason: 'Created' }]],
])('when %s, the containers have started: %s', (_what, expected, received) => {
  expect(haveContainersStarted({ uid: 'u', containerNames: ['main', 'git'] }, received)).toBe(expected);
});

test('the containers of a Pod without any have not started', () => {
  expect(haveContainersStarted({ uid: 'u', containerNames: [] }, [MAIN])).toBe(false);
});

test.each<[boolean, object]>([
  [true, {}],
  [true, { livenessProbe: {}, lifecycle: { preStop: {} } }],
  [false, { readinessProbe: {} }],
  [false, { startupProbe: {} }],
  [false, { lifecycle: { postStart: {} } }],
])('can be used once started: %s, for a container with %j', (expected, container) => {
  const spec = { containers: [{ name: 'main' }, { name: 'db', ...container }] };
  expect(toPod({ spec }).isReadyOnceStarted).toBe(expected);
});
