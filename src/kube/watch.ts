import { setTimeout as sleep } from 'node:timers/promises';
import { C3Error } from '../errors.ts';
import { toList, toPod, toStatus } from './api-types.ts';
import type { Pod } from './api-types.ts';
import { UnreachableError } from './client.ts';
import type { KubeClient, KubeRefusal } from './client.ts';

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
}

/** The server ends the watch itself after this; Kubernetes' own clients take 5 to 10 minutes. */
export const WATCH_SECONDS = 290;
/** The server sends a bookmark about once a minute. After this much silence the connection counts as cut; resuming costs one request. */
const SILENCE_MS = 130_000;
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 5_000;
/** A watch that ends sooner than this is treated as a fault, so that a server that ends each at once is not stormed. */
const SHORT_WATCH_MS = 1_000;

/**
 * The states of one Pod, the present one first, then every change; `undefined` when there is none. One list, then a watch from
 * its resourceVersion, resumed after each cut from the last version seen, begun anew when that is too old (410). The watch
 * connection is opened when the second state is asked for. Ends when `signal` is aborted.
 *
 * @throws {C3Error} CLUSTER_REFUSED when the account may not list or watch Pods, CLUSTER_UNREACHABLE when waiting cannot help:
 * an untrusted certificate, an unknown host, an answer that is no Kubernetes
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
export async function* watchPod(
  client: KubeClient,
  options: WatchOptions,
): AsyncGenerator<Pod | undefined, void, undefined> {
  const { signal } = options;
  let failures = 0;
  let { from } = options;
  while (!signal.aborted) {
    try {
      const { pod, resourceVersion } = from ?? (await listPod(client, options));
      from = undefined;
      yield pod;
      let version: string | undefined = resourceVersion;
      while (version !== undefined && !signal.aborted) {
        const startedAt = performance.now();
        version = yield* followOnce(client, options, version);
        failures = performance.now() - startedAt < SHORT_WATCH_MS ? failures + 1 : 0;
        if (failures > 0) await pause(failures, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof UnreachableError) || !error.isTransient) throw error;
      options.onTrouble?.(error.message);
      failures += 1;
      await pause(failures, signal);
    }
  }
}

/** Follows one watch to its end. Returns the version to go on from, or undefined when only a new list helps. */
async function* followOnce(
  client: KubeClient,
  options: WatchOptions,
  from: string,
): AsyncGenerator<Pod | undefined, string | undefined, undefined> {
  let version = from;
  try {
    const answer = await client.stream(
      {
        method: 'GET',
        path: toPodsPath(options.namespace),
        query: {
          watch: 'true',
          allowWatchBookmarks: 'true',
          fieldSelector: `metadata.name=${options.name}`,
          resourceVersion: version,
          timeoutSeconds: String(WATCH_SECONDS),
        },
        signal: options.signal,
      },
      options.silenceMs ?? SILENCE_MS,
    );
    if (answer.kind === 'refused') return settleRefusal(answer, version, options);
    for await (const line of answer.lines) {
      const event = parseWatchEvent(line);
      if (event === undefined) continue;
      if (event.type === 'ERROR') return toStatus(event.object).code === 410 ? undefined : version;
      const pod = toPod(event.object);
      version = pod.resourceVersion || version;
      if (event.type === 'ADDED' || event.type === 'MODIFIED') yield pod;
      if (event.type === 'DELETED') yield undefined;
    }
  } catch (error) {
    if (options.signal.aborted) return undefined;
    if (!(error instanceof UnreachableError) || !error.isTransient) throw error;
    options.onTrouble?.(error.message);
  }
  return version;
}

function settleRefusal(answer: KubeRefusal, version: string, options: WatchOptions): string | undefined {
  if (answer.code === 410) return undefined;
  if (answer.code !== 429 && answer.code < 500) throw toRefusedError('watch', answer, options);
  options.onTrouble?.(answer.message);
  return version;
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
  if (answer.kind === 'refused') {
    if (answer.code === 429 || answer.code >= 500) throw new UnreachableError(answer.message, true);
    throw toRefusedError('list', answer, options);
  }
  const { items, resourceVersion } = toList(answer.body);
  // A server that ignored the selector must not make us take a stranger's Pod for ours.
  const pod = items.map(toPod).find((candidate) => candidate.name === options.name);
  return { pod, resourceVersion };
}

function toRefusedError(verb: string, answer: KubeRefusal, options: Pick<WatchOptions, 'namespace'>): C3Error {
  return new C3Error(
    'CLUSTER_REFUSED',
    `The cluster refused to ${verb} Pods in namespace ${options.namespace}: ${answer.message}`,
    { hint: 'the account needs get, list, watch, create and delete on pods, get and create on pods/exec' },
  );
}

export function toPodsPath(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
}

export function toEventsPath(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`;
}

/** A line of a watch; undefined: nothing that matters. @throws {C3Error} CLUSTER_UNREACHABLE for what is no JSON */
export function parseWatchEvent(line: string): { type: string; object: unknown } | undefined {
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
