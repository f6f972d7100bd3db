import { setTimeout as sleep } from 'node:timers/promises';
import { C3Error } from '../errors.ts';
import { parseJson, readObject } from '../json.ts';
import { toList, toPod, toResourceVersion, toStatus, type Pod } from './api-types.ts';
import { isUnavailable, RefusedError, UnreachableError, type KubeClient, type KubeRefusal } from './client.ts';
import { AuthGracePeriod } from './connection.ts';

/** A Pod, or its absence, with the resourceVersion of the list that showed it. */
export interface PodSnapshot {
  readonly pod: Pod | undefined;
  readonly resourceVersion: string;
}

export interface WatchOptions {
  readonly namespace: string;
  readonly name: string;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** The first state, if the caller has it already. */
  readonly from?: PodSnapshot | undefined;
  /** Called when the API server cannot be reached. The watch keeps trying. */
  onTrouble?(message: string): void;
  /** Default {@link SILENCE_MS}. */
  readonly silenceMs?: number;
  /** How long a watch that has worked tolerates 401 and 403. Default: that of {@link AuthGracePeriod}. */
  readonly graceMs?: number | undefined;
}

/** The server ends the watch after this time. Kubernetes' own clients use 5 to 10 minutes. */
const WATCH_SECONDS = 290;
/**
 * For Pods the server sends a bookmark about once a minute. A silent connection counts as cut. To resume costs one
 * request.
 */
const SILENCE_MS = 130_000;
/** The same for objects for which the server sends no bookmarks. */
export const QUIET_WATCH_MS: number = (WATCH_SECONDS + 10) * 1000;
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 5_000;
/** A watch that ends sooner counts as a failure, so that c3 does not flood a server that ends each watch at once. */
const SHORT_WATCH_MS = 1_000;

/**
 * Yields the states of one Pod: the current state first, then every change, and `undefined` when there is no Pod. The
 * watch connection opens when the caller asks for the second state. Ends when `signal` is aborted.
 *
 * @throws {C3Error} CLUSTER_REFUSED when the account may not list or watch Pods; CLUSTER_UNREACHABLE when waiting
 * cannot help: an untrusted certificate, an unknown host, an answer that is not from Kubernetes
 */
export async function* watchPod(
  client: KubeClient,
  options: WatchOptions,
): AsyncGenerator<Pod | undefined, void, undefined> {
  const { namespace, name, signal, from, onTrouble, silenceMs = SILENCE_MS, graceMs } = options;
  const changes = listAndWatch(client, {
    list: async () => await listPod(client, options),
    from,
    path: toPodsPath(namespace),
    fieldSelector: `metadata.name=${name}`,
    toRefusedError: (answer) => toRefusedError('watch', answer, options),
    onTrouble,
    silenceMs,
    graceMs,
    signal,
  });
  for await (const change of changes) {
    if (change.kind === 'listed') yield change.list.pod;
    else if (change.type === 'ADDED' || change.type === 'MODIFIED') yield toPod(change.object);
    else if (change.type === 'DELETED') yield undefined;
  }
}

interface ListAndWatch<List extends { readonly resourceVersion: string }> extends WatchTarget {
  list(): Promise<List>;
  /** The first list, if the caller has it already. */
  readonly from?: List | undefined;
}

