import { createHash } from 'node:crypto';
import type { WorkspaceQuery } from '../engine/cluster.ts';
import type { JsonObject, JsonValue } from '../pipeline/pipeline.ts';
import type { Pod } from './api-types.ts';
import { findDisruption, isNodeSilent } from './pod-health.ts';
import { trimEnd } from '../trim-end.ts';

/** The Pod c3 wants: what it creates, and what tells whether an existing one is the same. */
export interface PodPlan {
  readonly namespace: string;
  readonly name: string;
  readonly specHash: string;
  /** What Pods and Leases are found by. */
  readonly labels: Readonly<Record<string, string>>;
  readonly manifest: JsonObject;
}

/** Goes into the hash: raise it when Pods made by an older c3 must not be reused. */
const FORMAT = 3;
const PREFIX = 'c3.build/';
const HASH_ANNOTATION = `${PREFIX}spec-hash`;
/** A Pod's name becomes its host name, which is cut at 63. */
const MAX_NAME_LENGTH = 63;
const HASH_LENGTH = 10;
const SUFFIX_LENGTH = 8;
/**
 * A node's autoscaler must not take the Pod from under a build. From the beginning on and as long as it lives, so that it costs
 * no request: a node that only has an idle Pod is kept until `pod.idle` is over. A job may say otherwise.
 *
 * @see https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md
 * @see https://karpenter.sh/docs/concepts/disruption/#pod-level-controls
 */
const UNDISTURBED = {
  'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
  'karpenter.sh/do-not-disrupt': 'true',
};

/** What of an order a Pod is planned from. */
type PlannedOrder = Pick<WorkspaceQuery, 'manifest' | 'scope' | 'trustClass' | 'root' | 'maxAgeMs'>;

/** The Pod of a build: its own when it is not to be reused. */
export function planBuildPod(order: WorkspaceQuery, namespace: string): PodPlan {
  return planPod(order, { namespace, ...(order.reuse ? {} : { suffix: toSuffix(order.buildId) }) });
}

/**
 * The job as c3 creates it: verbatim, but for its name, for labels and annotations under `c3.build/`, for an age limit, and for
 * `restartPolicy: Never` where the job names none (a container that restarts has lost the build's processes).
 * `suffix` makes the name that of one build, for a Pod that is not to be reused.
 */
export function planPod(order: PlannedOrder, { namespace, suffix }: { namespace: string; suffix?: string }): PodPlan {
  const { metadata, desired } = desire(order);
  const specHash = sha256(canonicalJson([FORMAT, order.scope, order.trustClass, order.root, desired]));
  const ending = `-${specHash.slice(0, HASH_LENGTH)}${suffix === undefined ? '' : `-${suffix}`}`;
  const name = `${toStem(metadata['name'], MAX_NAME_LENGTH - ending.length)}${ending}`;
  const inNamespace = metadata['namespace'];
  const labels = {
    'app.kubernetes.io/managed-by': 'c3',
    // A label holds at most 63 characters of a small alphabet: the hash is for selectors, the annotation for people.
    [`${PREFIX}scope`]: sha256(order.scope).slice(0, 32),
    [`${PREFIX}trust`]: order.trustClass,
    [`${PREFIX}job`]: toStem(metadata['name'], MAX_NAME_LENGTH),
  };
  return {
    // What is longer is no namespace's name, and neither is its beginning.
    namespace: typeof inNamespace === 'string' ? inNamespace.slice(0, MAX_NAME_LENGTH + 1) : namespace,
    name,
    specHash,
    labels,
    manifest: {
      ...desired,
      metadata: {
        ...metadata,
        name,
        labels: { ...asObject(metadata['labels']), ...labels },
        annotations: {
          ...UNDISTURBED,
          ...asObject(metadata['annotations']),
          [`${PREFIX}scope`]: order.scope,
          [HASH_ANNOTATION]: specHash,
        },
      },
    },
  };
}

