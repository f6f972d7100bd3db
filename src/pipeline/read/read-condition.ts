import { parseGlob, splitNegation } from '../glob.ts';
import type { EventKind } from '../../build/index.ts';
import type { Condition } from '../pipeline.ts';
import type { ProblemList } from '../problem-list.ts';
import { EVENTS, noSchedules, STATUSES } from '../step-language.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { forEach } from '../vocabulary.ts';
import type { YamlMap, YamlNode } from '../yaml-tree.ts';
import { hintExpression, hintForbidden } from './name-glob.ts';
import { child, readBoolean, readChild, readText, readWord, refuseUnknownKeys } from './read-value.ts';

/** What other CI systems call an event or a status, and the hint for it. */
const foreignWords: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...forEach(['merge_request', 'merge_request_event', 'pull', 'pr', 'mr'], 'did you mean "pull_request"?'),
    pull_request_target: 'did you mean "pull_request"? For a fork, c3 always reads c3.yaml from the base branch',
    branch: 'did you mean "push"?',
    always: 'write both: [success, failure]',
    ...forEach(['release', 'create'], 'did you mean "tag"?'),
    ...forEach(['manual', 'workflow_dispatch'], 'c3 builds pushes'),
    ...forEach(['cron', 'schedule'], noSchedules),
    ...forEach(['failed', 'on_failure'], 'did you mean "failure"?'),
    ...forEach(['passed', 'on_success'], 'did you mean "success"?'),
  }),
);

/**
 * Limits the globs for branches and tags in one file, counting one more for the end of each; equal lists count once.
 * A name has up to 255 characters, and each can lead to every state of a glob: see `Work`. Globs for paths have
 * another limit, because a push can change any number of paths.
 */
const MAX_NAME_GLOBS_LENGTH = 4_096;

/** Reads a `when`, of the file or of a step: the vocabulary decides which keys it can have. */
export type ConditionReader = (node: YamlNode | undefined, vocabulary: Vocabulary) => Condition | undefined;

/** Creates a reader for one file: all its conditions share the limit of their globs. */
export function createConditionReader(problems: ProblemList): ConditionReader {
  const context: ConditionContext = { problems, known: new Map(), nameLists: new Set(), nameGlobsLength: 0 };
  return (node, vocabulary) => readCondition(node, vocabulary, context);
}

type GlobKey = 'branch' | 'tag' | 'base' | 'path';

interface ConditionContext {
  readonly problems: ProblemList;
  /** The values and items read so far, by key. An alias leads to the same node again, and costs nothing. */
  readonly known: Map<string, Map<YamlNode, readonly string[]>>;
  /** The lists of globs for branches and tags, as JSON. */
  readonly nameLists: Set<string>;
  nameGlobsLength: number;
}

function readCondition(
  node: YamlNode | undefined,
  vocabulary: Vocabulary,
  context: ConditionContext,
): Condition | undefined {
  const { problems } = context;
  if (node === undefined) return undefined;
  if (node.kind !== 'map') {
    problems.error(node, 'when must be a mapping', 'for example `when: {event: push, branch: main}`');
    return undefined;
  }
  refuseUnknownKeys(node, vocabulary, problems);
  const words = <Word extends string>(key: string, known: readonly Word[]): Word[] => {
    const options = { words: known, foreign: foreignWords, problems };
    const found = readItems(node, key, context, (item) => readWord(item, `when.${key}`, options));
    return known.filter((word) => found.includes(word));
  };
  const globs = (key: GlobKey): readonly string[] =>
    readItems(node, key, context, (item) => readGlob(item, key, problems));
  const event = words('event', EVENTS);
  const status = vocabulary.keys.has('status') ? words('status', STATUSES) : [];
  const lists = {
    event,
    branch: globs('branch'),
    tag: globs('tag'),
    base: globs('base'),
    path: globs('path'),
    status,
  };
  const draft = readChild(node, 'draft', (value) => readBoolean(value, 'when.draft', problems));
  limitNameGlobs(node, lists, context);
  refuseContradiction(node, event, problems);
  const written = Object.fromEntries(Object.entries(lists).filter(([, items]) => items.length > 0));
  return { ...written, ...(draft === undefined ? {} : { draft }) };
}

/** The event to which each key of a condition belongs. */
const EVENT_OF_KEY: readonly (readonly [key: string, event: EventKind])[] = [
  ['branch', 'push'],
  ['tag', 'tag'],
  ['base', 'pull_request'],
  ['draft', 'pull_request'],
];

