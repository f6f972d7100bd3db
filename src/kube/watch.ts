import { setTimeout as sleep } from 'node:timers/promises';
import { C3Error } from '../errors.ts';
import { toList, toPod, toResourceVersion, toStatus } from './api-types.ts';
import type { Pod } from './api-types.ts';
import { isPutOff, RefusedError, UnreachableError } from './client.ts';
import type { KubeClient, KubeRefusal } from './client.ts';
import { createDenials } from './denials.ts';
import type { Denials } from './denials.ts';

/** A Pod, or that there is none, and the version of the list that said so. */
export interface PodState {
  readonly pod: Pod | undefined;
  readonly resourceVersion: string;
}

export interface WatchOptions {
  readonly namespace: string;
  readonly name: string;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** The first state, when somebody has asked for it already. */
  readonly from?: PodState | undefined;
  /** Told when the API server cannot be reached; the watch goes on trying. */
  onTrouble?(message: string): void;
  /** Default {@link SILENCE_MS}. */
  readonly silenceMs?: number;
  /** For how long a watch that has worked goes on when it is refused; default as `createDenials` has it. */
  readonly deniedMs?: number | undefined;
}

/** The server ends the watch itself after this; Kubernetes' own clients take 5 to 10 minutes. */
const WATCH_SECONDS = 290;
/** The server sends a bookmark of Pods about once a minute. After this much silence the connection counts as cut; resuming costs one request. */
const SILENCE_MS = 130_000;
/** The same of a watch of what the server sends no bookmarks of. */
export const QUIET_WATCH_MS: number = (WATCH_SECONDS + 10) * 1000;
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 5_000;
/** A watch that ends sooner than this is treated as a fault, so that a server that ends each at once is not stormed. */
const SHORT_WATCH_MS = 1_000;

/**
 * The states of one Pod, the present one first, then every change; `undefined` when there is none. The watch connection is opened
 * when the second state is asked for. Ends when `signal` is aborted.
 *
 * @throws {C3Error} CLUSTER_REFUSED when the account may not list or watch Pods, or no longer may for half a minute;
 * CLUSTER_UNREACHABLE when waiting cannot help: an untrusted certificate, an unknown host, an answer that is no Kubernetes
 */
export async function* watchPod(
  client: KubeClient,
  options: WatchOptions,
): AsyncGenerator<Pod | undefined, void, undefined> {
  const { namespace, name, signal, from, onTrouble, silenceMs = SILENCE_MS, deniedMs } = options;
  const told = listAndWatch(client, {
    list: async () => await listPod(client, options),
    from,
    path: toPodsPath(namespace),
    fieldSelector: `metadata.name=${name}`,
    toRefusedError: (answer) => toRefusedError('watch', answer, options),
    onTrouble,
    silenceMs,
    deniedMs,
    signal,
  });
  for await (const one of told) {
    if (one.kind === 'listed') yield one.list.pod;
    else if (one.type === 'ADDED' || one.type === 'MODIFIED') yield toPod(one.object);
    else if (one.type === 'DELETED') yield undefined;
  }
}

interface ListAndWatch<List extends { readonly resourceVersion: string }> extends WatchTarget {
  list(): Promise<List>;
  /** The first list, when somebody has asked for it already. */
  readonly from?: List | undefined;
}

interface WatchTarget {
  /** Of what is watched, from `/api` on. */
  readonly path: string;
  readonly fieldSelector: string;
  /** What is thrown when the watch is refused for good. */
  toRefusedError(answer: KubeRefusal): RefusedError;
  /** Told when the API server cannot be reached; the watch goes on trying. */
  readonly onTrouble?: ((message: string) => void) | undefined;
  /** After so much silence the connection counts as cut. */
  readonly silenceMs: number;
  /** {@link WatchOptions.deniedMs} */
  readonly deniedMs?: number | undefined;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

type Told<List> = { readonly kind: 'listed'; readonly list: List } | WatchEvent;

/** `type`: ADDED, MODIFIED, DELETED or BOOKMARK. */
interface WatchEvent {
  readonly kind: 'event';
  readonly type: string;
  readonly object: unknown;
}

/**
 * One list, then a watch from its resourceVersion, resumed after each cut from the last version seen, begun anew with another list
 * when that is too old (410).
 *
 * @throws {C3Error} what `list` and `toRefusedError` say; CLUSTER_UNREACHABLE when waiting cannot help
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
export async function* listAndWatch<List extends { readonly resourceVersion: string }>(
  client: KubeClient,
  options: ListAndWatch<List>,
): AsyncGenerator<Told<List>, void, undefined> {
  const { signal } = options;
  const denials = createDenials(options.deniedMs);
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
        version = yield* watchOnce(client, { ...options, denials }, version);
        failures = performance.now() - startedAt < SHORT_WATCH_MS ? failures + 1 : 0;
        if (failures > 0) await pause(failures, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof C3Error) || !mayPass(error, denials)) throw error;
      options.onTrouble?.(error.message);
      failures += 1;
      await pause(failures, signal);
    }
  }
}

/** Of a list that failed; what is thrown of a watch is what has been borne long enough. */
function mayPass(error: C3Error, denials: Denials): boolean {
  if (error instanceof RefusedError) return denials.mayPass({ code: error.status });
  return error instanceof UnreachableError && error.isTransient;
}

/** Follows one watch to its end. Returns the version to go on from, or undefined when only a new list helps. */
async function* watchOnce(
  client: KubeClient,
  options: WatchTarget & { readonly denials: Denials },
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
    if (answer.kind === 'refused') return settleRefusal(answer, version, options);
    options.denials.forget();
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

function settleRefusal(
  answer: KubeRefusal,
  version: string,
  options: WatchTarget & { readonly denials: Denials },
): string | undefined {
  if (answer.code === 410) return undefined;
  if (!isPutOff(answer) && !options.denials.mayPass(answer)) throw options.toRefusedError(answer);
  options.onTrouble?.(answer.message);
  return version;
}

/** What is thrown for a list that was refused: the watch goes on where waiting may help. */
export function toListFault(answer: KubeRefusal, toRefusedError: WatchTarget['toRefusedError']): C3Error {
  return isPutOff(answer) ? new UnreachableError(answer.message, true) : toRefusedError(answer);
}

/** @throws {C3Error} as {@link watchPod} */
export async function listPod(
  client: KubeClient,
  options: Pick<WatchOptions, 'namespace' | 'name' | 'signal'>,
): Promise<PodState> {
  const answer = await client.request({
    method: 'GET',
    path: toPodsPath(options.namespace),
    query: { fieldSelector: `metadata.name=${options.name}` },
    signal: options.signal,
  });
  if (answer.kind === 'refused') throw toListFault(answer, () => toRefusedError('list', answer, options));
  const { items, resourceVersion } = toList(answer.body);
  // A server that ignored the selector must not make us take a stranger's Pod for ours.
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

/** A line of a watch; undefined: nothing that matters. @throws {C3Error} CLUSTER_UNREACHABLE for what is no JSON */
function parseWatchEvent(line: string): { type: string; object: unknown } | undefined {
  if (line.trim() === '') return undefined;
  try {
    const { type, object } = JSON.parse(line) as { type?: unknown; object?: unknown };
    return typeof type === 'string' ? { type, object } : undefined;
  } catch {
    throw new C3Error('CLUSTER_UNREACHABLE', 'The cluster sent a watch event that is no JSON');
  }
}

async function pause(failures: number, signal: AbortSignal): Promise<void> {
  const limit = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS);
  await sleep(limit * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
}
