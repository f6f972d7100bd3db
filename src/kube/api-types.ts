import { readArray, readInteger, readObject, type UnknownObject } from '../json.ts';

/**
 * The few objects of the Kubernetes API that c3 reads, with only the fields that it reads. An answer is converted
 * once. A field of an unexpected type counts as absent, and long lists and texts are cut, so that a hostile cluster
 * cannot break or exhaust c3 (threat model A12).
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
 */
export interface Pod extends Metadata {
  /** Empty until the Pod is scheduled. */
  readonly nodeName: string;
  readonly isDeleting: boolean;
  /** When the grace period of its deletion ends, in epoch milliseconds. */
  readonly deletedAt: number | undefined;
  /** What must finish before the Pod can be gone. */
  readonly finalizers: readonly string[];
  readonly activeDeadlineSeconds: number | undefined;
  /** The memory limit of each container as it is written: `512Mi`. */
  readonly memoryLimits: Readonly<Record<string, string>>;
  /** Pending, Running, Succeeded, Failed or Unknown. */
  readonly phase: string;
  readonly reason: string;
  readonly message: string;
  /** `status.startTime`, when the node accepted the Pod, in epoch milliseconds. */
  readonly startedAt: number | undefined;
  readonly conditions: readonly PodCondition[];
  readonly initContainers: readonly ContainerStatus[];
  /** The init containers that keep running and are restarted: `restartPolicy: Always`. */
  readonly sidecars: readonly ContainerStatus[];
  readonly containers: readonly ContainerStatus[];
  /** The volumes that are images, with the reference of each image. */
  readonly imageVolumes: readonly { readonly name: string; readonly image: string }[];
  /** From the spec: the statuses may still be missing. */
  readonly containerNames: readonly string[];
  /**
   * Whether no container or sidecar has a readiness probe, a startup probe or a `postStart` hook. The cluster may have
   * added some.
   */
  readonly isReadyOnceStarted: boolean;
}

export type PodCondition = Readonly<Record<'type' | 'status' | 'reason' | 'message', string>>;

export interface ContainerStatus {
  readonly name: string;
  readonly image: string;
  readonly isReady: boolean;
  readonly restartCount: number;
  readonly state: ContainerState;
  readonly lastState: ContainerState;
}

export type ContainerState =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string }
  | { readonly kind: 'running' }
  | { readonly kind: 'terminated'; readonly exitCode: number; readonly reason: string; readonly message: string };

/** An Event about a Pod. */
export interface PodEvent {
  readonly reason: string;
  readonly message: string;
  readonly podName: string;
  readonly podUid: string;
  /** `spec.containers{NAME}` for an Event about a container, else empty. */
  readonly fieldPath: string;
}

/** The metadata of an object or a list. */
export interface Metadata {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Only the labels that c3 writes. */
  readonly labels: Readonly<Record<string, string>>;
  /** Only the annotations that c3 writes. */
  readonly annotations: Readonly<Record<string, string>>;
}

interface Status extends Readonly<Record<'status' | 'reason' | 'message', string>> {
  readonly code: number;
  readonly exitCode: number | undefined;
}

/** Containers, conditions or causes of one object. */
const MAX_ENTRIES = 200;
/** Objects in a list. */
const MAX_ITEMS = 1_000;
/** Names, versions, UIDs, reasons and times. A Kubernetes name has at most 253 characters. */
const MAX_NAME = 256;
/** A registry accepts 255 characters of a name, 128 of a tag and 71 of a digest. */
const MAX_IMAGE = 512;
/** A message from the cluster. People see its first 800 characters. The rest only helps to classify a failure. */
const MAX_MESSAGE = 4096;
/** All messages about the containers of a Pod. Each container has an equal share. */
const MAX_CONTAINER_MESSAGES = 64 * 1024;
/** The message of an Event, of which many are kept. Kubernetes has the same limit. */
const MAX_EVENT_MESSAGE = 1024;
/** Labels and annotations that c3 writes and reads again. */
const OWN_NAMES = [
  'app.kubernetes.io/managed-by',
  ...['scope', 'owner', 'job', 'spec-hash', 'queue', 'builds', 'unfit-pod'].map((name) => `c3.build/${name}`),
];
/** An annotation of c3. It has about 10,000 characters when a hundred processes wait for one Pod. */
const MAX_ANNOTATION = 16 * 1024;

