import type { Alias, Document, ParsedNode, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { isAlias, isMap, isScalar, isSeq } from 'yaml';

import type { JsonValue } from './pipeline.ts';
import type { Located, ProblemList } from './problem-list.ts';
import { quote, quoteKey, shorten } from './problem-list.ts';

/**
 * A YAML value with its place in the text. Aliases are resolved to the very node they name, so the tree is a graph
 * without cycles whose expanded size is bounded by {@link MAX_WEIGHT} and {@link MAX_DEPTH}.
 */
export type YamlNode = YamlMap | YamlList | YamlScalar;

interface Weighed extends Located {
  /** Characters of the scalars plus one a node, as if every alias were written out. */
  readonly weight: number;
  /** 1 for a scalar. */
  readonly height: number;
}

interface YamlScalar extends Weighed {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  /** As it stands in the text, quotes included. */
  readonly source: string;
  /** Neither quoted nor a block. */
  readonly isPlain: boolean;
}

export interface YamlList extends Weighed {
  readonly kind: 'list';
  readonly items: readonly YamlNode[];
}

export interface YamlMap extends Weighed {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, YamlEntry>;
}

export interface YamlEntry {
  readonly key: Located;
  readonly value: YamlNode;
}

/** A Pod nests about 12 deep; the API server's own limit is far above. Keeps every walk of the tree off the stack's end. */
const MAX_DEPTH = 64;

/** Four times the largest file: room for aliases, none for "a billion laughs". */
const MAX_WEIGHT = 256 * 1024;

/** Keys looked at on behalf of `<<`: each merge costs its source's size, and a file has room for 8,000 merges. */
const MAX_MERGED_KEYS = 10_000;

interface Conversion {
  readonly text: string;
  readonly problems: ProblemList;
  readonly anchors: Map<string, YamlNode>;
  /** Keys that merge keys may still bring in. */
  mergeBudget: number;
}

/** The document as a tree; what cannot be one (duplicate keys, unknown aliases, tags, depth) is reported and replaced by null. */
export function toTree(document: Document.Parsed, text: string, problems: ProblemList): YamlNode {
  const conversion = { text, problems, anchors: new Map<string, YamlNode>(), mergeBudget: MAX_MERGED_KEYS };
  return convert(document.contents, { start: 0, end: 0 }, 1, conversion);
}

/** Plain JSON. Numbers that JSON does not have were refused by {@link toTree}. */
export function toJson(node: YamlNode): JsonValue {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(toJson);
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toJson(entry.value)]));
}

/** What a value is, in words: `a list`, `the number 18.10`. Only for values that may be shown. */
export function describe(node: YamlNode): string {
  if (node.kind !== 'scalar') return node.kind === 'list' ? 'a list' : 'a mapping';
  if (node.value === null) return 'nothing';
  return typeof node.value === 'string' ? quote(node.value) : `the ${typeof node.value} ${shorten(node.source)}`;
}

function convert(node: ParsedNode | null, fallback: Located, depth: number, conversion: Conversion): YamlNode {
  if (node === null) return nullAt(fallback);
  const at = { start: node.range[0], end: node.range[1] };
  if (depth > MAX_DEPTH) {
    conversion.problems.unreadable(at, `the file is nested deeper than ${MAX_DEPTH} levels`);
    return nullAt(at);
  }
  if (isAlias(node)) return resolveAlias(node, at, depth, conversion);
  refuseTag(node, at, conversion.problems);
  const converted = convertValue(node, at, depth, conversion);
  if (node.anchor !== undefined) conversion.anchors.set(node.anchor, converted);
  return converted;
}

function convertValue(
  node: Scalar.Parsed | YAMLMap.Parsed | YAMLSeq.Parsed,
  at: Located,
  depth: number,
  conversion: Conversion,
): YamlNode {
  if (isMap(node)) return convertMap(node, at, depth, conversion);
  if (isSeq(node)) {
    const items = node.items.map((item) => convert(item, at, depth + 1, conversion));
    return guardWeight({ kind: 'list', items, ...at, ...weigh(items) }, conversion);
  }
  return isScalar(node) ? convertScalar(node, at, conversion) : nullAt(at);
}

function convertScalar(node: Scalar.Parsed, at: Located, conversion: Conversion): YamlScalar {
  const source = conversion.text.slice(at.start, at.end);
  const value: unknown = node.value;
  const isJson = value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
  // Not quoted: a password of digits may be one.
  if (!isJson) conversion.problems.unreadable(at, 'this is not a number that JSON can hold', 'put it in quotes');
  return {
    kind: 'scalar',
    value: isJson ? (value as YamlScalar['value']) : null,
    source,
    isPlain: node.type === 'PLAIN',
    ...at,
    weight: source.length + 1,
    height: 1,
  };
}

