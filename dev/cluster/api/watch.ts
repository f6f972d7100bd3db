import type { ServerResponse } from 'node:http';

import type { Change, Resource, Store } from '../store.ts';
import type { Predicate } from './selectors.ts';
import { expired, tooLargeVersion } from './status.ts';

export interface WatchRequest {
  readonly resource: Resource;
  readonly kind: string;
  readonly matches: Predicate;
  /** Empty or "0": start with the existing objects, as ADDED. */
  readonly resourceVersion: string;
  readonly hasBookmarks: boolean;
  readonly timeoutMs: number;
}

export interface OpenWatch {
  bookmark(): void;
  /** Ends the stream as a timeout does, or cuts the connection. */
  end(how: 'normal' | 'cut'): void;
}

/** The API server sends a bookmark about every minute to watches that request them. */
const BOOKMARK_INTERVAL_MS = 60_000;
/** The maximum unread data of a client; then it is cut, as the API server cuts slow watchers. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;

/**
 * Streams changes as lines of JSON until the time is over, the client goes away or the stream is ended.
 *
 * @throws {ApiRefusal} 504 for a future version. A version that is too old gets 200 and a 410 in an ERROR event.
 */
export function openWatch(store: Store, request: WatchRequest, response: ServerResponse): OpenWatch {
  const { resource, matches, resourceVersion } = request;
  const isFromNow = resourceVersion === '' || resourceVersion === '0';
  const start = isFromNow ? store.revision() : Number(resourceVersion);
  if (start > store.revision()) throw tooLargeVersion(resourceVersion, store.revision());
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();

  const send = (type: string, object: unknown): void => {
    response.write(`${JSON.stringify({ type, object })}\n`);
    if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
  };
  const tell = (change: Change): void => {
    const isIn = change.type !== 'DELETED' && matches(change.object);
    const wasIn = change.previous !== undefined && matches(change.previous);
    if (isIn) send(wasIn ? 'MODIFIED' : 'ADDED', change.object);
    else if (wasIn) send('DELETED', change.object);
  };
  const bookmark = (): void => {
    if (!request.hasBookmarks) return;
    const metadata = { resourceVersion: String(store.revision()), creationTimestamp: null };
    send('BOOKMARK', { kind: request.kind, apiVersion: 'v1', metadata });
  };

  if (start < store.oldestRevision() && !isFromNow) {
    send('ERROR', expired(start, store.oldestRevision()).status);
    response.end();
    return { bookmark: () => undefined, end: () => undefined };
  }
  if (isFromNow)
    store
      .list(resource)
      .filter(matches)
      .forEach((object) => send('ADDED', object));
  else store.changesAfter(resource, start).forEach(tell);
  const unsubscribe = store.subscribe(resource, tell);
  const bookmarks = setInterval(bookmark, BOOKMARK_INTERVAL_MS);
  const timer = setTimeout(() => end('normal'), request.timeoutMs);
  bookmarks.unref();
  timer.unref();

  function end(how: 'normal' | 'cut'): void {
    if (how === 'cut') {
      response.destroy();
      return;
    }
    bookmark();
    response.end();
  }
  response.once('close', () => {
    unsubscribe();
    clearInterval(bookmarks);
    clearTimeout(timer);
  });
  return { bookmark, end };
}
