import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answerJson, startFakeApi, type FakeApiServer } from '../../test/contract/fake-api-server.ts';
import type { KubeClient } from './client.ts';
import { watchPod } from './watch.ts';

let server: FakeApiServer;
let client: KubeClient;
let stop: AbortController;
let troubles: string[];
/** The answers to lists and watches, in order. */
let lists: ((response: ServerResponse) => void)[];
let watches: ((response: ServerResponse) => void)[];
/** The resourceVersion of each watch request. */
let versions: (string | null)[];

const selectors = new Set<string | null>();
const bookmarks = new Set<string | null>();

beforeAll(async () => {
  const api = await startFakeApi();
  ({ server, client } = api);
  return api.close;
});
beforeEach(() => {
  [stop, troubles, lists, watches, versions] = [new AbortController(), [], [], [], []];
  server.onRequest = (request: IncomingMessage, response) => {
    const query = new URL(request.url ?? '', server.access.origin).searchParams;
    selectors.add(query.get('fieldSelector'));
    if (query.get('watch') === null) {
      lists.shift()?.(response);
      return;
    }
    versions.push(query.get('resourceVersion'));
    bookmarks.add(query.get('allowWatchBookmarks'));
    // After the last answer, a watch stays silent.
    (watches.shift() ?? ((silent) => silent.writeHead(200).flushHeaders()))(response);
  };
});
afterEach(() => stop.abort());

function pod(resourceVersion: string): object {
  return { metadata: { name: 'p', uid: 'u', resourceVersion } };
}
function list(resourceVersion: string, ...items: object[]): (response: ServerResponse) => void {
  return (response) => answerJson(response, 200, { metadata: { resourceVersion }, items });
}
function line(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}
function refuse(code: number, message: string): (response: ServerResponse) => void {
  return (response) => answerJson(response, code, { message });
}
function states(limits: { readonly silenceMs?: number; readonly graceMs?: number } = {}) {
  return watchPod(client, {
    namespace: 'default',
    name: 'p',
    signal: stop.signal,
    onTrouble: (message) => troubles.push(message),
    ...limits,
  });
}
/** Returns the resourceVersions of the next states; `-` when there is no Pod. */
async function take(watch: ReturnType<typeof states>, count: number): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    const state = await watch.next();
    if (state.done) break;
    taken.push(state.value?.resourceVersion ?? '-');
  }
  return taken;
}

test('yields the current state, then each change, however it is split into chunks', async () => {
  lists.push(list('10', pod('7')));
  watches.push((response) => {
    const text = line('MODIFIED', pod('11')) + line('DELETED', pod('12')) + line('ADDED', pod('13'));
    response.write(text.slice(0, 30));
    setImmediate(() => response.write(text.slice(30)));
  });
  expect(await take(states(), 4)).toEqual(['7', '11', '-', '13']);
  expect(versions).toEqual(['10']);
});

test('yields undefined when there is no Pod, and ignores other Pods', async () => {
  lists.push(list('10', { metadata: { name: 'other', uid: 'x' } }));
  expect(await take(states(), 1)).toEqual(['-']);
});

test('opens the watch only when the caller asks for the second state', async () => {
  lists.push(list('10'));
  const watch = states();
  await watch.next();
  expect(versions).toEqual([]);
});

test('resumes after a cut from the last version, which may be that of a bookmark', async () => {
  lists.push(list('10'));
  watches.push(
    (response) => {
      response.write(line('ADDED', pod('11')) + line('BOOKMARK', pod('20')));
      setImmediate(() => response.socket?.destroy());
    },
    (response) => response.end(line('MODIFIED', pod('21'))),
    (response) => response.write(line('MODIFIED', pod('22'))),
  );
  expect(await take(states(), 4)).toEqual(['-', '11', '21', '22']);
  expect(versions).toEqual(['10', '20', '21']);
  expect(troubles).toHaveLength(1);
});

test.each([
  ['as an answer', (response: ServerResponse) => answerJson(response, 410, { code: 410, message: 'too old' })],
  ['as an event', (response: ServerResponse) => response.end(line('ERROR', { code: 410, message: 'too old' }))],
])('lists again when the version is too old: 410 %s', async (_how, gone) => {
  lists.push(list('10', pod('7')), list('30', pod('25')));
  watches.push(gone);
  expect(await take(states(), 2)).toEqual(['7', '25']);
});

