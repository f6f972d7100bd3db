import type { Job, JsonObject } from '../pipeline.ts';
import type { Located, ProblemList } from '../problem-list.ts';
import { quote } from '../problem-list.ts';
import { child, readText, toMap } from './read-value.ts';
import { suggest } from '../suggest.ts';
import type { YamlMap, YamlNode } from '../yaml-tree.ts';
import { describe, toJson } from '../yaml-tree.ts';
import { trimEnd } from '../../trim-end.ts';

export interface JobAnswer {
  readonly job: Job;
  readonly containers: ReadonlyMap<string, JobContainer>;
}

/** Placed at its name. */
export interface JobContainer extends Located {
  readonly node: YamlMap;
  readonly mountPaths: readonly string[];
}

/** A label has 63 characters: room for a hyphen and a hash. */
export const MAX_POD_NAME_LENGTH = 45;

/** @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names */
export const LABEL_PATTERN: RegExp = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/u;

/**
 * The Pod. Only what c3 itself relies on is checked; everything else is the cluster's to judge and goes there verbatim.
 * `undefined` when its containers cannot be told.
 */
export function readJob(node: YamlNode, problems: ProblemList): JobAnswer | undefined {
  const map = toMap(node, 'job', problems);
  if (map === undefined) return undefined;
  checkKind(map, problems);
  const name = readName(map, problems);
  const containers = readContainers(map, problems);
  if (containers === undefined) return undefined;
  const manifest = toJson(map) as JsonObject;
  return { job: { manifest, name: name ?? '', containers: [...containers.keys()] }, containers };
}

function checkKind(map: YamlMap, problems: ProblemList): void {
  for (const [key, expected] of [
    ['apiVersion', 'v1'],
    ['kind', 'Pod'],
  ] as const) {
    const node = child(map, key);
    if (node?.kind === 'scalar' && node.value === expected) continue;
    const hint = 'c3 runs a plain Pod: apiVersion v1, kind Pod';
    if (node === undefined) problems.error(map, `job.${key} is missing`, `add \`${key}: ${expected}\``);
    else problems.error(node, `job.${key} must be "${expected}", not ${describe(node)}`, hint);
  }
}

function readName(map: YamlMap, problems: ProblemList): string | undefined {
  const metadataNode = child(map, 'metadata');
  const metadata = metadataNode === undefined ? undefined : toMap(metadataNode, 'job.metadata', problems);
  if (metadataNode !== undefined && metadata === undefined) return undefined;
  const node = child(metadata, 'name');
  if (node === undefined) {
    problems.error(metadata ?? map, 'job.metadata.name is missing', 'c3 appends a hash to it to name the Pod');
    return undefined;
  }
  const name = readText(node, 'job.metadata.name', problems);
  if (name === undefined || (LABEL_PATTERN.test(name) && name.length <= MAX_POD_NAME_LENGTH)) return name;
  const hint = `lower-case letters, digits and "-", at most ${MAX_POD_NAME_LENGTH}: c3 appends a hash`;
  problems.error(node, `job.metadata.name ${quote(name)} cannot name a Pod`, hint);
  return undefined;
}

function readContainers(map: YamlMap, problems: ProblemList): Map<string, JobContainer> | undefined {
  const specNode = child(map, 'spec');
  const spec = specNode === undefined ? undefined : toMap(specNode, 'job.spec', problems);
  if (specNode !== undefined && spec === undefined) return undefined;
  const list = child(spec, 'containers');
  if (list === undefined) {
    problems.error(spec ?? map, 'job.spec.containers is missing', 'steps run in the containers of the Pod');
    return undefined;
  }
  if (list.kind !== 'list' || list.items.length === 0) {
    const actual = list.kind === 'list' ? 'an empty one' : describe(list);
    problems.error(list, `job.spec.containers must be a list of containers, not ${actual}`);
    return undefined;
  }
  const containers = new Map<string, JobContainer>();
  const volumes = readVolumeNames(spec);
  let isComplete = true;
  for (const item of list.items) {
    const container = toMap(item, 'a container', problems);
    if (container === undefined || !addContainer(container, containers, problems)) isComplete = false;
    if (container !== undefined) checkContainer(container, volumes, problems);
  }
  return isComplete ? containers : undefined;
}

/** False when its name cannot be told. */
function addContainer(container: YamlMap, containers: Map<string, JobContainer>, problems: ProblemList): boolean {
  const node = child(container, 'name');
  if (node === undefined) {
    problems.error(container, 'the container has no name', 'steps call it by its name');
    return false;
  }
  const name = readText(node, 'the name of a container', problems);
  if (name === undefined) return false;
  if (!LABEL_PATTERN.test(name)) {
    problems.error(node, `${quote(name)} cannot name a container`, 'lower-case letters, digits and "-", at most 63');
    return false;
  }
  if (containers.has(name)) {
    problems.error(node, `two containers are named ${quote(name)}`);
  } else {
    containers.set(name, { start: node.start, end: node.end, node: container, mountPaths: readMountPaths(container) });
  }
  return true;
}

/** What the API server refuses, said before it is asked. */
function checkContainer(container: YamlMap, volumes: ReadonlySet<string>, problems: ProblemList): void {
  for (const key of ['command', 'args']) {
    const node = child(container, key);
    if (node === undefined) continue;
    if (node.kind === 'list') for (const item of node.items) readText(item, `a word of ${key}`, problems);
    else problems.error(node, `${key} of a container must be a list, not ${describe(node)}`, `write \`${key}: [...]\``);
  }
  const mounts = child(container, 'volumeMounts');
  for (const mount of mounts?.kind === 'list' ? mounts.items : []) {
    const name = mount.kind === 'map' ? child(mount, 'name') : undefined;
    if (name?.kind !== 'scalar' || typeof name.value !== 'string' || volumes.has(name.value)) continue;
    const meant = suggest(name.value, volumes);
    const missing = LABEL_PATTERN.test(name.value)
      ? `add \`{name: ${name.value}, emptyDir: {}}\` to spec.volumes`
      : undefined;
    const hint = meant === undefined ? missing : `did you mean ${quote(meant)}?`;
    problems.error(name, `the job has no volume ${quote(name.value)}`, hint);
  }
}

function readVolumeNames(spec: YamlMap | undefined): ReadonlySet<string> {
  const volumes = child(spec, 'volumes');
  const names = (volumes?.kind === 'list' ? volumes.items : []).map((volume) =>
    volume.kind === 'map' ? child(volume, 'name') : undefined,
  );
  return new Set(
    names.flatMap((name) => (name?.kind === 'scalar' && typeof name.value === 'string' ? [name.value] : [])),
  );
}

function readMountPaths(container: YamlMap): string[] {
  const mounts = child(container, 'volumeMounts');
  const paths: string[] = [];
  for (const mount of mounts?.kind === 'list' ? mounts.items : []) {
    const path = mount.kind === 'map' ? child(mount, 'mountPath') : undefined;
    if (path?.kind === 'scalar' && typeof path.value === 'string') paths.push(trimEnd(path.value, '/'));
  }
  return paths;
}
