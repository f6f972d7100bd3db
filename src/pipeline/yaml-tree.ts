import type { Alias, Document, ParsedNode, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { isAlias, isMap, isScalar, isSeq } from 'yaml';

import type { JsonValue } from './pipeline.ts';
import type { Located, ProblemList } from './problem-list.ts';
import { quoteKey } from './problem-list.ts';

/**
 * A YAML value with its position. An alias is resolved to the node that it names, so the tree is a graph without
 * cycles. Its expanded size is limited by {@link MAX_WEIGHT} and {@link MAX_DEPTH}.
 */
export type YamlNode = YamlMap | YamlList | YamlScalar;

interface Measured extends Located {
  /** Characters of the scalars plus one for each node, as if every alias were written out. */
  readonly weight: number;
  /** 1 for a scalar. */
  readonly height: number;
  /** Whether an alias can lead here: the node, or a node that contains it, has an anchor. */
  readonly isShared: boolean;
}

export interface YamlScalar extends Measured {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  readonly style: ScalarStyle;
  /** The text, if its form decides whether it is a number or a boolean. */
  readonly source?: string;
}

/** How a scalar is written: `literal` is under `|`, `folded` under `>`. */
type ScalarStyle = 'plain' | 'quoted' | 'literal' | 'folded';

export interface YamlList extends Measured {
  readonly kind: 'list';
  /** Whether it is an alias that is an item of another list. Its position is then that of the alias. */
  readonly isAliasInList?: boolean;
  readonly items: readonly YamlNode[];
}

export interface YamlMap extends Measured {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, YamlEntry>;
  /** Merge keys below a key that they also have. */
  readonly lateMerges: readonly Located[];
}

export interface YamlEntry {
  readonly key: Located;
  readonly value: YamlNode;
  readonly isPlainKey: boolean;
}

/** A Pod nests about 12 levels; the API server accepts far more. Bounds the recursion of every walk over the tree. */
const MAX_DEPTH = 64;

/** Four times the largest file: enough for aliases, too little for the "billion laughs" attack. */
const MAX_WEIGHT = 256 * 1024;

/**
 * Limits the keys that merge keys read. Each merge costs the size of its source, and a file can have 8,000 merges.
 */
const MAX_MERGED_KEYS = 10_000;

interface Conversion {
  readonly problems: ProblemList;
  readonly anchors: Map<string, YamlNode>;
  /** How many keys merge keys can still read. */
  mergeBudget: number;
  /** Whether the current node has an anchor, or is inside a node that has one. */
  isShared: boolean;
}

/**
 * Converts a document. Reports what a tree cannot hold (duplicate keys, unknown aliases, tags, depth), replaced by
 * null.
 */
export function toTree(document: Document.Parsed, problems: ProblemList): YamlNode {
  const anchors = new Map<string, YamlNode>();
  const conversion = { problems, anchors, mergeBudget: MAX_MERGED_KEYS, isShared: false };
  return convert(document.contents, { start: 0, end: 0 }, 1, conversion);
}

/** Converts to plain JSON. {@link toTree} already refused the numbers that JSON does not have. */
export function toJson(node: YamlNode): JsonValue {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(toJson);
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toJson(entry.value)]));
}

function convert(node: ParsedNode | null, fallback: Located, depth: number, conversion: Conversion): YamlNode {
  if (node === null) return nullAt(fallback);
  const at = { start: node.range[0], end: node.range[1] };
  if (depth > MAX_DEPTH) return refuseDepth(at, conversion.problems);
  if (isAlias(node)) return resolveAlias(node, at, depth, conversion);
  refuseTag(node, at, conversion.problems);
  const { isShared } = conversion;
  conversion.isShared ||= node.anchor !== undefined;
  const converted = convertValue(node, at, depth, conversion);
  conversion.isShared = isShared;
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
    const items = node.items.map((item) => convertItem(item, at, depth + 1, conversion));
    return limitWeight({ kind: 'list', items, ...at, ...measure(items, conversion) }, conversion);
  }
  return isScalar(node) ? convertScalar(node, at, conversion) : nullAt(at);
}

/** Converts an item of a list. An alias of a list gets the position of the alias, where the mistake is. */
function convertItem(node: ParsedNode, list: Located, depth: number, conversion: Conversion): YamlNode {
  const item = convert(node, list, depth, conversion);
  if (!isAlias(node) || item.kind !== 'list') return item;
  return { ...item, start: node.range[0], end: node.range[1], isAliasInList: true };
}

const STYLES: Partial<Record<Scalar.Type, ScalarStyle>> = {
  PLAIN: 'plain',
  BLOCK_LITERAL: 'literal',
  BLOCK_FOLDED: 'folded',
};

function convertScalar(node: Scalar.Parsed, at: Located, { problems, isShared }: Conversion): YamlScalar {
  const value: unknown = node.value;
  const isJson = value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
  if (!isJson) problems.unreadable(at, 'JSON has no such number', 'put it in quotes');
  const style = (node.type && STYLES[node.type]) ?? 'quoted';
  const isTyped = node.tag === undefined ? style === 'plain' : node.tag !== 'tag:yaml.org,2002:str';
  return {
    kind: 'scalar',
    value: isJson ? (value as YamlScalar['value']) : null,
    style,
    ...(isTyped ? { source: node.source } : {}),
    ...at,
    weight: at.end - at.start + 1,
    height: 1,
    isShared,
  };
}

