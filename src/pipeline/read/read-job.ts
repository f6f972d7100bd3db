import { trimEnd } from '../../trim-end.ts';
import type { Job, JsonObject } from '../pipeline.ts';
import type { Located, ProblemList } from '../problem-list.ts';
import { quote } from '../problem-list.ts';
import { suggest } from '../suggest.ts';
import type { YamlMap, YamlNode } from '../yaml-tree.ts';
import { toJson } from '../yaml-tree.ts';
import { checkTexts, readAsKubectl } from './as-kubectl.ts';
import { child, childMap, describeKind, itemsOf, readText, textOf, toMap } from './read-value.ts';

export interface JobResult {
  readonly job: Job;
  readonly containers: Containers;
  /** The names of the init containers, among them the native sidecars. */
  readonly initContainers: ReadonlySet<string>;
  /** By name. */
  readonly volumes: ReadonlyMap<string, YamlNode>;
}

/** By name, in order. */
export type Containers = ReadonlyMap<string, JobContainer>;

/** Located at its name. */
export interface JobContainer extends Located {
  readonly node: YamlMap;
  /**
   * What messages call it: `container "git"`. Without the name when an alias can lead to it, because it can be a
   * secret.
   */
  readonly label: string;
  readonly isShared: boolean;
  readonly mountPaths: readonly string[];
  /** Its `securityContext.runAsUser`, or that of the Pod. Undefined when the image decides. */
  readonly user: number | undefined;
}

/** A label has 63 characters: this leaves room for a hyphen and a hash. */
export const MAX_POD_NAME_LENGTH = 45;

/** @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names */
export const LABEL_PATTERN: RegExp = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/u;

/**
 * Reads the Pod. Checks what c3 itself needs and where a text must be; the cluster checks the rest, which it gets as
 * kubectl would send it. Returns undefined when the containers are unknown.
 */
export function readJob(node: YamlNode, problems: ProblemList): JobResult | undefined {
  const source = toMap(node, 'job', problems);
  if (source === undefined) return undefined;
  const map = readAsKubectl(source, problems);
  checkKind(map, problems);
  checkTexts(map, problems);
  const name = readPodName(map, problems);
  const containers = readContainers(map, problems);
  if (containers === undefined) return undefined;
  const manifest = toJson(map) as JsonObject;
  const spec = childMap(map, 'spec');
  const volumes = new Map(itemsOf(child(spec, 'volumes')).map((volume) => [nameOf(volume), volume]));
  const initContainers = new Set(itemsOf(child(spec, 'initContainers')).map(nameOf));
  const job = { manifest, name: name ?? '', containers: [...containers.keys()] };
  return { job, containers, initContainers, volumes };
}

function nameOf(item: YamlMap): string {
  return textOf(child(item, 'name')) ?? '';
}

/** Says which container the author may have meant, or which there are. */
export function hintContainer(
  name: string,
  { containers, initContainers }: Pick<JobResult, 'containers' | 'initContainers'>,
): string {
  if (initContainers.has(name))
    return 'steps cannot run in an init container or a sidecar: move it to job.spec.containers';
  const names = [...containers].filter(([, { isShared }]) => !isShared).map(([known]) => known);
  const meant = suggest(name, names);
  return meant === undefined ? `it has ${names.slice(0, 10).join(', ')}` : `did you mean "${meant}"?`;
}

function checkKind(map: YamlMap, problems: ProblemList): void {
  for (const [key, expected] of Object.entries({ apiVersion: 'v1', kind: 'Pod' })) {
    const node = child(map, key);
    if (textOf(node) === expected) continue;
    const hint = 'c3 runs a plain Pod: apiVersion v1, kind Pod';
    if (node === undefined) problems.error(map, `job.${key} is missing`, `add \`${key}: ${expected}\``);
    else problems.error(node, `job.${key} must be "${expected}"`, hint);
  }
}

function readPodName(map: YamlMap, problems: ProblemList): string | undefined {
  const metadataNode = child(map, 'metadata');
  const metadata = metadataNode && toMap(metadataNode, 'job.metadata', problems);
  if (metadataNode !== undefined && metadata === undefined) return undefined;
  const node = child(metadata, 'name');
  if (node === undefined) {
    problems.error(metadata ?? map, 'job.metadata.name is missing', 'c3 adds a hash to it to name the Pod');
    return undefined;
  }
  const name = readText(node, 'job.metadata.name', problems);
  if (name === undefined || (LABEL_PATTERN.test(name) && name.length <= MAX_POD_NAME_LENGTH)) return name;
  const hint = `lower-case letters, digits and "-", at most ${MAX_POD_NAME_LENGTH}: c3 adds a hash`;
  problems.error(node, 'job.metadata.name cannot be the name of a Pod', hint);
  return undefined;
}

