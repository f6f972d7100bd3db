/**
 * The few objects of the Kubernetes API that c3 reads, cut down to the fields it reads. What a server sends is read into
 * these once; a field of another type than expected counts as absent, so that no answer can break a build's bookkeeping.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
 */
export interface Pod {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Those that c3 writes. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Empty until the scheduler has found one. */
  readonly nodeName: string;
  /** Whether deletion has begun. */
  readonly isDeleting: boolean;
  readonly activeDeadlineSeconds: number | undefined;
  /** Memory limit by container, as written: `512Mi`. */
  readonly memoryLimits: Readonly<Record<string, string>>;
  /** Pending, Running, Succeeded, Failed, Unknown. */
  readonly phase: string;
  readonly reason: string;
  readonly message: string;
  /** Epoch milliseconds of `status.startTime`, when the node took the Pod. */
  readonly startedAt: number | undefined;
  readonly conditions: readonly PodCondition[];
  readonly initContainers: readonly ContainerStatus[];
  readonly containers: readonly ContainerStatus[];
  /** As the spec names them: statuses may not be there yet. */
  readonly containerNames: readonly string[];
  /** Whether no container of the spec, be it one that the cluster put there, has a probe to pass or a `postStart` to run first. */
  readonly isReadyOnceStarted: boolean;
}

export interface PodCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

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

/** An Event about a Pod. `type` is Normal or Warning. */
export interface PodEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly podName: string;
  readonly podUid: string;
  /** Of the container it is about: `spec.containers{NAME}`. Else empty. */
  readonly fieldPath: string;
}

/**
 * A Lease of coordination.k8s.io/v1, which records who has the Pod of the same name.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/
 */
export interface Lease {
  readonly name: string;
  readonly resourceVersion: string;
  /** Those that c3 writes, as the annotations. */
  readonly labels: Readonly<Record<string, string>>;
  /** Those that c3 writes. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Empty: nobody. */
  readonly holder: string;
  readonly durationSeconds: number;
  /** Epoch milliseconds by the clock of whoever wrote it; 0 when it does not say. */
  readonly renewedAt: number;
  readonly transitions: number;
}

type Fields = Readonly<Record<string, unknown>>;

/** Of containers, conditions and causes: a Pod has a few of each. */
const MAX_LIST = 200;
/** Of objects in a list. */
const MAX_ITEMS = 1_000;
/** What is longer of names, versions, UIDs, reasons and times is none: Kubernetes lets no name have more than 253 characters. */
const MAX_NAME = 256;
/** A registry takes 255 characters of a name, 128 of a tag and 71 of a digest. */
const MAX_IMAGE = 512;
/** Of the cluster's own words, people are shown the first 800 characters; the rest tells at most what kind of failure it is. */
const MAX_WORDS = 4096;
/** Of what the containers of a Pod say about themselves, each has its share. */
const MAX_WORDS_OF_ALL = 64 * 1024;
/** Of words in an Event, of which many are kept: Kubernetes lets them have as many. */
const MAX_EVENT_WORDS = 1024;
/** Labels and annotations that c3 writes and reads again. */
const OWN_NAMES = [
  'app.kubernetes.io/managed-by',
  ...['scope', 'trust', 'job', 'spec-hash', 'queue', 'builds', 'unfit-pod'].map((name) => `c3.build/${name}`),
];
/** Of an annotation of c3: what it writes has some 10,000 characters at most, when a hundred processes wait for one Pod. */
const MAX_ANNOTATION = 16 * 1024;

export function toPod(value: unknown): Pod {
  const root = fields(value);
  const metadata = fields(root['metadata']);
  const spec = fields(root['spec']);
  const status = fields(root['status']);
  const startedAt = Date.parse(text(status['startTime']));
  const deadline = spec['activeDeadlineSeconds'];
  return {
    name: text(metadata['name']),
    uid: text(metadata['uid']),
    resourceVersion: text(metadata['resourceVersion']),
    annotations: ownTexts(metadata['annotations']),
    nodeName: text(spec['nodeName']),
    isDeleting: text(metadata['deletionTimestamp']) !== '',
    activeDeadlineSeconds: typeof deadline === 'number' ? deadline : undefined,
    memoryLimits: Object.fromEntries(
      list(spec['containers']).flatMap((container) => {
        const limit = text(fields(fields(container['resources'])['limits'])['memory']);
        return limit ? [[text(container['name']), limit]] : [];
      }),
    ),
    phase: text(status['phase']),
    reason: text(status['reason']),
    message: words(status['message']),
    startedAt: Number.isNaN(startedAt) ? undefined : startedAt,
    conditions: list(status['conditions']).map((condition) => ({
      type: text(condition['type']),
      status: text(condition['status']),
      reason: text(condition['reason']),
      message: words(condition['message']),
    })),
    initContainers: toContainerStatuses(status['initContainerStatuses']),
    containers: toContainerStatuses(status['containerStatuses']),
    containerNames: list(spec['containers']).map((container) => text(container['name'])),
    isReadyOnceStarted: list(spec['containers']).every(
      ({ readinessProbe, startupProbe, lifecycle }) =>
        (readinessProbe ?? startupProbe ?? fields(lifecycle)['postStart']) === undefined,
    ),
  };
}