test('treats silence as a cut', async () => {
  lists.push(list('10'));
  watches.push(
    (response) => response.writeHead(200).flushHeaders(),
    (response) => response.write(line('ADDED', pod('11'))),
  );
  // undici checks such limits about once a second.
  expect(await take(states({ silenceMs: 300 }), 2)).toEqual(['-', '11']);
  expect(versions).toEqual(['10', '10']);
});

test('continues while a server cannot answer', async () => {
  lists.push(
    (response) => answerJson(response, 503, { message: 'etcdserver: leader changed' }),
    (response) => response.socket?.destroy(),
    list('10', pod('7')),
  );
  expect(await take(states(), 1)).toEqual(['7']);
});

test('fails when the account may not list', async () => {
  lists.push((response) => answerJson(response, 403, { reason: 'Forbidden', message: 'pods is forbidden' }));
  await expect(states().next()).rejects.toMatchObject({
    code: 'CLUSTER_REFUSED',
    message: 'The cluster refused to list Pods in namespace default: pods is forbidden',
  });
});

test('fails when the account may not watch', async () => {
  lists.push(list('10'));
  watches.push((response) => answerJson(response, 403, { reason: 'Forbidden', message: 'no watch' }));
  const watch = states();
  await watch.next();
  await expect(watch.next()).rejects.toMatchObject({ code: 'CLUSTER_REFUSED' });
});

describe('a watch that has worked', () => {
  beforeEach(() => {
    lists.push(list('10'));
    watches.push((response) => response.end(line('ADDED', pod('11'))));
  });

  test.each([401, 403])('resumes from the last version after a temporary %i', async (code) => {
    watches.push(refuse(code, 'one'), refuse(code, 'two'), (response) => response.write(line('MODIFIED', pod('12'))));
    expect(await take(states(), 3)).toEqual(['-', '11', '12']);
    expect(versions).toEqual(['10', '11', '11', '11']);
    expect(troubles).toEqual(['one', 'two']);
  });

  test('continues after a list was refused temporarily', async () => {
    watches.push(refuse(410, 'too old'));
    lists.push(refuse(403, 'pods is forbidden'), list('30', pod('25')));
    expect(await take(states(), 3)).toEqual(['-', '11', '25']);
  });

  test.each([401, 403])('fails when the refusal lasts: %i', async (code) => {
    const denials = Array.from({ length: 20 }, () => refuse(code, 'no watch'));
    watches.push(...denials);
    const watch = states({ graceMs: 500 });
    await take(watch, 2);
    await expect(watch.next()).rejects.toMatchObject({
      code: 'CLUSTER_REFUSED',
      message: 'The cluster refused to watch Pods in namespace default: no watch',
    });
    expect(versions.length).toBeGreaterThan(2);
  });

  test('starts a new grace period after each success', async () => {
    const work = (version: string) => (response: ServerResponse) => void response.end(line('MODIFIED', pod(version)));
    watches.push(refuse(403, 'no'), work('12'), refuse(403, 'no'), work('13'));
    // There are at least 0.9 s between the two refusals.
    expect(await take(states({ graceMs: 500 }), 4)).toEqual(['-', '11', '12', '13']);
  });
});

test('continues while a server is not ready', async () => {
  const notReady = refuse(403, 'pods "p" is forbidden: not yet ready to handle request');
  lists.push(notReady, list('10', pod('7')));
  watches.push(notReady, (response) => response.write(line('MODIFIED', pod('11'))));
  expect(await take(states(), 2)).toEqual(['7', '11']);
});

test('ends with its signal', async () => {
  lists.push(list('10'));
  watches.push((response) => {
    response.writeHead(200).flushHeaders();
    stop.abort();
  });
  const watch = states();
  await watch.next();
  expect((await watch.next()).done).toBe(true);
});

test('has only requested this Pod, with bookmarks', () => {
  expect([...selectors]).toEqual(['metadata.name=p']);
  expect([...bookmarks]).toEqual(['true']);
});
