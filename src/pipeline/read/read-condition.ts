import type { Vocabulary } from '../language.ts';
import { EVENTS, STATUSES } from '../language.ts';
import { parseGlob } from '../glob.ts';
import { splitNegation } from '../match.ts';
import type { Condition, EventKind } from '../pipeline.ts';
import type { ProblemList } from '../problem-list.ts';
import { quote } from '../problem-list.ts';
import { child, readText, refuseUnknownKeys } from './read-value.ts';
import { suggest } from '../suggest.ts';
import type { YamlMap, YamlNode } from '../yaml-tree.ts';

/** What other systems call an event or a status, and what to say of it. */
const foreignWords: ReadonlyMap<string, string> = new Map([
  ['pull_request', 'c3 builds what is pushed: the branch of a pull request in the same repository is a push'],
  ['merge_request', 'c3 builds what is pushed: the branch of a merge request in the same repository is a push'],
  ['branch', 'did you mean "push"?'],
  ['release', 'did you mean "tag"?'],
  ['create', 'did you mean "tag"?'],
  ['manual', 'c3 builds what is pushed'],
  ['workflow_dispatch', 'c3 builds what is pushed'],
  ['cron', 'c3 has no schedules: a cron job can push, or run `c3 run`'],
  ['schedule', 'c3 has no schedules: a cron job can push, or run `c3 run`'],
  ['always', 'say both: [success, failure]'],
  ['failed', 'did you mean "failure"?'],
  ['on_failure', 'did you mean "failure"?'],
  ['passed', 'did you mean "success"?'],
  ['on_success', 'did you mean "success"?'],
]);

/** `when`, of the file or of a step: what it may say is the vocabulary's. */
export function readCondition(
  node: YamlNode | undefined,
  vocabulary: Vocabulary,
  problems: ProblemList,
): Condition | undefined {
  if (node === undefined) return undefined;
  if (node.kind !== 'map') {
    const hint = 'for example `when: {event: push, branch: main}`';
    problems.error(node, 'when must be a mapping', hint);
    return undefined;
  }
  refuseUnknownKeys(node, vocabulary, problems);
  const event = readWords(node, 'event', EVENTS, problems);
  const status = vocabulary.keys.has('status') ? readWords(node, 'status', STATUSES, problems) : undefined;
  const condition: Condition = {
    ...(event === undefined ? {} : { event }),
    ...readGlobs(node, 'branch', problems),
    ...readGlobs(node, 'tag', problems),
    ...readGlobs(node, 'path', problems),
    ...(status === undefined ? {} : { status }),
  };
  refuseContradiction(node, event, problems);
  return condition;
}

/** A branch that no event of the condition has would never be looked at. */
function refuseContradiction(map: YamlMap, event: readonly EventKind[] | undefined, problems: ProblemList): void {
  for (const [key, kind] of [
    ['branch', 'push'],
    ['tag', 'tag'],
  ] as const) {
    const entry = map.entries.get(key);
    if (entry === undefined || event === undefined || event.includes(kind)) continue;
    const message = `when.${key} is never asked: when.event is ${event.join(', ')} alone`;
    problems.error(entry.key, message, `add ${kind} to when.event, or remove one of the two`);
  }
}

/** One, or a list of them; both are the items. An empty list says nothing, and is refused. */
function readItems(map: YamlMap, key: string, problems: ProblemList): readonly YamlNode[] {
  const node = child(map, key);
  if (node?.kind !== 'list') return node === undefined ? [] : [node];
  if (node.items.length === 0) problems.error(node, `when.${key} is empty`, 'remove the key, or say at least one');
  return node.items;
}

function readWords<Word extends string>(
  map: YamlMap,
  key: string,
  words: readonly Word[],
  problems: ProblemList,
): Word[] | undefined {
  const found: Word[] = [];
  for (const item of readItems(map, key, problems)) {
    const text = readText(item, `when.${key}`, problems);
    if (text === undefined) continue;
    const word = words.find((known) => known === text);
    if (word !== undefined) {
      found.push(word);
      continue;
    }
    const meant = suggest(text, words);
    const hint =
      foreignWords.get(text) ?? (meant === undefined ? `it is ${words.join(' or ')}` : `did you mean "${meant}"?`);
    problems.error(item, `when.${key} does not know ${quote(text)}`, hint);
  }
  return found.length === 0 ? undefined : [...new Set(found)];
}

function readGlobs(map: YamlMap, key: 'branch' | 'tag' | 'path', problems: ProblemList): Condition {
  const globs: string[] = [];
  for (const item of readItems(map, key, problems)) {
    const text = readText(item, `when.${key}`, problems);
    if (text === undefined) continue;
    const glob = parseGlob(splitNegation(text).pattern);
    const hint = hintNever(text, key);
    if (glob.kind === 'invalid') {
      problems.error(item, `when.${key} has a glob that cannot be read, ${quote(text)}: ${glob.message}`);
    } else if (hint === undefined) {
      globs.push(text);
    } else {
      problems.error(item, `when.${key} never matches ${quote(text)}`, hint);
    }
  }
  return globs.length === 0 ? {} : { [key]: globs };
}

/** What to do about a glob that no name can match: what is asked about neither begins nor ends like that. */
function hintNever(text: string, key: 'branch' | 'tag' | 'path'): string | undefined {
  const [, prefix = '', end] = /^!?(\/|\.\/|refs\/(?:heads\/|tags\/)?)?.*?(\/)?$/s.exec(text) ?? [];
  if (prefix !== '') {
    const names = key === 'path' ? 'paths begin at the root of the repository' : `say the name of the ${key} alone`;
    return `remove "${prefix}": ${names}`;
  }
  return end === undefined ? undefined : `for all that is below it write ${quote(`${text}**`)}`;
}