interface WatchTarget {
  /** The path of the watched objects. It starts with `/api`. */
  readonly path: string;
  readonly fieldSelector: string;
  /** Creates the error for a watch that is refused permanently. */
  toRefusedError(answer: KubeRefusal): RefusedError;
  /** Called when the API server cannot be reached. The watch keeps trying. */
  readonly onTrouble?: ((message: string) => void) | undefined;
  /** The connection counts as cut after this time without a byte. */
  readonly silenceMs: number;
  /** {@link WatchOptions.graceMs} */
  readonly graceMs?: number | undefined;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

type Change<List> = { readonly kind: 'listed'; readonly list: List } | WatchEvent;

interface WatchEvent {
  readonly kind: 'event';
  /** ADDED, MODIFIED, DELETED or BOOKMARK. */
  readonly type: string;
  readonly object: unknown;
}

/**
 * Lists, then watches from the resourceVersion of the list. Resumes after each cut from the last version that was
 * seen. Lists again when that version is too old (410).
 *
 * @throws {C3Error} as `list` and `toRefusedError` do; CLUSTER_UNREACHABLE when waiting cannot help
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
export async function* listAndWatch<List extends { readonly resourceVersion: string }>(
  client: KubeClient,
  options: ListAndWatch<List>,
): AsyncGenerator<Change<List>, void, undefined> {
  const { signal } = options;
  const grace = new AuthGracePeriod(options.graceMs);
  let failures = 0;
  let { from } = options;
  while (!signal.aborted) {
    try {
      const list = from ?? (await options.list());
      from = undefined;
      yield { kind: 'listed', list };
      let version: string | undefined = list.resourceVersion;
      while (version !== undefined && !signal.aborted) {
        const startedAt = performance.now();
        version = yield* watchOnce(client, { ...options, grace }, version);
        failures = performance.now() - startedAt < SHORT_WATCH_MS ? failures + 1 : 0;
        if (failures > 0) await pause(failures, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof C3Error) || !isTemporary(error, grace)) throw error;
      options.onTrouble?.(error.message);
      failures += 1;
      await pause(failures, signal);
    }
  }
}

/** Tells whether a failed list is worth a retry. The error of a watch is thrown only after its grace period. */
function isTemporary(error: C3Error, grace: AuthGracePeriod): boolean {
  if (error instanceof RefusedError) return grace.tolerates({ code: error.status });
  return error instanceof UnreachableError && error.isTransient;
}

/** Follows one watch to its end. Returns the version from which to resume; undefined when a new list is necessary. */
async function* watchOnce(
  client: KubeClient,
  options: WatchTarget & { readonly grace: AuthGracePeriod },
  from: string,
): AsyncGenerator<WatchEvent, string | undefined, undefined> {
  let version = from;
  try {
    const answer = await client.stream(
      {
        method: 'GET',
        path: options.path,
        query: {
          watch: 'true',
          allowWatchBookmarks: 'true',
          fieldSelector: options.fieldSelector,
          resourceVersion: version,
          timeoutSeconds: String(WATCH_SECONDS),
        },
        signal: options.signal,
      },
      options.silenceMs,
    );
    if (answer.kind === 'refused') return handleRefusal(answer, version, options);
    options.grace.recordSuccess();
    for await (const line of answer.lines) {
      const event = parseWatchEvent(line);
      if (event === undefined) continue;
      if (event.type === 'ERROR') return toStatus(event.object).code === 410 ? undefined : version;
      version = toResourceVersion(event.object) || version;
      yield { kind: 'event', ...event };
    }
  } catch (error) {
    if (options.signal.aborted) return undefined;
    if (!(error instanceof UnreachableError) || !error.isTransient) throw error;
    options.onTrouble?.(error.message);
  }
  return version;
}

function handleRefusal(
  answer: KubeRefusal,
  version: string,
  options: WatchTarget & { readonly grace: AuthGracePeriod },
): string | undefined {
  if (answer.code === 410) return undefined;
  if (!isUnavailable(answer) && !options.grace.tolerates(answer)) throw options.toRefusedError(answer);
  options.onTrouble?.(answer.message);
  return version;
}

/** Creates the error for a refused list. It is transient when waiting may help. */
export function toListFault(answer: KubeRefusal, toRefusedError: WatchTarget['toRefusedError']): C3Error {
  return isUnavailable(answer) ? new UnreachableError(answer.message, true) : toRefusedError(answer);
}

/** @throws {C3Error} as {@link watchPod} */
export async function listPod(
  client: KubeClient,
  options: Pick<WatchOptions, 'namespace' | 'name' | 'signal'>,
): Promise<PodSnapshot> {
  const answer = await client.request({
    method: 'GET',
    path: toPodsPath(options.namespace),
    query: { fieldSelector: `metadata.name=${options.name}` },
    signal: options.signal,
  });
  if (answer.kind === 'refused') throw toListFault(answer, () => toRefusedError('list', answer, options));
  const { items, resourceVersion } = toList(answer.body);
  // A server that ignores the selector must not make c3 use another Pod (threat model A3).
  const pod = items.map(toPod).find((candidate) => candidate.name === options.name);
  return { pod, resourceVersion };
}

function toRefusedError(verb: string, answer: KubeRefusal, options: Pick<WatchOptions, 'namespace'>): RefusedError {
  return new RefusedError(
    `The cluster refused to ${verb} Pods in namespace ${options.namespace}: ${answer.message}`,
    answer,
    { hint: 'the account needs get, list, watch, create and delete on pods, get and create on pods/exec' },
  );
}

export function toPodsPath(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
}

/**
 * Parses a line of a watch. Returns undefined for a line without an event. @throws {C3Error} CLUSTER_UNREACHABLE when
 * it is not JSON
 */
function parseWatchEvent(line: string): { type: string; object: unknown } | undefined {
  if (line.trim() === '') return undefined;
  const event = parseJson(line);
  if (event === undefined) throw new C3Error('CLUSTER_UNREACHABLE', 'The cluster sent a watch event that is not JSON');
  const { type, object } = readObject(event);
  return typeof type === 'string' ? { type, object } : undefined;
}

async function pause(failures: number, signal: AbortSignal): Promise<void> {
  const limit = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS);
  await sleep(limit * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
}
