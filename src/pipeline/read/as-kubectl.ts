import type { ProblemList } from '../problem-list.ts';
import { quote } from '../problem-list.ts';
import type { YamlEntry, YamlMap, YamlNode, YamlScalar } from '../yaml-tree.ts';
import { child, childMap, describeKind, itemsOf, textOf } from './read-value.ts';

/**
 * Reads the values of a Pod as kubectl does. kubectl reads YAML 1.1, where `0400` is 256 and `yes` is true, and c3.yaml
 * is YAML 1.2, where these are 400 and text. Reports what it cannot read the same way: keys that kubectl changes, numbers
 * beyond a double, and merge keys that override.
 *
 * @see https://github.com/kubernetes-sigs/yaml/blob/v1.4.0/goyaml.v2/resolve.go every value was compared with kubectl 1.32
 */
export function readAsKubectl(root: YamlMap, problems: ProblemList): YamlMap {
  // An alias leads to the same node again. Without this, the tree would be written out.
  const known = new Map<YamlNode, YamlNode>();
  function read(node: YamlNode): YamlNode {
    const converted = known.get(node) ?? convert(node);
    known.set(node, converted);
    return converted;
  }
  function convert(node: YamlNode): YamlNode {
    if (node.kind === 'scalar') return convertScalar(node, problems);
    if (node.kind === 'list') return { ...node, items: node.items.map(read) };
    return readMap(node);
  }
  function readMap(map: YamlMap): YamlMap {
    for (const merge of map.lateMerges) {
      const hint = 'put it before the keys that it must not change';
      problems.error(merge, 'for kubectl, "<<" replaces the same keys above it', hint);
    }
    const entries = new Map<string, YamlEntry>();
    for (const [name, { key, value, isPlainKey }] of map.entries) {
      if (isPlainKey) checkKey(name, key, problems);
      entries.set(name, { key, value: read(value), isPlainKey });
    }
    return { ...map, entries };
  }
  return readMap(root);
}

function convertScalar(node: YamlScalar, problems: ProblemList): YamlScalar {
  if (node.source === undefined) return node;
  const value = resolve(node.source) ?? node.value;
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    problems.error(node, 'this number has more digits than c3 keeps', 'put it in quotes');
  }
  return value === node.value ? node : { ...node, value };
}

function checkKey(name: string, at: YamlEntry['key'], problems: ProblemList): void {
  const read = /^(?:~|null|Null|NULL)$/.test(name) ? 'nothing' : String(resolve(name) ?? name);
  if (read === name) return;
  problems.error(at, `kubectl reads the key ${quote(name)} as ${read}`, 'put it in quotes');
}

const TRUE = /^(?:y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE)$/;
const FALSE = /^(?:n|N|no|No|NO|off|Off|OFF|false|False|FALSE)$/;
const INTEGER = /^(?:0[xX][\da-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9]\d*)$/;
const FLOAT = /^(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;

/** Returns the boolean or the number that a plain text is in YAML 1.1, or undefined. 1:30 and dates stay texts. */
function resolve(source: string): boolean | number | undefined {
  if (TRUE.test(source)) return true;
  if (FALSE.test(source)) return false;
  if (!/^[-+.\d]/.test(source)) return undefined;
  const [, sign, digits = ''] = /^([-+]?)(.*)$/s.exec(source.replaceAll('_', '')) ?? [];
  const isOctal = /^0[0-7]+$/.test(digits);
  if (!INTEGER.test(digits) && !FLOAT.test(digits)) return undefined;
  const number = Number(isOctal ? `0o${digits}` : digits);
  return !Number.isFinite(number) ? undefined : sign === '-' ? -number : number;
}

/** Refuses numbers and booleans where Kubernetes accepts only text. Its own message names a Go type. */
export function checkTexts(pod: YamlMap, problems: ProblemList): void {
  const spec = childMap(pod, 'spec');
  const metadata = childMap(pod, 'metadata');
  for (const map of [child(metadata, 'labels'), child(metadata, 'annotations'), child(spec, 'nodeSelector')]) {
    if (map?.kind === 'map') for (const { value } of map.entries.values()) checkText(value, 'this value', problems);
  }
  for (const list of ['containers', 'initContainers']) {
    for (const container of itemsOf(child(spec, list))) {
      for (const variable of itemsOf(child(container, 'env'))) {
        checkText(child(variable, 'value'), 'the value of a variable', problems);
      }
    }
  }
}

function checkText(node: YamlNode | undefined, what: string, problems: ProblemList): void {
  const isNothing = node === undefined || (node.kind === 'scalar' && node.value === null);
  if (isNothing || textOf(node) !== undefined) return;
  problems.error(node, `${what} must be text, not ${describeKind(node)}`, 'put it in quotes');
}