function readContainers(map: YamlMap, problems: ProblemList): Containers | undefined {
  const specNode = child(map, 'spec');
  const spec = specNode && toMap(specNode, 'job.spec', problems);
  if (specNode !== undefined && spec === undefined) return undefined;
  const list = child(spec, 'containers');
  if (list === undefined) {
    problems.error(spec ?? map, 'job.spec.containers is missing', 'steps run in the containers of the Pod');
    return undefined;
  }
  if (list.kind !== 'list' || list.items.length === 0) {
    const actual = list.kind === 'list' ? 'an empty one' : describeKind(list);
    problems.error(list, `job.spec.containers must be a list of containers, not ${actual}`);
    return undefined;
  }
  const containers = new Map<string, JobContainer>();
  const podUser = readUser(spec);
  const volumes = itemsOf(child(spec, 'volumes')).flatMap((volume) => child(volume, 'name') ?? []);
  let isComplete = true;
  for (const item of list.items) {
    const container = toMap(item, 'a container', problems);
    if (container === undefined || !addContainer(container, { containers, podUser, problems })) isComplete = false;
    if (container !== undefined) checkContainer(container, volumes, problems);
  }
  return isComplete ? containers : undefined;
}

/** Returns false when the name is unknown. */
function addContainer(
  container: YamlMap,
  {
    containers,
    podUser,
    problems,
  }: {
    readonly containers: Map<string, JobContainer>;
    readonly podUser: number | undefined;
    readonly problems: ProblemList;
  },
): boolean {
  const node = child(container, 'name');
  if (node === undefined) {
    problems.error(container, 'the container has no name', 'steps refer to it by its name');
    return false;
  }
  const name = readText(node, 'the name of a container', problems);
  if (name === undefined) return false;
  if (!LABEL_PATTERN.test(name)) {
    const hint = 'lower-case letters, digits and "-", at most 63';
    problems.error(node, 'this cannot be the name of a container', hint);
    return false;
  }
  const { start, end, isShared } = node;
  const label = isShared ? 'this container' : `container ${quote(name)}`;
  const mounts = itemsOf(child(container, 'volumeMounts'));
  const mountPaths = mounts
    .flatMap((mount) => textOf(child(mount, 'mountPath')) ?? [])
    .map((path) => trimEnd(path, '/'));
  if (containers.has(name)) problems.error(node, `${label} has the name of another container`);
  else
    containers.set(name, {
      start,
      end,
      node: container,
      label,
      isShared,
      mountPaths,
      user: readUser(container) ?? podUser,
    });
  return true;
}

function readUser(holder: YamlMap | undefined): number | undefined {
  const user = child(childMap(holder, 'securityContext'), 'runAsUser');
  return user?.kind === 'scalar' && typeof user.value === 'number' ? user.value : undefined;
}

/** Reports early what the API server would refuse. */
function checkContainer(container: YamlMap, volumes: readonly YamlNode[], problems: ProblemList): void {
  for (const key of ['command', 'args']) {
    const node = child(container, key);
    if (node === undefined) continue;
    if (node.kind === 'list') for (const item of node.items) readText(item, `a word of ${key}`, problems);
    else
      problems.error(
        node,
        `${key} of a container must be a list, not ${describeKind(node)}`,
        `write \`${key}: [...]\``,
      );
  }
  const known = new Set(volumes.map(textOf));
  for (const mount of itemsOf(child(container, 'volumeMounts'))) {
    const node = child(mount, 'name');
    const name = textOf(node);
    if (node === undefined || name === undefined || known.has(name)) continue;
    const names = volumes.filter(({ isShared }) => !isShared).flatMap((volume) => textOf(volume) ?? []);
    const meant = suggest(name, names);
    const hint =
      meant === undefined ? 'add it to job.spec.volumes: `{name: …, emptyDir: {}}`' : `did you mean ${quote(meant)}?`;
    problems.error(node, 'the job has no volume with this name', hint);
  }
}