/** Refuses globs for branches in a condition for tags alone, and the like: they would have no effect. */
function refuseContradiction(map: YamlMap, event: readonly EventKind[], problems: ProblemList): void {
  if (event.length === 0) return;
  for (const [key, kind] of EVENT_OF_KEY) {
    const entry = map.entries.get(key);
    if (entry === undefined || event.includes(kind)) continue;
    const message = `when.${key} has no effect: when.event is only ${event.join(', ')}`;
    const isForBase = key === 'branch' && event.includes('pull_request');
    const advice = isForBase ? 'for the target branch of pull requests, write `base`; or ' : '';
    problems.error(entry.key, message, `${advice}add ${kind} to when.event, or remove one of the two`);
  }
}

/**
 * Reads a list, or a single value as a list of one. Leaves out invalid items. Refuses an empty list, which has no
 * meaning.
 */
function readItems(
  map: YamlMap,
  key: string,
  { known, problems }: ConditionContext,
  readItem: (item: YamlNode) => string | undefined,
): readonly string[] {
  const node = child(map, key);
  if (node === undefined) return [];
  const before = known.get(key) ?? new Map<YamlNode, readonly string[]>();
  known.set(key, before);
  const read = (item: YamlNode): readonly string[] => {
    const found = before.get(item) ?? [readItem(item) ?? []].flat();
    before.set(item, found);
    return found;
  };
  if (node.kind !== 'list') return read(node);
  if (node.items.length === 0) problems.error(node, `when.${key} is empty`, 'remove the key, or write at least one');
  const found = before.get(node) ?? node.items.flatMap(read);
  before.set(node, found);
  return found;
}

function readGlob(item: YamlNode, key: GlobKey, problems: ProblemList): string | undefined {
  const text = readText(item, `when.${key}`, problems);
  if (text === undefined) return undefined;
  const glob = parseGlob(splitNegation(text).pattern);
  const hint = hintNever(text, key);
  if (glob.kind === 'glob' && hint === undefined) {
    warnOfExpression(item, text, { key, problems });
    return text;
  }
  if (glob.kind === 'invalid') problems.error(item, `when.${key} has an invalid glob: ${glob.message}`);
  else problems.error(item, `when.${key} has a glob that never matches`, hint);
  return undefined;
}

function warnOfExpression(
  item: YamlNode,
  text: string,
  { key, problems }: { readonly key: GlobKey; readonly problems: ProblemList },
): void {
  const hint = hintExpression(text, key);
  if (hint !== undefined) problems.warning(item, `when.${key} has a glob that looks like a regular expression`, hint);
}

/** Counts the globs for branches and tags. Reports at the list that exceeds the limit. */
function limitNameGlobs(map: YamlMap, condition: Condition, context: ConditionContext): void {
  for (const key of ['branch', 'tag', 'base'] as const) {
    const { [key]: globs = [] } = condition;
    const list = JSON.stringify(globs);
    if (context.nameLists.has(list)) continue;
    context.nameLists.add(list);
    const before = context.nameGlobsLength;
    for (const glob of globs) context.nameGlobsLength += glob.length + 1;
    if (before > MAX_NAME_GLOBS_LENGTH || context.nameGlobsLength <= MAX_NAME_GLOBS_LENGTH) continue;
    const message = `the globs for branches and tags are longer than ${MAX_NAME_GLOBS_LENGTH} characters together`;
    const hint = 'use "*" or "{a,b}" to match several names; equal lists count once';
    context.problems.error(child(map, key) ?? map, message, hint);
  }
}

/** No branch, tag or changed path begins like this. A directory can be called `refs`. */
const NEVER_A_NAME = /^(?:\.?\/|refs\/(?:heads\/|tags\/)?)/;
const NEVER_A_PATH = /^\.?\//;

/** Says what to do about a glob that matches no name. */
function hintNever(text: string, key: GlobKey): string | undefined {
  const { pattern } = splitNegation(text);
  const [prefix] = (key === 'path' ? NEVER_A_PATH : NEVER_A_NAME).exec(pattern) ?? [];
  const forbidden = key === 'path' ? undefined : hintForbidden(text);
  // A slash before a forbidden character begins a regular expression, `/^v/`.
  if (forbidden !== undefined && (prefix === undefined || prefix === '/')) return forbidden;
  if (prefix !== undefined) {
    const names =
      key === 'path'
        ? 'paths begin at the root of the repository'
        : `write only the name of the ${key === 'base' ? 'branch' : key}`;
    return `remove "${prefix}": ${names}`;
  }
  return text.endsWith('/') ? 'add "**" to match everything in the directory' : undefined;
}
