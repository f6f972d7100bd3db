import { formatDuration, MAX_DURATION_MS, parseDuration } from './duration.ts';
import type { ProblemList } from './problem-list.ts';
import { quote } from './problem-list.ts';
import { suggest } from './suggest.ts';
import type { YamlMap, YamlNode } from './yaml-tree.ts';
import { describe } from './yaml-tree.ts';

/** What a mapping may say. */
export interface Vocabulary {
  readonly keys: readonly string[];
  /** Reserved: see keys.ts. */
  readonly later?: readonly string[];
  /** Neighbours' spellings, to a key or a later key. */
  readonly aliases: ReadonlyMap<string, string>;
}

export function toMap(node: YamlNode, what: string, problems: ProblemList): YamlMap | undefined {
  if (node.kind === 'map') return node;
  // Text is not quoted: it may be a secret, or the whole file.
  const actual = node.kind === 'scalar' && typeof node.value === 'string' ? 'text' : describe(node);
  problems.error(node, `${what} must be a mapping, not ${actual}`);
  return undefined;
}

/** The value of a key, or undefined when the key is not there. */
export function child(map: YamlMap | undefined, key: string): YamlNode | undefined {
  return map?.entries.get(key)?.value;
}

/** Nothing is ignored in silence: a misspelt option would change what a build does. */
export function refuseUnknownKeys(map: YamlMap, vocabulary: Vocabulary, problems: ProblemList): void {
  for (const [key, entry] of map.entries) {
    if (!vocabulary.keys.includes(key)) refuseKey(key, entry.key, vocabulary, problems);
  }
}

export function refuseKey(
  key: string,
  at: { readonly start: number; readonly end: number },
  vocabulary: Vocabulary,
  problems: ProblemList,
): void {
  if (problems.isFull) return;
  const later = vocabulary.later ?? [];
  if (later.includes(key)) {
    problems.error(at, `this version of c3 does not have ${quote(key)}`, 'remove it: c3 ignores nothing in silence');
    return;
  }
  const meant = vocabulary.aliases.get(key) ?? suggest(key, [...vocabulary.keys, ...later]);
  problems.error(at, `unknown key ${quote(key)}`, toQuestion(meant, later));
}

function toQuestion(meant: string | undefined, later: readonly string[]): string | undefined {
  if (meant === undefined) return undefined;
  return `did you mean "${meant}"?${later.includes(meant) ? ' this version of c3 does not have it' : ''}`;
}

/** Text that YAML reads as text. `18.10` and `true` are refused with their source, because YAML has already changed them. */
export function readText(node: YamlNode, what: string, problems: ProblemList): string | undefined {
  if (node.kind !== 'scalar') {
    problems.error(node, `${what} must be text, not ${describe(node)}`);
    return undefined;
  }
  if (typeof node.value !== 'string') {
    if (node.value === null) problems.error(node, `${what} is empty`);
    else problems.error(node, `${what} must be text, not ${describe(node)}`, `quote it: "${node.source}"`);
    return undefined;
  }
  if (node.value.includes('\0')) {
    problems.error(node, `${what} contains a NUL character, which no program can be given`);
    return undefined;
  }
  return node.value;
}

export function readBoolean(node: YamlNode, what: string, problems: ProblemList): boolean | undefined {
  if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value;
  problems.error(node, `${what} must be true or false, not ${describe(node)}`);
  return undefined;
}

export function readInteger(
  node: YamlNode,
  what: string,
  limits: { readonly min: number; readonly max: number; readonly problems: ProblemList },
): number | undefined {
  const { min, max, problems } = limits;
  const value = node.kind === 'scalar' ? node.value : undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  problems.error(node, `${what} must be a whole number from ${min} to ${max}, not ${describe(node)}`);
  return undefined;
}

/** Milliseconds, above zero and at most {@link MAX_DURATION_MS}. */
export function readDuration(node: YamlNode, what: string, problems: ProblemList): number | undefined {
  const value = node.kind === 'scalar' ? node.value : undefined;
  const ms = typeof value === 'string' ? parseDuration(value) : undefined;
  if (ms === undefined) {
    const isBare = typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value));
    const unit = node.kind === 'scalar' ? String(value) : '';
    const hint = isBare ? `say the unit: ${unit}s, ${unit}m or ${unit}h` : 'for example 90s, 10m or 1h30m';
    problems.error(node, `${what} must be a duration, not ${describe(node)}`, hint);
    return undefined;
  }
  if (ms > 0 && ms <= MAX_DURATION_MS) return ms;
  problems.error(node, `${what} must be longer than 0s and at most ${formatDuration(MAX_DURATION_MS)}`);
  return undefined;
}
