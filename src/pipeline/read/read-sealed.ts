import { SEALED_PATTERN, sealedVocabulary } from '../language.ts';
import type { SealedValue } from '../pipeline.ts';
import type { ProblemList } from '../problem-list.ts';
import { findRefMistake } from '../ref-pattern.ts';
import type { YamlEntry, YamlMap } from '../yaml-tree.ts';
import { readChild, readText, refuseUnknownKeys, textOf } from './read-value.ts';

export interface SealedUse {
  /** `k8s`, `secrets.DEPLOY_KEY`. */
  readonly what: string;
  /** As in `c3 encrypt --for`: `k8s`, `telegram`, `secret:DEPLOY_KEY`. */
  readonly purpose: string;
  /** What is sealed: `a kubeconfig`. */
  readonly content: string;
}

/** Reads a sealed value: the value alone, or a mapping with the refs that it is for. */
export function readSealed(entry: YamlEntry, use: SealedUse, problems: ProblemList): SealedValue | undefined {
  const { key, value: map } = entry;
  const { what, purpose } = use;
  // A mapping with other keys is a kubeconfig in clear text.
  if (map.kind !== 'map' || !(map.entries.has('value') || map.entries.has('ref'))) {
    const value = readToken(entry, use, problems);
    return value === undefined ? undefined : { value };
  }
  refuseUnknownKeys(map, sealedVocabulary, problems);
  const inner = map.entries.get('value');
  const long = { ...use, what: `${what}.value`, purpose: `${purpose} --ref REF` };
  const value = inner ? readToken(inner, long, problems) : problems.withoutSeals ? '' : undefined;
  const ref = readRef(map, what, problems);
  if (!inner && value === undefined) problems.error(key, `${what} has no key "value"`, 'put the sealed value there');
  if (!map.entries.has('ref')) {
    problems.error(key, `${what} has no key "ref"`, `write \`${what.split('.').at(-1)}: VALUE\` if it is for all refs`);
  }
  return value === undefined || ref === undefined ? undefined : { value, ref };
}

/** Reads the ref pattern of a sealed value. */
export function readRef(map: YamlMap, what: string, problems: ProblemList): string | undefined {
  return readChild(map, 'ref', (node) => {
    const text = readText(node, `${what}.ref`, problems);
    const mistake = text === undefined ? undefined : findRefMistake(text);
    if (mistake === undefined) return text;
    const hint = 'write refs/heads/main for the branch main, refs/tags/v1 for the tag v1';
    problems.error(node, `${what}.ref ${mistake}`, hint);
    return undefined;
  });
}

/**
 * Reads the text of a sealed value without opening it: checks only that it has four or five base64url parts. A problem
 * points at the key and never quotes the value: a value that is not sealed can be the secret itself, even between the
 * brackets of a placeholder.
 */
export function readToken({ key, value }: YamlEntry, use: SealedUse, problems: ProblemList): string | undefined {
  const text = textOf(value)?.trim();
  if (text !== undefined && SEALED_PATTERN.test(text)) return text;
  if (problems.withoutSeals) return '';
  const command = `c3 encrypt --repo HOST/OWNER/NAME --for ${use.purpose}`;
  const hint = `seal ${use.content} with \`${command}\` or POST /encrypt, and put the result here`;
  if (text !== undefined && /^<[\w .:-]{1,60}>$/.test(text)) {
    const message = `${use.what} is still the placeholder of an example`;
    if (problems.allowPlaceholders) {
      problems.warning(key, message, hint);
      return '';
    }
    problems.error(key, message, hint);
  } else if (text === '' || (value.kind === 'scalar' && value.value === null)) {
    problems.error(key, `${use.what} is empty`, hint);
  } else {
    problems.error(key, `${use.what} is not a sealed value`, `${hint}; a value in clear text is no longer secret`);
  }
  return undefined;
}

/** Reads `k8s`. */
export function readKubeconfig(map: YamlMap, problems: ProblemList): SealedValue | undefined {
  const entry = map.entries.get('k8s');
  if (entry === undefined) return problems.withoutSeals ? { value: '' } : undefined;
  return readSealed(entry, { what: 'k8s', purpose: 'k8s', content: 'a kubeconfig' }, problems);
}
