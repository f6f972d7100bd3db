import type { KubeObject } from '../objects.ts';
import { badRequest } from './status.ts';

export type Predicate = (object: KubeObject) => boolean;

/** `a=b`, `a==b`, `a!=b`, `a`, `!a`, `a in (b,c)`, `a notin (b,c)`; parts are joined by commas. */
export function parseLabelSelector(text: string): Predicate {
  const parts = splitParts(text).map(parseLabelPart);
  return (object) => parts.every((part) => part(object.metadata.labels ?? {}));
}

/** The supported fields of selectors for Pods and Events. */
const FIELDS = new Set([
  'metadata.name',
  'metadata.namespace',
  'spec.nodeName',
  'spec.restartPolicy',
  'status.phase',
  'involvedObject.kind',
  'involvedObject.namespace',
  'involvedObject.name',
  'involvedObject.uid',
  'reason',
  'type',
]);

/** `path=value`, `path!=value`, joined by commas. @throws {ApiRefusal} 400 for a field that cannot be selected */
export function parseFieldSelector(text: string): Predicate {
  const parts = splitParts(text).map((part) => {
    const match = /^([^=!]+)(!=|==?)(.*)$/.exec(part);
    const [, path = '', operator, value = ''] = match ?? [];
    if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
    if (!FIELDS.has(path)) throw badRequest(`field label not supported: ${path}`);
    return (object: KubeObject): boolean => (readField(object, path) === value) === (operator !== '!=');
  });
  return (object) => parts.every((part) => part(object));
}

function readField(object: KubeObject, path: string): string {
  let value: unknown = object;
  for (const key of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[key];
  return typeof value === 'string' ? value : '';
}

function splitParts(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function parseLabelPart(part: string): (labels: Record<string, string>) => boolean {
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(part);
  if (set) {
    const [, key = '', operator, list = ''] = set;
    const values = list.split(',').map((value) => value.trim());
    return (labels) => values.includes(labels[key] ?? '\0') === (operator === 'in');
  }
  const equality = /^([^\s=!]+)\s*(!=|==?)\s*([^\s=!]*)$/.exec(part);
  if (equality) {
    const [, key = '', operator, value = ''] = equality;
    return (labels) => (labels[key] === value) === (operator !== '!=');
  }
  const existence = /^(!?)([A-Za-z0-9._/-]+)$/.exec(part);
  if (existence) {
    const [, negation, key = ''] = existence;
    return (labels) => Object.hasOwn(labels, key) === (negation === '');
  }
  throw badRequest(`unable to parse requirement: ${part}`);
}
