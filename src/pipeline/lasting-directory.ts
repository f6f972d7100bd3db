import type { JsonObject, JsonValue } from './pipeline.ts';

/** A directory of the Pod that is in a volume which outlives the Pod, so that another Pod can have it at the same time. */
export interface LastingDirectory {
  /** The name of the volume in the job. */
  readonly volume: string;
  /**
   * The kind of the volume, its source and the path in it. Equal for the same directory, whatever the Pod calls its
   * volume and wherever it mounts it. The key of a directory inside begins with this key and a slash.
   */
  readonly key: string;
}

/**
 * The kinds of volumes that end with the Pod, or that no Pod can write.
 *
 * @see https://kubernetes.io/docs/concepts/storage/volumes/
 */
const OF_POD: ReadonlySet<string> = new Set(
  'emptyDir ephemeral csi gitRepo image configMap secret projected downwardAPI'.split(' '),
);

/** Members of a source that do not say which storage it is, and its path, which is a part of the key of its own. */
const NOT_IDENTITY: ReadonlySet<string> = new Set(['path', 'readOnly', 'type', 'fsType']);

/** Returns the directory of c3's own files for a commit in `path`: beside it. */
export function toBuildsRoot(path: string): string {
  return `${path.slice(0, path.lastIndexOf('/'))}/.c3`;
}

/**
 * Returns where the commit in `path` and c3's own files beside it are, in any container, as far as that is in volumes
 * that outlive the Pod. Each directory is there once, in the order of their keys. Ignores what is not a valid Pod: the
 * cluster refuses it.
 */
export function findLastingDirectories({ spec }: JsonObject, path: string): LastingDirectory[] {
  const volumes = new Map(listOf(spec, 'volumes').map((volume) => [volume['name'], volume]));
  const found = new Map<string, LastingDirectory>();
  for (const container of listOf(spec, 'containers')) {
    for (const one of [path, toBuildsRoot(path)]) {
      const mounts = listOf(container, 'volumeMounts').filter((mount) => isAbove(mountPathOf(mount), one));
      const [mount] = mounts.toSorted((a, b) => mountPathOf(b).length - mountPathOf(a).length);
      const [kind, source] = membersOf(mount && volumes.get(mount['name'])).find(([key]) => key !== 'name') ?? [];
      if (!mount || kind === undefined || OF_POD.has(kind)) continue;
      const inside = [textOf(mount['subPath']) || textOf(mount['subPathExpr']), one.slice(mountPathOf(mount).length)];
      const identity = membersOf(source).filter(([key]) => !NOT_IDENTITY.has(key));
      identity.sort(([a], [b]) => (a < b ? -1 : 1));
      const key = `${kind} ${JSON.stringify(identity)} ${join(textOf(toObject(source)['path']), ...inside)}`;
      found.set(key, { volume: textOf(mount['name']), key });
    }
  }
  return [...found.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/**
 * Returns the directories of a container that others can reach: its mounts, except an emptyDir that it has alone.
 * Ignores what is not a valid Pod: the cluster refuses it.
 */
export function findSharedMounts({ spec }: JsonObject, container: string): string[] {
  const all = [...listOf(spec, 'initContainers'), ...listOf(spec, 'containers')];
  const own = all.filter(({ name }) => name === container);
  const others = all.filter((one) => !own.includes(one)).flatMap((one) => listOf(one, 'volumeMounts'));
  const isOwn = ({ name }: JsonObject): boolean =>
    listOf(spec, 'volumes').some((volume) => volume['name'] === name && 'emptyDir' in volume) &&
    !others.some((mount) => mount['name'] === name);
  return own.flatMap((one) =>
    listOf(one, 'volumeMounts')
      .filter((mount) => !isOwn(mount))
      .map(mountPathOf),
  );
}

/** Returns an absolute path without a slash at its end; empty for the root. */
function mountPathOf(mount: JsonObject): string {
  const path = textOf(mount['mountPath']);
  return path.startsWith('/') ? join(path) : path;
}

function isAbove(mountPath: string, path: string): boolean {
  return path === mountPath || path.startsWith(`${mountPath}/`);
}

/** Joins paths below the root, and resolves `.` and `..`. Empty for the root. */
function join(...paths: readonly string[]): string {
  const names: string[] = [];
  for (const name of paths.join('/').split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names.map((name) => `/${name}`).join('');
}

function listOf(value: JsonValue | undefined, key: string): readonly JsonObject[] {
  const list = toObject(value)[key];
  return Array.isArray(list) ? list.map((item) => toObject(item as JsonValue)) : [];
}

function toObject(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

/** Returns the members of an object. For Kubernetes, absent and `null` are the same. */
function membersOf(value: JsonValue | undefined): [string, JsonValue][] {
  return Object.entries(toObject(value)).filter(([, member]) => member !== null);
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}
