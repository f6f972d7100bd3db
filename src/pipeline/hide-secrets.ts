import { pipelineVocabulary } from './language.ts';
import type { ProblemList } from './problem-list.ts';
import { findAliased } from './read/read-value.ts';
import { isSecret } from './yaml/sight.ts';
import type { YamlMap, YamlNode } from './yaml-tree.ts';

/**
 * Keeps out of the problems what belongs under a sealed key and stands elsewhere too, by an alias or a merge key: there it would be
 * quoted as what is wrong with a condition. What no alias leads to changes no message, whatever words it has.
 */
export function hideSecrets(root: YamlMap, problems: ProblemList): void {
  const { sealed, others } = splitValues(root);
  const elsewhere = findNodes(others);
  for (const node of findNodes(sealed)) {
    if (node.kind !== 'scalar' || !elsewhere.has(node)) continue;
    if (typeof node.value === 'string' || typeof node.value === 'number') problems.hide(String(node.value));
    if (typeof node.value === 'number') problems.hide(node.source);
  }
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