export function toPodEvent(value: unknown): PodEvent {
  const event = fields(value);
  const { name, uid, fieldPath } = fields(event['involvedObject']);
  return {
    type: text(event['type']),
    reason: text(event['reason']),
    message: text(event['message'], MAX_EVENT_WORDS),
    podName: text(name),
    podUid: text(uid),
    fieldPath: text(fieldPath),
  };
}

export function toLease(value: unknown): Lease {
  const root = fields(value);
  const metadata = fields(root['metadata']);
  const spec = fields(root['spec']);
  const renewedAt = Date.parse(text(spec['renewTime']));
  return {
    name: text(metadata['name']),
    resourceVersion: text(metadata['resourceVersion']),
    labels: ownTexts(metadata['labels']),
    annotations: ownTexts(metadata['annotations']),
    holder: text(spec['holderIdentity']),
    durationSeconds: number(spec['leaseDurationSeconds']),
    renewedAt: Number.isNaN(renewedAt) ? 0 : renewedAt,
    transitions: number(spec['leaseTransitions']),
  };
}

/** `items` and `metadata.resourceVersion` of a list. */
export function toList(value: unknown): { items: readonly unknown[]; resourceVersion: string } {
  const root = fields(value);
  return { items: list(root['items'], MAX_ITEMS), resourceVersion: toResourceVersion(root) };
}

/** `metadata.resourceVersion` of an object or a list. */
export function toResourceVersion(value: unknown): string {
  return text(fields(fields(value)['metadata'])['resourceVersion']);
}

/** A `Status`: how the API server says no. Empty texts where the body is none. */
export function toStatus(value: unknown): {
  status: string;
  code: number;
  reason: string;
  message: string;
  exitCode: number | undefined;
} {
  const root = fields(value);
  const causes = list(fields(root['details'])['causes']);
  // An exec's exit code travels as a cause: https://pkg.go.dev/k8s.io/apimachinery/pkg/util/remotecommand#NonZeroExitCodeReason
  const cause = causes.find((candidate) => candidate['reason'] === 'ExitCode');
  const exitCode = cause && /^\d{1,3}$/.test(text(cause['message'])) ? Number(cause['message']) : undefined;
  return {
    status: text(root['status']),
    code: number(root['code']),
    reason: text(root['reason']),
    message: words(root['message']),
    exitCode,
  };
}

function toContainerStatuses(value: unknown): readonly ContainerStatus[] {
  const statuses = list(value);
  const maxWords = Math.min(MAX_WORDS, Math.floor(MAX_WORDS_OF_ALL / statuses.length));
  return statuses.map(({ name, image, ready, restartCount, state, lastState }) => ({
    name: text(name),
    image: text(image, MAX_IMAGE),
    isReady: ready === true,
    restartCount: number(restartCount),
    state: toContainerState(fields(state), maxWords),
    lastState: toContainerState(fields(lastState), maxWords),
  }));
}

function toContainerState({ waiting, running, terminated }: Fields, maxWords: number): ContainerState {
  if (terminated) {
    const { exitCode, reason, message } = fields(terminated);
    return { kind: 'terminated', exitCode: number(exitCode), reason: text(reason), message: text(message, maxWords) };
  }
  if (running) return { kind: 'running' };
  if (waiting) {
    const { reason, message } = fields(waiting);
    return { kind: 'waiting', reason: text(reason), message: text(message, maxWords) };
  }
  return { kind: 'unknown' };
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function list(value: unknown, maxLength: number = MAX_LIST): readonly Fields[] {
  return Array.isArray(value) ? value.slice(0, maxLength).map(fields) : [];
}

/** Cut here, where it is read, so that nothing behind has to bear a text of megabytes. */
function text(value: unknown, maxLength: number = MAX_NAME): string {
  return typeof value === 'string' ? toBeginning(value, maxLength) : '';
}

function words(value: unknown): string {
  return text(value, MAX_WORDS);
}

/** Of labels or annotations those that c3 writes: what others put there nobody reads. */
function ownTexts(value: unknown): Readonly<Record<string, string>> {
  const given = fields(value);
  return Object.fromEntries(
    OWN_NAMES.flatMap((name) => (Object.hasOwn(given, name) ? [[name, text(given[name], MAX_ANNOTATION)]] : [])),
  );
}

/** The first characters of a text, as a text of their own: a mere slice would keep all of it in memory. */
export function toBeginning(value: string, maxLength: number): string {
  return value.length > maxLength ? Buffer.from(value.slice(0, maxLength)).toString() : value;
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
