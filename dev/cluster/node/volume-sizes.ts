import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Pod } from '../objects.ts';

/** The kubelet looks every 10 s; nobody wants to wait as long for a test. */
const LOOK_EVERY_MS = 250;

/**
 * Tells, once, when an emptyDir has outgrown its `sizeLimit`, in the kubelet's words. Returns the function that ends it.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/eviction/eviction_manager.go emptyDirLimitEviction
 */
export function watchSizes(
  pod: Pod,
  sources: ReadonlyMap<string, string>,
  onExceeded: (message: string) => void,
): () => void {
  const limits = (pod.spec.volumes ?? []).flatMap(({ name, emptyDir }) => {
    const source = sources.get(name);
    const limit = emptyDir?.sizeLimit;
    return source === undefined || limit === undefined ? [] : [{ name, source, limit: String(limit) }];
  });
  if (limits.length === 0) return () => undefined;
  let isOver = false;
  let timer = setTimeout(() => void look(), LOOK_EVERY_MS).unref();

  async function look(): Promise<void> {
    for (const { name, source, limit } of limits) {
      const size = await measure(source);
      if (isOver) return;
      if (size <= toBytes(limit)) continue;
      isOver = true;
      onExceeded(`Usage of EmptyDir volume "${name}" exceeds the limit "${limit}". `);
      return;
    }
    timer = setTimeout(() => void look(), LOOK_EVERY_MS).unref();
  }
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** Of all files; what disappears meanwhile counts as nothing. */
async function measure(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  let size = 0;
  for (const entry of entries) {
    const found = await lstat(join(entry.parentPath, entry.name)).catch(() => undefined);
    size += found?.isFile() ? found.size : 0;
  }
  return size;
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

/** A quantity as Kubernetes writes it; what is none of the usual ones limits nothing. */
function toBytes(quantity: string): number {
  const [, number = '', unit = ''] = /^([\d.]+)([A-Za-z]*)$/.exec(quantity) ?? [];
  return Number(number) * (UNITS[unit] ?? Number.POSITIVE_INFINITY) || Number.POSITIVE_INFINITY;
}
