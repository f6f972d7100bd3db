import { setTimeout as sleep } from 'node:timers/promises';
import { C3Error } from '../errors.ts';
import { parseJson, readObject } from '../json.ts';
import { toList, toMetadata, toPod, toStatus, type Pod } from './api-types.ts';
import { isTransient, UnreachableError, type KubeClient, type KubeRefusal } from './client.ts';
import { GracePeriod, isUnavailable } from './cluster-connection.ts';

/** A Pod, or its absence, with the resourceVersion of the list that showed it. */
export interface PodSnapshot {
  readonly pod: Pod | undefined;
  readonly resourceVersion: string;
}

interface WatchLimits {
  /** Called when the API server cannot be reached. The watch keeps trying. */
  onTrouble?(message: string): void;
  /** The connection counts as cut after this time without a byte. Default {@link SILENCE_MS}. */
  readonly silenceMs?: number;
  /** How long a watch that has worked tolerates 401 and 403. Default: that of {@link GracePeriod}. */
  readonly graceMs?: number;
}

interface PodTarget {
  readonly namespace: string;
  readonly name: string;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

export interface WatchOptions extends PodTarget, WatchLimits {
  /** The first state, if the caller has it already. */
  readonly from?: PodSnapshot | undefined;
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
  { from, ...options }: WatchOptions,
): AsyncGenerator<Pod | undefined, void, undefined> {
  const target = { ...options, ...toTarget(options) };
  if (from) yield from.pod;
  for await (const change of listAndWatch(client, { ...target, from: from?.resourceVersion })) {
    if ('items' in change) yield findNamed(change.items, options.name);
    else if (change.type === 'ADDED' || change.type === 'MODIFIED') yield toPod(change.object);
    else if (change.type === 'DELETED') yield undefined;
  }
}

/** @throws {C3Error} as {@link watchPod} */
export async function listPod(client: KubeClient, options: PodTarget): Promise<PodSnapshot> {
  const { items, resourceVersion } = await list(client, { ...options, ...toTarget(options) });
  return { pod: findNamed(items, options.name), resourceVersion };
}

/** Finds a Pod in a list. A server that ignores the selector must not make c3 use another Pod (threat model A3). */
function findNamed(items: readonly unknown[], name: string): Pod | undefined {
  return items.map(toPod).find((pod) => pod.name === name);
}

function toTarget({ name }: PodTarget): Pick<WatchTarget, 'objects' | 'fieldSelector'> {
  return { objects: 'Pods', fieldSelector: `metadata.name=${name}` };
}

export interface WatchTarget extends WatchLimits {
  readonly namespace: string;
  readonly objects: 'Pods' | 'Events';
  readonly fieldSelector: string;
  /** Default: the field selector. */
  readonly listQuery?: Readonly<Record<string, string>>;
  /** The resourceVersion from which to watch. Without it, or when it is too old, the objects are listed. */
  readonly from?: string | undefined;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

type Change = { readonly items: readonly unknown[] } | WatchEvent;

interface WatchEvent {
  /** ADDED, MODIFIED, DELETED or BOOKMARK. */
  readonly type: string;
  readonly object: unknown;
}

/**
 * Lists, then watches from the resourceVersion of the list. Resumes after each cut from the last version that was
 * seen. Lists again when that version is too old (410).
 *
 * @throws {C3Error} CLUSTER_REFUSED when the account may not list or watch the objects; CLUSTER_UNREACHABLE when
 *   waiting cannot help
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
export async function* listAndWatch(client: KubeClient, target: WatchTarget): AsyncGenerator<Change, void, undefined> {
  const { signal } = target;
  const grace = new GracePeriod(target.graceMs);
  let version = target.from;
  let failures = 0;
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        const { items, resourceVersion } = await list(client, target, grace);
        yield { items };
        version = resourceVersion;
      }
      const startedAt = performance.now();
      version = yield* watchOnce(client, { target, grace }, version);
      failures = performance.now() - startedAt < SHORT_WATCH_MS ? failures + 1 : 0;
    } catch (error) {
      if (signal.aborted) return;
      if (!isTransient(error)) throw error;
      target.onTrouble?.(error.message);
      version = undefined;
      failures += 1;
    }
    if (failures > 0) await pause(failures, signal);
  }
}

async function list(client: KubeClient, target: WatchTarget, grace?: GracePeriod): Promise<ReturnType<typeof toList>> {
  const query = target.listQuery ?? { fieldSelector: target.fieldSelector };
  const answer = await client.request({ method: 'GET', path: toPath(target), query, signal: target.signal });
  if (answer.kind === 'ok') return toList(answer.body);
  const isTemporary = isUnavailable(answer) || grace?.tolerates(answer) === true;
  throw isTemporary ? new UnreachableError(answer.message, true) : toRefusedError('list', answer, target);
}

/** Follows one watch to its end. Returns the version from which to resume; undefined when a new list is necessary. */
async function* watchOnce(
  client: KubeClient,
  { target, grace }: { target: WatchTarget; grace: GracePeriod },
  from: string,
): AsyncGenerator<WatchEvent, string | undefined, undefined> {
  const { fieldSelector, signal, silenceMs = SILENCE_MS } = target;
  let version = from;
  try {
    const timeoutSeconds = String(WATCH_SECONDS);
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      fieldSelector,
      resourceVersion: version,
      timeoutSeconds,
    };
    const answer = await client.stream({ method: 'GET', path: toPath(target), query, signal }, silenceMs);
    if (answer.kind === 'refused') {
      if (answer.code === 410) return undefined;
      if (!isUnavailable(answer) && !grace.tolerates(answer)) throw toRefusedError('watch', answer, target);
      target.onTrouble?.(answer.message);
      return version;
    }
    grace.recordSuccess();
    for await (const line of answer.lines) {
      const event = parseWatchEvent(line);
      if (event === undefined) continue;
      if (event.type === 'ERROR') return toStatus(event.object).code === 410 ? undefined : version;
      version = toMetadata(event.object).resourceVersion || version;
      yield event;
    }
  } catch (error) {
    if (signal.aborted) return undefined;
    if (!isTransient(error)) throw error;
    target.onTrouble?.(error.message);
  }
  return version;
}

function toRefusedError(verb: string, answer: KubeRefusal, { objects, namespace }: WatchTarget): C3Error {
  const message = `The cluster refused to ${verb} ${objects} in namespace ${namespace}: ${answer.message}`;
  const hint = 'the account needs get, list, watch, create and delete on pods, get and create on pods/exec';
  return new C3Error('CLUSTER_REFUSED', message, { hint });
}

export function toPodsPath(namespace: string): string {
  return toPath({ namespace, objects: 'Pods' });
}

function toPath({ namespace, objects }: Pick<WatchTarget, 'namespace' | 'objects'>): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/${objects.toLowerCase()}`;
}

/**
 * Parses a line of a watch. Returns undefined for a line without an event. @throws {C3Error} CLUSTER_UNREACHABLE when
 * it is not JSON
 */
function parseWatchEvent(line: string): WatchEvent | undefined {
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