export function toPod(value: unknown): Pod {
  const root = readObject(value);
  const spec = readObject(root['spec']);
  const status = readObject(root['status']);
  const { deletionTimestamp, finalizers } = readObject(root['metadata']);
  const containers = list(spec['containers']);
  const sidecars = list(spec['initContainers']).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const sidecarNames = new Set(sidecars.map(({ name }) => toShortText(name)));
  const initStatuses = toContainerStatuses(status['initContainerStatuses']);
  return {
    ...toMetadata(root),
    nodeName: toShortText(spec['nodeName']),
    isDeleting: toShortText(deletionTimestamp) !== '',
    deletedAt: toTime(deletionTimestamp),
    finalizers: readArray(finalizers)
      .slice(0, MAX_ENTRIES)
      .map((name) => toShortText(name)),
    activeDeadlineSeconds: readInteger(spec['activeDeadlineSeconds']),
    memoryLimits: Object.fromEntries(
      containers.flatMap(({ name, resources }) => {
        const limit = toShortText(readObject(readObject(resources)['limits'])['memory']);
        return limit ? [[toShortText(name), limit]] : [];
      }),
    ),
    phase: toShortText(status['phase']),
    reason: toShortText(status['reason']),
    message: toShortText(status['message'], MAX_MESSAGE),
    startedAt: toTime(status['startTime']),
    conditions: list(status['conditions']).map(({ type, status, reason, message }) => ({
      type: toShortText(type),
      status: toShortText(status),
      reason: toShortText(reason),
      message: toShortText(message, MAX_MESSAGE),
    })),
    initContainers: initStatuses.filter(({ name }) => !sidecarNames.has(name)),
    sidecars: initStatuses.filter(({ name }) => sidecarNames.has(name)),
    containers: toContainerStatuses(status['containerStatuses']),
    imageVolumes: list(spec['volumes']).flatMap(({ name, image }) => {
      const reference = toShortText(readObject(image)['reference'], MAX_IMAGE);
      return reference === '' ? [] : [{ name: toShortText(name), image: reference }];
    }),
    containerNames: containers.map(({ name }) => toShortText(name)),
    isReadyOnceStarted: [...containers, ...sidecars].every(
      ({ readinessProbe, startupProbe, lifecycle }) =>
        (readinessProbe ?? startupProbe ?? readObject(lifecycle)['postStart']) === undefined,
    ),
  };
}

export function toPodEvent(value: unknown): PodEvent {
  const { reason, message, involvedObject } = readObject(value);
  const { name, uid, fieldPath } = readObject(involvedObject);
  return {
    reason: toShortText(reason),
    message: toShortText(message, MAX_EVENT_MESSAGE),
    podName: toShortText(name),
    podUid: toShortText(uid),
    fieldPath: toShortText(fieldPath),
  };
}

/** Reads `items` and `metadata.resourceVersion` of a list. */
export function toList(value: unknown): { items: readonly unknown[]; resourceVersion: string } {
  const root = readObject(value);
  return { items: list(root['items'], MAX_ITEMS), resourceVersion: toMetadata(root).resourceVersion };
}

/** Reads `metadata` of an object or a list. */
export function toMetadata(value: unknown): Metadata {
  const { name, uid, resourceVersion, labels, annotations } = readObject(readObject(value)['metadata']);
  return {
    name: toShortText(name),
    uid: toShortText(uid),
    resourceVersion: toShortText(resourceVersion),
    labels: ownTexts(labels),
    annotations: ownTexts(annotations),
  };
}

/**
 * Reads a `Status`, with which the API server refuses a request. Its texts are empty when the body is something else.
 */
export function toStatus(value: unknown): Status {
  const root = readObject(value);
  const causes = list(readObject(root['details'])['causes']);
  // The exit code of an exec is one of the causes:
  // https://pkg.go.dev/k8s.io/apimachinery/pkg/util/remotecommand#NonZeroExitCodeReason
  const cause = causes.find((candidate) => candidate['reason'] === 'ExitCode');
  const exitCode = cause && /^\d{1,3}$/.test(toShortText(cause['message'])) ? Number(cause['message']) : undefined;
  return {
    status: toShortText(root['status']),
    code: readInteger(root['code']) ?? 0,
    reason: toShortText(root['reason']),
    message: toShortText(root['message'], MAX_MESSAGE),
    exitCode,
  };
}

function toContainerStatuses(value: unknown): readonly ContainerStatus[] {
  const statuses = list(value);
  const maxMessage = Math.min(MAX_MESSAGE, Math.floor(MAX_CONTAINER_MESSAGES / statuses.length));
  return statuses.map(({ name, image, ready, restartCount, state, lastState }) => ({
    name: toShortText(name),
    image: toShortText(image, MAX_IMAGE),
    isReady: ready === true,
    restartCount: readInteger(restartCount) ?? 0,
    state: toContainerState(readObject(state), maxMessage),
    lastState: toContainerState(readObject(lastState), maxMessage),
  }));
}

function toContainerState({ waiting, running, terminated }: UnknownObject, maxMessage: number): ContainerState {
  if (running && !terminated) return { kind: 'running' };
  const { exitCode, reason, message } = readObject(terminated || waiting);
  const cause = { reason: toShortText(reason), message: toShortText(message, maxMessage) };
  if (terminated) return { kind: 'terminated', exitCode: readInteger(exitCode) ?? 0, ...cause };
  return waiting ? { kind: 'waiting', ...cause } : { kind: 'unknown' };
}

function list(value: unknown, maxLength: number = MAX_ENTRIES): readonly UnknownObject[] {
  return readArray(value).slice(0, maxLength).map(readObject);
}

/** Reads a text and cuts it. It is empty for any other value. */
export function toShortText(value: unknown, maxLength: number = MAX_NAME): string {
  return typeof value === 'string' ? truncate(value, maxLength) : '';
}

/** Picks the labels or annotations that c3 writes. */
function ownTexts(value: unknown): Readonly<Record<string, string>> {
  const given = readObject(value);
  return Object.fromEntries(
    OWN_NAMES.flatMap((name) => (Object.hasOwn(given, name) ? [[name, toShortText(given[name], MAX_ANNOTATION)]] : [])),
  );
}

/** Copies the first characters of a text. A plain slice would keep the whole text in memory. */
export function truncate(value: string, maxLength: number): string {
  return value.length > maxLength ? Buffer.from(value.slice(0, maxLength)).toString() : value;
}

/** Reads an RFC 3339 time into epoch milliseconds. */
export function toTime(value: unknown): number | undefined {
  const time = Date.parse(toShortText(value));
  return Number.isNaN(time) ? undefined : time;
}
