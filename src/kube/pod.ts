import { createHash } from 'node:crypto';
import type { WorkspaceQuery } from '../engine/cluster.ts';
import type { JsonObject, JsonValue } from '../pipeline/pipeline.ts';
import type { Pod } from './api-types.ts';
import { findDisruption, isNodeSilent } from './pod-health.ts';
import { trimEnd } from '../trim-end.ts';

/** The Pod that c3 wants for a job. It decides what c3 creates, and whether an existing Pod is the same. */
export interface PodPlan {
  readonly namespace: string;
  readonly name: string;
  readonly specHash: string;
  /** The labels of the Pod and its Lease. */
  readonly labels: Readonly<Record<string, string>>;
  readonly manifest: JsonObject;
}

/** Part of the hash. Raise it when Pods of an older c3 must not be reused. */
const FORMAT = 4;
const PREFIX = 'c3.build/';
const HASH_ANNOTATION = `${PREFIX}spec-hash`;
/** A Pod's name becomes its host name, which is cut after 63 characters. */
const MAX_NAME_LENGTH = 63;
const HASH_LENGTH = 10;
const SUFFIX_LENGTH = 8;
/**
 * An autoscaler must not evict the Pod during a build. The annotations stay for the Pod's lifetime, so that they cost
 * no request. So a node with only an idle Pod is kept until the Pod's idle time is over. A job may set other values.
 *
 * @see https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md
 * @see https://karpenter.sh/docs/concepts/disruption/#pod-level-controls
 */
const DO_NOT_EVICT = {
  'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
  'karpenter.sh/do-not-disrupt': 'true',
};

/** The part of a request that decides the Pod. */
type PodRequest = Pick<WorkspaceQuery, 'manifest' | 'scope' | 'owner' | 'root' | 'maxAgeMs'>;

/** Plans the Pod of a build. If Pods are not reused, each build has its own. */
export function planBuildPod(query: WorkspaceQuery, namespace: string): PodPlan {
  return planPod(query, { namespace, ...(query.reuse ? {} : { suffix: toSuffix(query.buildId) }) });
}

/**
 * Plans the Pod of a job. The job stays verbatim, except for its name, labels and annotations under `c3.build/`, an
 * age limit, and `restartPolicy: Never` where the job has none, because a container that restarts has lost the
 * build's processes.
 *
 * @param suffix makes the name unique for one build, for a Pod that is not reused
 */
export function planPod(request: PodRequest, { namespace, suffix }: { namespace: string; suffix?: string }): PodPlan {
  const manifest = toManifest(request);
  const { metadata } = manifest;
  const specHash = sha256(canonicalJson([FORMAT, request.scope, request.owner, request.root, manifest]));
  const ending = `-${specHash.slice(0, HASH_LENGTH)}${suffix === undefined ? '' : `-${suffix}`}`;
  const name = `${toStem(metadata['name'], MAX_NAME_LENGTH - ending.length)}${ending}`;
  const inNamespace = metadata['namespace'];
  const labels = {
    'app.kubernetes.io/managed-by': 'c3',
    // A label has at most 63 characters of a small alphabet. So selectors use the hash, and people read the
    // annotation.
    [`${PREFIX}scope`]: sha256(request.scope).slice(0, 32),
    [`${PREFIX}owner`]: sha256(request.owner).slice(0, 32),
    [`${PREFIX}job`]: toStem(metadata['name'], MAX_NAME_LENGTH),
  };
  const annotations = {
    [`${PREFIX}scope`]: request.scope,
    [`${PREFIX}owner`]: request.owner,
    [HASH_ANNOTATION]: specHash,
  };
  return {
    // Cut to one character more than a valid name, so that it stays invalid.
    namespace: typeof inNamespace === 'string' ? inNamespace.slice(0, MAX_NAME_LENGTH + 1) : namespace,
    name,
    specHash,
    labels,
    manifest: {
      ...manifest,
      metadata: {
        ...metadata,
        name,
        labels: { ...metadata.labels, ...labels },
        annotations: { ...DO_NOT_EVICT, ...metadata.annotations, ...annotations },
      },
    },
  };
}

/** Computes the name suffix of a build with its own Pod. A c3 that resumes the build finds the Pod by it. */
export function toSuffix(buildId: string): string {
  return sha256(buildId).slice(0, SUFFIX_LENGTH);
}

/** Returns the labels of all Pods and Leases of the plan's repository. */
export function toScopeLabels({ labels }: PodPlan): Readonly<Record<string, string>> {
  const scope = `${PREFIX}scope`;
  return { 'app.kubernetes.io/managed-by': 'c3', [scope]: labels[scope] ?? '' };
}

/** Returns whether a Lease or Pod with these labels belongs to an earlier version of the plan's job. */
export function isFormerJob(labels: Readonly<Record<string, string>>, plan: PodPlan): boolean {
  return Object.entries(plan.labels).every(([name, value]) => labels[name] === value);
}

/** Returns whether a Pod was created from this plan. */
export function isPlanned(pod: Pod, plan: PodPlan): boolean {
  return pod.annotations[HASH_ANNOTATION] === plan.specHash;
}

/**
 * Describes why an existing Pod with the planned name must be replaced; undefined when it matches the plan, or may
 * soon.
 */
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
  const broken = pod.sidecars.find(({ state }) => state.kind !== 'running');
  if (broken && pod.phase === 'Running') return `sidecar "${broken.name}" does not run`;
  if (pod.activeDeadlineSeconds === undefined) return 'it has no age limit';
  const endsAt = (pod.startedAt ?? now) + pod.activeDeadlineSeconds * 1000;
  return endsAt - now < neededMs ? 'it is too old for another build' : undefined;
}

/** Returns the Pod of the job without what decides its name. */
function toManifest({ manifest, maxAgeMs }: PodRequest) {
  const { status: _status, metadata: given, spec: givenSpec, ...rest } = manifest;
  const { generateName: _generateName, ...metadata } = asObject(given);
  const [labels, annotations] = [withoutPrefix(metadata['labels']), withoutPrefix(metadata['annotations'])];
  const spec = asObject(givenSpec);
  const maxSeconds = Math.max(1, Math.ceil(maxAgeMs / 1000));
  const asked = spec['activeDeadlineSeconds'];
  return {
    ...rest,
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, labels, annotations } as JsonObject & Record<'labels' | 'annotations', JsonObject>,
    spec: {
      restartPolicy: 'Never',
      ...spec,
      // `null` would be the default of Kubernetes, which gives every container a token (threat model A7).
      automountServiceAccountToken: spec['automountServiceAccountToken'] ?? false,
      activeDeadlineSeconds: typeof asked === 'number' ? Math.min(asked, maxSeconds) : maxSeconds,
    },
  };
}

/** Removes what a job claims under `c3.build/`. Only c3 sets these labels and annotations (threat model A3). */
function withoutPrefix(value: JsonValue | undefined): JsonObject {
  return Object.fromEntries(Object.entries(asObject(value)).filter(([name]) => !name.startsWith(PREFIX)));
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

/** Formats JSON with sorted keys, so that equal values have equal texts. */
export function canonicalJson(value: JsonValue): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${(value as readonly JsonValue[]).map(canonicalJson).join(',')}]`;
  const members = Object.entries(value as JsonObject).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}