/** The suffix of a build that wants a Pod for itself: whoever takes the build up again finds the same Pod by it. */
export function toSuffix(buildId: string): string {
  return sha256(buildId).slice(0, SUFFIX_LENGTH);
}

/** Labels of everything of the plan's repository in its namespace. */
export function toScopeLabels({ labels }: PodPlan): Readonly<Record<string, string>> {
  const scope = `${PREFIX}scope`;
  return { 'app.kubernetes.io/managed-by': 'c3', [scope]: labels[scope] ?? '' };
}

/** Whether a Lease or Pod with these labels was made for the same job, before that was changed. */
export function isFormer(labels: Readonly<Record<string, string>>, plan: PodPlan): boolean {
  return Object.entries(plan.labels).every(([name, value]) => labels[name] === value);
}

/** Whether a Pod was made from this plan. */
export function isPlanned(pod: Pod, plan: PodPlan): boolean {
  return pod.annotations[HASH_ANNOTATION] === plan.specHash;
}

/** Why an existing Pod of the planned name must be replaced; undefined when it is exactly as expected, or about to be. */
export function findMismatch(
  pod: Pod,
  plan: PodPlan,
  { neededMs, now }: { neededMs: number; now: number },
): string | undefined {
  if (!isPlanned(pod, plan)) return 'it was made from another job';
  if (pod.isDeleting) return 'it is being deleted';
  if (findDisruption(pod)) return 'it is being evicted';
  if (isNodeSilent(pod)) return `its node "${pod.nodeName}" does not answer`;
  if (pod.phase !== 'Running' && pod.phase !== 'Pending') return `it is ${pod.phase || 'in an unknown phase'}`;
  const restarted = pod.containers.find((container) => container.restartCount > 0);
  if (restarted) return `container "${restarted.name}" has restarted`;
  const ended = pod.containers.find((container) => container.state.kind === 'terminated');
  if (ended) return `container "${ended.name}" has ended`;
  if (pod.activeDeadlineSeconds === undefined) return 'it has no age limit';
  const endsAt = (pod.startedAt ?? now) + pod.activeDeadlineSeconds * 1000;
  return endsAt - now < neededMs ? 'it is too old for another build' : undefined;
}

function desire(order: PlannedOrder): { metadata: JsonObject; desired: JsonObject } {
  const { status: _status, metadata: given, spec: givenSpec, ...rest } = order.manifest;
  const { generateName: _generateName, ...metadata } = asObject(given ?? null);
  const own = {
    ...metadata,
    labels: withoutPrefix(metadata['labels']),
    annotations: withoutPrefix(metadata['annotations']),
  };
  const spec = asObject(givenSpec ?? null);
  const maxSeconds = Math.max(1, Math.ceil(order.maxAgeMs / 1000));
  const asked = spec['activeDeadlineSeconds'];
  const desired = {
    ...rest,
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: own,
    spec: {
      restartPolicy: 'Never',
      ...spec,
      activeDeadlineSeconds: typeof asked === 'number' ? Math.min(asked, maxSeconds) : maxSeconds,
    },
  };
  return { metadata: own, desired };
}

/** What is under `c3.build/` only c3 says: a job that brings its own is not believed. */
function withoutPrefix(value: JsonValue | undefined): JsonObject {
  return Object.fromEntries(Object.entries(asObject(value ?? null)).filter(([name]) => !name.startsWith(PREFIX)));
}

function toStem(name: JsonValue | undefined, maxLength: number): string {
  const stem = (typeof name === 'string' ? name : '').toLowerCase().replaceAll(/[^a-z0-9-]/g, '-');
  return trimEnd(stem.replace(/^-+/, '').slice(0, maxLength), '-') || 'job';
}

function asObject(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** JSON with sorted keys: the same for the same value, however it was written. */
export function canonicalJson(value: JsonValue): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${(value as readonly JsonValue[]).map(canonicalJson).join(',')}]`;
  const members = Object.entries(value as JsonObject).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}
