import type { Located, ProblemList } from '../problem-list.ts';
import { quoteKey } from '../problem-list.ts';
import { suggest } from '../suggest.ts';
import type { IntegerLimits, Vocabulary } from '../vocabulary.ts';
import { findAliased } from '../vocabulary.ts';
import type { YamlMap, YamlNode } from '../yaml-tree.ts';

/** Describes the kind of a value: `a list`, `text`. Not the value itself, which can be a secret. */
export function describeKind(node: YamlNode): string {
  if (node.kind !== 'scalar') return node.kind === 'list' ? 'a list' : 'a mapping';
  if (node.value === null) return 'nothing';
  return typeof node.value === 'string' ? 'text' : `a ${typeof node.value}`;
}

/** Says why a list is inside a list, if it is there by an alias. */
export function hintAlias(node: YamlNode): string | undefined {
  const isAlias = node.kind === 'list' && node.isAliasInList === true;
  return isAlias ? 'an alias of a list cannot be inserted into a list: write an alias for each item' : undefined;
}

export function toMap(node: YamlNode, what: string, problems: ProblemList): YamlMap | undefined {
  if (node.kind === 'map') return node;
  problems.error(node, `${what} must be a mapping, not ${describeKind(node)}`);
  return undefined;
}

/** Returns the value of a key, or undefined when the key is not there. */
export function child(map: YamlMap | undefined, key: string): YamlNode | undefined {
  return map?.entries.get(key)?.value;
}

/** Returns the value of a key, if it is a mapping. */
export function childMap(map: YamlMap | undefined, key: string): YamlMap | undefined {
  const node = child(map, key);
  return node?.kind === 'map' ? node : undefined;
}

/** Returns the mappings of a list, if it is one. */
export function itemsOf(node: YamlNode | undefined): readonly YamlMap[] {
  return node?.kind === 'list' ? node.items.filter((item) => item.kind === 'map') : [];
}

/** Reads the value of a key that is there. Returns undefined when the key is missing or its value is wrong. */
export function readChild<T>(map: YamlMap | undefined, key: string, read: Read<T>): T | undefined {
  const node = child(map, key);
  return node && read(node);
}

type Read<T> = (node: YamlNode) => T | undefined;

/** Returns the text of a node that has any, without a check. */
export function textOf(node: YamlNode | undefined): string | undefined {
  return node?.kind === 'scalar' && typeof node.value === 'string' ? node.value : undefined;
}

/** Refuses every unknown key: a misspelt option would change what a build does. */
export function refuseUnknownKeys(map: YamlMap, vocabulary: Vocabulary, problems: ProblemList): void {
  for (const [key, entry] of map.entries) {
    if (!vocabulary.keys.has(key)) refuseKey(key, entry.key, vocabulary, problems);
  }
}

export function refuseKey(key: string, at: Located, vocabulary: Vocabulary, problems: ProblemList): void {
  if (problems.isFull) return;
  const instead = vocabulary.foreign.get(key);
  const meant = findAliased(key, vocabulary) ?? suggest(key, vocabulary.keys.keys());
  const hint = /^[\w-]+:/.test(key) ? 'write a space after the ":"' : meant && `did you mean "${meant}"?`;
  problems.error(at, `unknown key ${quoteKey(key)}`, instead ?? hint);
}

/** Reads text. Refuses `18.10` and `true`, because YAML has already changed them. */
export function readText(node: YamlNode, what: string, problems: ProblemList): string | undefined {
  const value = node.kind === 'scalar' ? node.value : undefined;
  if (typeof value === 'string' && !value.includes('\0')) return value;
  if (value === null) {
    problems.error(node, `${what} is empty`);
  } else if (typeof value === 'string') {
    problems.error(node, `${what} contains a NUL character, which no program accepts`);
  } else {
    const hint = value === undefined ? hintAlias(node) : 'put it in quotes';
    problems.error(node, `${what} must be text, not ${describeKind(node)}`, hint);
  }
  return undefined;
}

/** Reads one of a few words. `foreign` has hints for words of other CI systems. */
export function readWord<Word extends string>(
  node: YamlNode,
  what: string,
  { words, foreign, problems }: WordOptions<Word>,
): Word | undefined {
  const isBoolean = node.kind === 'scalar' && typeof node.value === 'boolean';
  const text = isBoolean ? String(node.value) : readText(node, what, problems);
  if (text === undefined) return undefined;
  const word = words.find((known) => known === text);
  if (word !== undefined) return word;
  const meant = suggest(text, words);
  const hint = foreign.get(text) ?? (meant === undefined ? undefined : `did you mean "${meant}"?`);
  problems.error(node, `${what} must be one of ${words.join(', ')}`, hint);
  return undefined;
}

export interface WordOptions<Word extends string> {
  readonly words: readonly Word[];
  readonly foreign: ReadonlyMap<string, string>;
  readonly problems: ProblemList;
}

/** What people write in place of `true` and `false`, also in quotes. */
const TRUE_WORD = /^(?:true|yes|on|1)$/i;
const FALSE_WORD = /^(?:false|no|off|0)$/i;

export function readBoolean(node: YamlNode, what: string, problems: ProblemList): boolean | undefined {
  if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value;
  const word = node.kind === 'scalar' ? String(node.value) : '';
  const hint = TRUE_WORD.test(word) ? 'write it as true' : FALSE_WORD.test(word) ? 'write it as false' : undefined;
  problems.error(node, `${what} must be true or false, not ${describeKind(node)}`, hint);
  return undefined;
}

export function readWholeNumber(
  node: YamlNode,
  what: string,
  { min, max, problems }: IntegerLimits & { readonly problems: ProblemList },
): number | undefined {
  const value = node.kind === 'scalar' ? node.value : undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  const hint = typeof value === 'string' && /^\d+$/.test(value) ? 'write the number without quotes' : undefined;
  const actual = typeof value === 'number' ? '' : `, not ${describeKind(node)}`;
  problems.error(node, `${what} must be a whole number from ${min} to ${max}${actual}`, hint);
  return undefined;
}

/** Seven days. A longer build or Pod is a mistake, and Node's timers end at 24.8 days. */
const MAX_DURATION_MS = 168 * 3_600_000;

/** Reads a duration above zero and at most {@link MAX_DURATION_MS}, in milliseconds. */
export function readDuration(node: YamlNode, what: string, problems: ProblemList): number | undefined {
  const value = node.kind === 'scalar' ? node.value : undefined;
  const ms = typeof value === 'string' ? parseDuration(value) : undefined;
  if (ms !== undefined && ms > 0 && ms <= MAX_DURATION_MS) return ms;
  if (ms === undefined) {
    const isBare = typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value));
    const hint = `${isBare ? 'add the unit, ' : ''}for example 90s, 10m or 1h30m`;
    problems.error(node, `${what} must be a duration, not ${describeKind(node)}`, hint);
  } else {
    problems.error(node, `${what} must be longer than 0s and at most 168h`);
  }
  return undefined;
}

/**
 * Parses `90s`, `10m`, `1h30m`, `12h` to milliseconds: whole numbers with `h`, `m`, `s`, each at most once and in
 * this order. Returns undefined for anything else. This includes a bare number: some CI systems mean seconds, others
 * minutes.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(?=\d)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/.exec(text);
  if (match === null) return undefined;
  const [, hours = 0, minutes = 0, seconds = 0] = match;
  return ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
}
