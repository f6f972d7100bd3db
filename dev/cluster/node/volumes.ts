import { chmod, mkdir, realpath, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Container, Pod, Volume } from '../objects.ts';

export type VolumeAnswer =
  | { readonly kind: 'ready'; readonly sources: ReadonlyMap<string, string> }
  | { readonly kind: 'failed'; readonly message: string };

/**
 * Creates a Pod's volumes; resolves with the real path of each on the machine. An emptyDir is a directory of the Pod
 * that everybody can write. A hostPath without a type that does not exist is an empty directory of the Pod: a
 * container runtime would create it on the machine, which a development kit must not. Secrets and ConfigMaps do not
 * exist in this cluster, so only optional ones are accepted. Other kinds of volumes are refused with a message.
 */
export async function openVolumes(pod: Pod, directory: string): Promise<VolumeAnswer> {
  const sources = new Map<string, string>();
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const mounted = new Set(containers.flatMap(({ volumeMounts }) => volumeMounts?.map(({ name }) => name) ?? []));
  for (const volume of pod.spec.volumes ?? []) {
    // Like the kubelet, only volumes that a container mounts.
    if (!mounted.has(volume.name)) continue;
    const own = join(directory, volume.name);
    const answer = await openVolume(volume, own);
    if (answer.problem !== undefined) {
      return { kind: 'failed', message: `MountVolume.SetUp failed for volume "${volume.name}" : ${answer.problem}` };
    }
    sources.set(volume.name, answer.source);
  }
  return { kind: 'ready', sources };
}

async function openVolume(volume: Volume, own: string): Promise<{ source: string; problem?: string }> {
  const { hostPath, secret, configMap } = volume;
  if (hostPath) return openHostPath(hostPath, own);
  if (secret && secret.optional !== true) {
    return { source: own, problem: `secret "${secret.secretName ?? ''}" not found` };
  }
  if (configMap && configMap.optional !== true) {
    return { source: own, problem: `configmap "${configMap.name ?? ''}" not found` };
  }
  if (volume.emptyDir || secret || configMap) {
    await makeSharedDirectory(own);
    return { source: own };
  }
  const kinds = Object.keys(volume).filter((key) => key !== 'name');
  if (kinds.length > 0)
    return { source: own, problem: `the embedded cluster has no volumes of kind ${kinds.join(', ')}` };
  await makeSharedDirectory(own);
  return { source: own };
}

async function openHostPath(
  { path, type = '' }: { path: string; type?: string },
  own: string,
): Promise<{ source: string; problem?: string }> {
  const found = await stat(path).catch(() => undefined);
  if (!found) {
    if (type === 'DirectoryOrCreate') await mkdir(path, { recursive: true, mode: 0o755 });
    else if (type === 'FileOrCreate') await writeFile(path, '', { mode: 0o644 });
    else if (type === '') {
      await makeSharedDirectory(own);
      return { source: own };
    }
  }
  const isRight =
    type === '' ||
    type.endsWith('OrCreate') ||
    (type === 'Directory' && found?.isDirectory()) ||
    (type === 'File' && found?.isFile()) ||
    (type === 'Socket' && found?.isSocket());
  if (!isRight) return { source: path, problem: `hostPath type check failed: ${path} is not a ${type.toLowerCase()}` };
  return { source: await realpath(path) };
}

async function makeSharedDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  // `mode` is not enough: the process's umask applies to it.
  await chmod(directory, 0o777);
}

/** Returns the mounts of a container. */
export async function toMounts(
  container: Container,
  sources: ReadonlyMap<string, string>,
): Promise<{ source: string; target: string; isReadOnly: boolean }[]> {
  const mounts = [];
  for (const mount of container.volumeMounts ?? []) {
    const volume = sources.get(mount.name) ?? '';
    const source = mount.subPath === undefined ? volume : join(volume, mount.subPath);
    if (mount.subPath !== undefined) await mkdir(source, { recursive: true }).catch(() => undefined);
    mounts.push({ source, target: mount.mountPath, isReadOnly: mount.readOnly === true });
  }
  return mounts;
}
