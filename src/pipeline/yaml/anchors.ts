import type { Alias } from 'yaml';
import { isAlias, isCollection, isNode, isPair } from 'yaml';

export interface Anchors {
  /** By the name; one name may stand at several nodes. */
  readonly anchors: ReadonlyMap<string, readonly unknown[]>;
  readonly aliases: readonly Alias[];
}

/** Of a document. Not with the library's `visit`, whose cost grows with the depth. */
export function findAnchors(root: unknown): Anchors {
  const anchors = new Map<string, unknown[]>();
  const aliases: Alias[] = [];
  const waiting: unknown[] = [root];
  while (waiting.length > 0) {
    const node = waiting.pop();
    if (isPair(node)) waiting.push(node.key, node.value);
    else if (isAlias(node)) aliases.push(node);
    else if (isCollection(node)) waiting.push(...node.items);
    if (!isNode(node) || !('anchor' in node) || typeof node.anchor !== 'string') continue;
    const named = anchors.get(node.anchor);
    if (named === undefined) anchors.set(node.anchor, [node]);
    else named.push(node);
  }
  return { anchors, aliases };
}
