import { pipelineVocabulary } from './language.ts';
import type { Problem } from './pipeline.ts';
import { MAX_QUOTE_LENGTH, shorten } from './problem-list.ts';
import { findAliased } from './read/read-value.ts';
import { isSecret } from './yaml/sight.ts';
import type { YamlMap, YamlNode } from './yaml-tree.ts';

/** A shorter value is a word like any other. */
const MIN_HIDDEN_LENGTH = 4;

/**
 * The problems without what belongs under a sealed key and stands elsewhere too, by an alias or a merge key: there it would be quoted as
 * what is wrong with a condition. `…` stands for it. What no alias leads to changes no message, whatever words it has.
 */
export function hideSecrets(problems: readonly Problem[], root: YamlMap): readonly Problem[] {
  if (problems.length === 0) return problems;
  const values = findAliasedSecrets(root).filter(({ length }) => length >= MIN_HIDDEN_LENGTH);
  if (values.length === 0) return problems;
  // The longest first: a shorter one may be a part of it.
  const spellings = [...new Set(values.flatMap(spell))].sort((a, b) => b.length - a.length);
  const hide = (text: string): string => spellings.reduce((rest, spelling) => rest.replaceAll(spelling, '…'), text);
  return problems.map(({ message, hint, ...rest }) => ({
    ...rest,
    message: hide(message),
    ...(hint === undefined ? {} : { hint: hide(hint) }),
  }));
}

/** As it is and as `quote` has it, whole or as much of it as is shown. */
function spell(value: string): string[] {
  const start = value.slice(0, MAX_QUOTE_LENGTH - 1);
  return [value, shorten(value), start].flatMap((text) => [text, JSON.stringify(text).slice(1, -1)]);
}

/** Numbers as they are read and as they are written. */
function findAliasedSecrets(root: YamlMap): string[] {
  const { sealed, others } = splitValues(root);
  const elsewhere = findNodes(others);
  return [...findNodes(sealed)].flatMap((node) => {
    if (node.kind !== 'scalar' || !elsewhere.has(node)) return [];
    if (typeof node.value === 'number') return [String(node.value), node.source];
    return typeof node.value === 'string' ? [node.value] : [];
  });
}

/** What stands under a sealed key, but for what c3 knows there, `telegram.notify`; and all else. */
function splitValues(root: YamlMap): Readonly<Record<'sealed' | 'others', readonly YamlNode[]>> {
  const sealed: YamlNode[] = [];
  const others: YamlNode[] = [];
  for (const [name, { value }] of root.entries) {
    const { keys } = pipelineVocabulary;
    const shape = (keys.get(name) ?? keys.get(findAliased(name, pipelineVocabulary) ?? ''))?.shape;
    if (shape === undefined || !isSecret(shape)) others.push(value);
    else if (shape.kind !== 'mapping' || value.kind !== 'map') sealed.push(value);
    else {
      for (const [inner, entry] of value.entries) {
        const known = shape.vocabulary.keys.get(inner)?.shape;
        (known === undefined || isSecret(known) ? sealed : others).push(entry.value);
      }
    }
  }
  return { sealed, others };
}

/** Each once, however many aliases lead to it. */
function findNodes(roots: readonly YamlNode[]): ReadonlySet<YamlNode> {
  const seen = new Set<YamlNode>();
  const waiting = [...roots];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.kind === 'list') waiting.push(...node.items);
    else if (node.kind === 'map') for (const entry of node.entries.values()) waiting.push(entry.value);
  }
  return seen;
}
