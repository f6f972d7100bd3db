import { checkoutAliases, checkoutKeys, podAliases, podKeys } from './keys.ts';
import type { Checkout, PodLife } from './pipeline.ts';
import type { Located, ProblemList } from './problem-list.ts';
import { quote } from './problem-list.ts';
import { child, readBoolean, readDuration, readInteger, readText, refuseUnknownKeys, toMap } from './read-value.ts';
import type { YamlNode } from './yaml-tree.ts';

const HOUR_MS = 3_600_000;

export const defaultTimeoutMs: number = HOUR_MS;

const defaultCheckout: Checkout = { container: 'git', path: '/c3/project', depth: 50, submodules: false, clean: true };

const defaultPodLife: PodLife = { reuse: true, idleMs: HOUR_MS, maxAgeMs: 12 * HOUR_MS };

/** `git fetch --depth` takes a 32-bit number; "everything" is what a million means in practice. */
const MAX_DEPTH = 1_000_000;

export interface CheckoutAnswer {
  readonly checkout: Checkout | false;
  /** Where `container:` is said, if it is. */
  readonly containerAt?: Located;
}

export function readCheckout(node: YamlNode | undefined, problems: ProblemList): CheckoutAnswer {
  if (node === undefined) return { checkout: defaultCheckout };
  if (node.kind === 'scalar' && node.value === false) return { checkout: false };
  if (node.kind !== 'map') {
    const hint = 'leave the key out for the usual checkout';
    problems.error(node, 'checkout must be a mapping or false', hint);
    return { checkout: defaultCheckout };
  }
  refuseUnknownKeys(node, { keys: checkoutKeys, aliases: checkoutAliases }, problems);
  const container = child(node, 'container');
  const path = child(node, 'path');
  const depth = child(node, 'depth');
  const submodules = child(node, 'submodules');
  const clean = child(node, 'clean');
  const limits = { min: 1, max: MAX_DEPTH, problems };
  const checkout: Checkout = {
    container: (container && readText(container, 'checkout.container', problems)) ?? defaultCheckout.container,
    path: (path && readPath(path, problems)) ?? defaultCheckout.path,
    depth: (depth && readInteger(depth, 'checkout.depth', limits)) ?? defaultCheckout.depth,
    submodules: (submodules && readBoolean(submodules, 'checkout.submodules', problems)) ?? defaultCheckout.submodules,
    clean: (clean && readBoolean(clean, 'checkout.clean', problems)) ?? defaultCheckout.clean,
  };
  return container === undefined ? { checkout } : { checkout, containerAt: container };
}

/** Absolute, without `.` and `..`, so that c3 cleans and overwrites what the author sees; a slash at the end is dropped. */
function readPath(node: YamlNode, problems: ProblemList): string | undefined {
  const text = readText(node, 'checkout.path', problems);
  const path = text?.replace(/\/+$/, '');
  if (path === undefined || /^(?:\/(?!\.{1,2}(?:\/|$))[^/\p{Cc}]+){1,32}$/u.test(path)) return path;
  const hint = 'an absolute path below a volume, for example /c3/project';
  problems.error(node, `checkout.path ${quote(text ?? '')} is not a directory that c3 can fill`, hint);
  return undefined;
}

export function readPodLife(node: YamlNode | undefined, problems: ProblemList): PodLife {
  const map = node === undefined ? undefined : toMap(node, 'pod', problems);
  if (map === undefined) return defaultPodLife;
  refuseUnknownKeys(map, { keys: podKeys, aliases: podAliases }, problems);
  const reuse = child(map, 'reuse');
  const idle = child(map, 'idle');
  const maxAge = child(map, 'max_age');
  return {
    reuse: (reuse && readBoolean(reuse, 'pod.reuse', problems)) ?? defaultPodLife.reuse,
    idleMs: (idle && readDuration(idle, 'pod.idle', problems)) ?? defaultPodLife.idleMs,
    maxAgeMs: (maxAge && readDuration(maxAge, 'pod.max_age', problems)) ?? defaultPodLife.maxAgeMs,
  };
}