function convertMap(map: YAMLMap.Parsed, at: Located, depth: number, conversion: Conversion): YamlNode {
  const { problems } = conversion;
  const entries = new Map<string, YamlEntry>();
  const merges: YamlEntry[] = [];
  for (const pair of map.items) {
    if (!isScalar(pair.key)) continue; // `stringKeys` already made any other key an error
    const key = { start: pair.key.range[0], end: pair.key.range[1] };
    const name = String(pair.key.value);
    const value = convert(pair.value, { start: key.end, end: key.end }, depth + 1, conversion);
    const isPlainKey = pair.key.type === 'PLAIN';
    const first = entries.get(name);
    // Not quoted: without a colon, this can be a value.
    if (pair.value === null) problems.error(key, 'this key has no value', 'write `key: value`, with a space after ":"');
    else if (name === '__proto__') problems.error(key, 'the key "__proto__" is not allowed');
    else if (name === '<<' && isPlainKey) merges.push({ key, value, isPlainKey });
    else if (first === undefined) entries.set(name, { key, value, isPlainKey });
    else {
      const hint = `the first is in line ${problems.lineOf(first.key)}`;
      problems.error(key, `the key ${quoteKey(name)} is here twice`, hint);
    }
  }
  const lateMerges = merges.flatMap((merge) => (mergeInto(entries, merge, conversion) ? merge.key : []));
  const values = [...entries.values()].map((entry) => entry.value);
  const measured = measure(values, conversion, [...entries.keys()].join('').length);
  return limitWeight({ kind: 'map', entries, lateMerges, ...at, ...measured }, conversion);
}

/**
 * Merges `<<: *defaults`, or a list of them: adds the keys that are not there yet. The first of several sources wins.
 * Returns whether one of the keys is there above the merge key.
 *
 * @see https://yaml.org/type/merge.html
 */
function mergeInto(entries: Map<string, YamlEntry>, merge: YamlEntry, conversion: Conversion): boolean {
  const added = new Set<string>();
  let isLate = false;
  const sources = merge.value.kind === 'list' ? merge.value.items : [merge.value];
  for (const source of sources) {
    if (source.kind !== 'map') {
      conversion.problems.error(merge.key, 'the merge key "<<" needs a mapping, or a list of mappings');
      return false;
    }
    conversion.mergeBudget -= source.entries.size;
    if (conversion.mergeBudget < 0) {
      conversion.problems.error(merge.key, `merge keys bring in more than ${MAX_MERGED_KEYS} keys`);
      return false;
    }
    for (const [name, entry] of source.entries) {
      const earlier = entries.get(name);
      if (earlier !== undefined) isLate ||= !added.has(name) && earlier.key.start < merge.key.start;
      else {
        entries.set(name, entry);
        added.add(name);
      }
    }
  }
  return isLate;
}

/**
 * An anchor is set after its node is complete. So an alias inside its own node is unknown, and there are no cycles.
 */
function resolveAlias(alias: Alias.Parsed, at: Located, depth: number, { anchors, problems }: Conversion): YamlNode {
  const target = anchors.get(alias.source);
  if (target === undefined) {
    const hint = 'a value that begins with "*" is an alias in YAML: put it in quotes if it is text';
    problems.unreadable(at, 'this alias has no anchor', hint);
    return nullAt(at);
  }
  return depth + target.height > MAX_DEPTH ? refuseDepth(at, problems) : target;
}

function refuseDepth(at: Located, problems: ProblemList): YamlScalar {
  problems.unreadable(at, `the file is nested deeper than ${MAX_DEPTH} levels`);
  return nullAt(at);
}

/**
 * Refuses a collection whose aliases, written out, are too large. Its null has little weight, so its parent is not
 * refused.
 */
function limitWeight(node: YamlMap | YamlList, conversion: Conversion): YamlNode {
  if (node.weight <= MAX_WEIGHT) return node;
  conversion.problems.unreadable(node, `with its aliases written out this is larger than ${MAX_WEIGHT / 1024} KiB`);
  return nullAt(node);
}

function refuseTag(node: Scalar.Parsed | YAMLMap.Parsed | YAMLSeq.Parsed, at: Located, problems: ProblemList): void {
  if (node.tag === undefined || /^tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq)$/.test(node.tag)) return;
  const hint = 'a value that begins with "!" is a tag in YAML: put it in quotes if it is text';
  problems.error(at, 'c3 does not know the tag of this value', hint);
}

function measure(children: readonly YamlNode[], { isShared }: Conversion, own = 0): Omit<Measured, keyof Located> {
  let weight = 1 + own;
  let height = 1;
  for (const child of children) {
    weight += child.weight;
    height = Math.max(height, child.height + 1);
  }
  return { weight, height, isShared };
}

function nullAt({ start, end }: Located): YamlScalar {
  return { kind: 'scalar', value: null, style: 'plain', start, end, weight: 1, height: 1, isShared: false };
}
