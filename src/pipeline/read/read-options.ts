import {
  CHECKOUT_PATH_PATTERN,
  checkoutVocabulary,
  concurrencyVocabulary,
  DEPTH_LIMITS,
  podVocabulary,
} from '../language.ts';
import type { Checkout, Concurrency, PodLife } from '../pipeline.ts';
import type { Located, ProblemList } from '../problem-list.ts';
import { quote } from '../problem-list.ts';
import { child, readBoolean, readDuration, readInteger, readText, refuseUnknownKeys, toMap } from './read-value.ts';
import type { YamlNode } from '../yaml-tree.ts';
import { trimEnd } from '../../trim-end.ts';

const HOUR_MS = 3_600_000;

export const defaultTimeoutMs: number = HOUR_MS;

const defaultCheckout: Checkout = { container: 'git', path: '/c3/project', depth: 50, submodules: false, clean: true };

const defaultPodLife: PodLife = { reuse: true, idleMs: HOUR_MS, maxAgeMs: 12 * HOUR_MS };

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
  refuseUnknownKeys(node, checkoutVocabulary, problems);
  const container = child(node, 'container');
  const path = child(node, 'path');
  const depth = child(node, 'depth');
  const submodules = child(node, 'submodules');
  const clean = child(node, 'clean');
  const checkout: Checkout = {
    container: (container && readText(container, 'checkout.container', problems)) ?? defaultCheckout.container,
    path: (path && readPath(path, problems)) ?? defaultCheckout.path,
    depth: (depth && readInteger(depth, 'checkout.depth', { ...DEPTH_LIMITS, problems })) ?? defaultCheckout.depth,
    submodules: (submodules && readBoolean(submodules, 'checkout.submodules', problems)) ?? defaultCheckout.submodules,
    clean: (clean && readBoolean(clean, 'checkout.clean', problems)) ?? defaultCheckout.clean,
  };
  return container === undefined ? { checkout } : { checkout, containerAt: container };
}

function readPath(node: YamlNode, problems: ProblemList): string | undefined {
  const text = readText(node, 'checkout.path', problems);
  if (text === undefined) return undefined;
  if (CHECKOUT_PATH_PATTERN.test(text)) return trimEnd(text, '/');
  const hint = 'an absolute path below a volume, for example /c3/project';
  problems.error(node, `checkout.path ${quote(text)} is not a directory that c3 can fill`, hint);
  return undefined;
}

export function readPodLife(node: YamlNode | undefined, problems: ProblemList): PodLife {
  const map = node === undefined ? undefined : toMap(node, 'pod', problems);
  if (map === undefined) return defaultPodLife;
  refuseUnknownKeys(map, podVocabulary, problems);
  const reuse = child(map, 'reuse');
  const idle = child(map, 'idle');
  const maxAge = child(map, 'max_age');
  return {
    reuse: (reuse && readBoolean(reuse, 'pod.reuse', problems)) ?? defaultPodLife.reuse,
    idleMs: (idle && readDuration(idle, 'pod.idle', problems)) ?? defaultPodLife.idleMs,
    maxAgeMs: (maxAge && readDuration(maxAge, 'pod.max_age', problems)) ?? defaultPodLife.maxAgeMs,
  };
}

export function readConcurrency(node: YamlNode | undefined, problems: ProblemList): Concurrency {
  const map = node === undefined ? undefined : toMap(node, 'concurrency', problems);
  if (map !== undefined) refuseUnknownKeys(map, concurrencyVocabulary, problems);
  const cancelPrevious = child(map, 'cancel_previous');
  return {
    cancelPrevious: (cancelPrevious && readBoolean(cancelPrevious, 'concurrency.cancel_previous', problems)) ?? false,
  };
}
