import { formatDuration, MAX_DURATION_MS, parseDuration } from '../duration.ts';
import type { IntegerLimits, Vocabulary } from '../language.ts';
import type { Located, ProblemList } from '../problem-list.ts';
import { quoteKey, shorten } from '../problem-list.ts';
import { suggest } from '../suggest.ts';
import type { YamlMap, YamlNode } from '../yaml-tree.ts';
import { describe } from '../yaml-tree.ts';

export function toMap(node: YamlNode, what: string, problems: ProblemList): YamlMap | undefined {
  if (node.kind === 'map') return node;
  problems.error(node, `${what} must be a mapping, not ${describeKind(node)}`);
  return undefined;
}

/** As `describe`, but the value is not quoted: where a mapping or a list belongs it may be a secret, or the whole file. */
export function describeKind(node: YamlNode): string {
  if (node.kind !== 'scalar' || node.value === null) return describe(node);
  return typeof node.value === 'string' ? 'text' : `a ${typeof node.value}`;
}

/** The value of a key, or undefined when the key is not there. */
export function child(map: YamlMap | undefined, key: string): YamlNode | undefined {
  return map?.entries.get(key)?.value;
}

/** Nothing is ignored in silence: a misspelt option would change what a build does. */
export function refuseUnknownKeys(map: YamlMap, vocabulary: Vocabulary, problems: ProblemList): void {
  for (const [key, entry] of map.entries) {
    if (!vocabulary.keys.has(key)) refuseKey(key, entry.key, vocabulary, problems);
  }
}

export function refuseKey(key: string, at: Located, vocabulary: Vocabulary, problems: ProblemList): void {
  if (problems.isFull) return;
  const instead = vocabulary.foreign.get(key);
  const meant = findAliased(key, vocabulary) ?? suggest(key, vocabulary.keys.keys());
  problems.error(at, `unknown key ${quoteKey(key)}`, instead ?? (meant && `did you mean "${meant}"?`));
}

/** The key that another system spells like this. */
export function findAliased(word: string, vocabulary: Vocabulary): string | undefined {
  for (const [name, key] of vocabulary.keys) if (key.aliases?.includes(word) === true) return name;
  return undefined;
}

/** Text that YAML reads as text. `18.10` and `true` are refused with their source, because YAML has already changed them. */
export function readText(node: YamlNode, what: string, problems: ProblemList): string | undefined {
  if (node.kind !== 'scalar') {
    problems.error(node, `${what} must be text, not ${describe(node)}`);
    return undefined;
  }
  if (typeof node.value !== 'string') {
    if (node.value === null) problems.error(node, `${what} is empty`);
    else problems.error(node, `${what} must be text, not ${describe(node)}`, `quote it: "${shorten(node.source)}"`);
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
  const text = node.kind === 'scalar' ? String(node.value).toLowerCase() : '';
  const meant = ['true', 'yes', 'on', '1'].includes(text)
    ? 'true'
    : ['false', 'no', 'off', '0'].includes(text) && 'false';
  problems.error(
    node,
    `${what} must be true or false, not ${describe(node)}`,
    meant ? `write it as ${meant}` : undefined,
  );
  return undefined;
}

export function readInteger(
  node: YamlNode,
  what: string,
  { min, max, problems }: IntegerLimits & { readonly problems: ProblemList },
): number | undefined {
  const value = node.kind === 'scalar' ? node.value : undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  const hint = typeof value === 'string' && /^\d+$/.test(value) ? `without quotes: ${value}` : undefined;
  problems.error(node, `${what} must be a whole number from ${min} to ${max}, not ${describe(node)}`, hint);
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