function convertMap(map: YAMLMap.Parsed, at: Located, depth: number, conversion: Conversion): YamlNode {
  const { problems } = conversion;
  const entries = new Map<string, YamlEntry>();
  const merges: YamlEntry[] = [];
  for (const pair of map.items) {
    if (!isScalar(pair.key)) continue; // `stringKeys` made any other key an error already
    const key = { start: pair.key.range[0], end: pair.key.range[1] };
    const name = String(pair.key.value);
    const value = convert(pair.value, { start: key.end, end: key.end }, depth + 1, conversion);
    const first = entries.get(name);
    // Not quoted: it may be the value.
    if (pair.value === null)
      problems.error(key, 'this key has no value', 'write `key: value`, with a blank behind the colon');
    else if (name === '__proto__') problems.error(key, 'the key "__proto__" is refused');
    else if (name === '<<' && pair.key.type === 'PLAIN') merges.push({ key, value });
    else if (first === undefined) entries.set(name, { key, value });
    else
      problems.error(
        key,
        `the key ${quoteKey(name)} is here twice`,
        `the first is in line ${problems.lineOf(first.key)}`,
      );
  }
  for (const merge of merges) mergeInto(entries, merge, conversion);
  const values = [...entries.values()].map((entry) => entry.value);
  const weighed = weigh(values, [...entries.keys()].join('').length);
  return guardWeight({ kind: 'map', entries, ...at, ...weighed }, conversion);
}

/**
 * `<<: *defaults` or a list of them: keys that are not there yet; of several sources the first wins.
 *
 * @see https://yaml.org/type/merge.html
 */
function mergeInto(entries: Map<string, YamlEntry>, merge: YamlEntry, conversion: Conversion): void {
  const sources = merge.value.kind === 'list' ? merge.value.items : [merge.value];
  for (const source of sources) {
    if (source.kind !== 'map') {
      conversion.problems.error(merge.key, 'the merge key "<<" needs a mapping, or a list of mappings');
      return;
    }
    conversion.mergeBudget -= source.entries.size;
    if (conversion.mergeBudget < 0) {
      conversion.problems.error(merge.key, `merge keys bring in more than ${MAX_MERGED_KEYS} keys`);
      return;
    }
    for (const [name, entry] of source.entries) if (!entries.has(name)) entries.set(name, entry);
  }
}

/** An anchor counts once its node is complete, so a node that contains its own alias has an unknown alias, not a cycle. */
function resolveAlias(alias: Alias.Parsed, at: Located, depth: number, conversion: Conversion): YamlNode {
  const target = conversion.anchors.get(alias.source);
  if (target === undefined) {
    const hint = 'a value that begins with "*" is an alias in YAML: put it in quotes if it is text';
    conversion.problems.unreadable(at, 'this alias names no anchor', hint);
    return nullAt(at);
  }
  if (depth + target.height > MAX_DEPTH) {
    conversion.problems.unreadable(at, `the file is nested deeper than ${MAX_DEPTH} levels`);
    return nullAt(at);
  }
  return target;
}

/** Refuses a collection whose aliases, written out, are too much; what holds it weighs little again. */
function guardWeight(node: YamlMap | YamlList, conversion: Conversion): YamlNode {
  if (node.weight <= MAX_WEIGHT) return node;
  conversion.problems.unreadable(node, `with its aliases written out this is larger than ${MAX_WEIGHT / 1024} KiB`);
  return nullAt(node);
}

function refuseTag(node: Scalar.Parsed | YAMLMap.Parsed | YAMLSeq.Parsed, at: Located, problems: ProblemList): void {
  if (node.tag === undefined || /^tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq)$/.test(node.tag)) return;
  const hint = 'a value that begins with "!" is a tag in YAML: put it in quotes if it is text';
  problems.error(at, 'this value has a tag that c3 does not know', hint);
}

function weigh(children: readonly YamlNode[], own = 0): { weight: number; height: number } {
  let weight = 1 + own;
  let height = 1;
  for (const child of children) {
    weight += child.weight;
    height = Math.max(height, child.height + 1);
  }
  return { weight, height };
}

function nullAt(at: Located): YamlScalar {
  return { kind: 'scalar', value: null, source: '', isPlain: true, start: at.start, end: at.end, weight: 1, height: 1 };
}
