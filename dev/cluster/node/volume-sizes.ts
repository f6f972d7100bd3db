import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Pod } from '../objects.ts';

/** The kubelet measures every 10 s, which is too slow for tests. */
const LOOK_EVERY_MS = 250;

/**
 * Reports once, with the kubelet's text, when an emptyDir exceeds its `sizeLimit`. Returns the function that stops
 * it.
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

/** Returns the size of all files. Files that disappear meanwhile do not count. */
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

/** Parses a Kubernetes quantity. An unknown unit means no limit. */
function toBytes(quantity: string): number {
  const [, number = '', unit = ''] = /^([\d.]+)([A-Za-z]*)$/.exec(quantity) ?? [];
  return Number(number) * (UNITS[unit] ?? Number.POSITIVE_INFINITY) || Number.POSITIVE_INFINITY;
}
