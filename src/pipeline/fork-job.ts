import { readArray, readObject, readString, type UnknownObject } from '../json.ts';
import type { JsonObject } from './pipeline.ts';

/** The label of every Pod that runs the commits of a fork. An operator can write a network policy for it. */
const TRUST_LABEL = 'c3/trust';

/**
 * Changes the job for the build of a fork: its Pod gets no token of its service account, and the label
 * `c3/trust: fork` (A3).
 */
export function toForkJob(manifest: JsonObject): JsonObject {
  const metadata = readObject(manifest['metadata']);
  const labels = { ...readObject(metadata['labels']), [TRUST_LABEL]: 'fork' };
  const spec = { ...readObject(manifest['spec']), automountServiceAccountToken: false };
  return { ...manifest, metadata: { ...metadata, labels }, spec };
}

/** The sources of volumes that hold nothing secret and that no other build uses. */
const HARMLESS_VOLUMES: readonly string[] = ['emptyDir', 'configMap', 'downwardAPI', 'ephemeral', 'image'];
/** The same for the parts of a projected volume. */
const HARMLESS_PROJECTIONS: readonly string[] = ['configMap', 'downwardAPI', 'clusterTrustBundle'];

/**
 * Lists what in a job a stranger's commit could read or change for others, a sentence each: Secrets of the cluster, tokens
 * of service accounts, and volumes that outlive the Pod (A3). Pure.
 */
export function findForkFaults(manifest: JsonObject): readonly string[] {
  const spec = readObject(manifest['spec']);
  const volumes = readArray(spec['volumes']).map(readObject).flatMap(findVolumeFaults);
  const containers = ['initContainers', 'containers', 'ephemeralContainers'].flatMap((key) =>
    readArray(spec[key]).map(readObject),
  );
  return [...volumes, ...containers.flatMap(findContainerFaults)].map(
    (fault) => `the build of a fork may not use this job: ${fault}`,
  );
}

function findVolumeFaults({ name, ...source }: UnknownObject): readonly string[] {
  const volume = `volume "${readString(name) ?? ''}"`;
  const kinds = Object.keys(source);
  if (kinds.every((kind) => HARMLESS_VOLUMES.includes(kind))) return [];
  if (kinds[0] !== 'projected') return [`${volume} (${kinds.join(', ')}) can hold secrets or files of other builds`];
  const parts = readArray(readObject(source['projected'])['sources']).map(readObject).flatMap(Object.keys);
  const faults = parts.filter((part) => !HARMLESS_PROJECTIONS.includes(part));
  return faults.map((part) => `${volume} contains a ${part}`);
}

function findContainerFaults({ name, env, envFrom }: UnknownObject): readonly string[] {
  const container = `container "${readString(name) ?? ''}"`;
  const variables = readArray(env)
    .map(readObject)
    .filter((variable) => 'secretKeyRef' in readObject(variable['valueFrom']));
  const sources = readArray(envFrom).filter((source) => 'secretRef' in readObject(source));
  return [
    ...variables.map(
      (variable) => `${container} reads a Secret into the variable "${readString(variable['name']) ?? ''}"`,
    ),
    ...sources.map(() => `${container} reads a Secret with envFrom`),
  ];
}
