import { parseGlob, splitNegation } from '../glob.ts';
import type { Condition, EventKind } from '../pipeline.ts';
import type { ProblemList } from '../problem-list.ts';
import { EVENTS, noSchedules, STATUSES } from '../step-language.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { forEach } from '../vocabulary.ts';
import type { YamlMap, YamlNode } from '../yaml-tree.ts';
import { child, readText, readWord, refuseUnknownKeys } from './read-value.ts';

/** What other CI systems call an event or a status, and the hint for it. */
const foreignWords: ReadonlyMap<string, string> = new Map(
  Object.entries({
    pull_request: 'c3 builds pushes: the branch of a pull request in the same repository is a push',
    merge_request: 'c3 builds pushes: the branch of a merge request in the same repository is a push',
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
 * Limits the globs for branches and tags in one file, counting one more for the end of each; equal lists count once. A name has
 * up to 255 characters, and each can lead to every state of a glob: see `Work`. Globs for paths have another limit, because a
 * push can change any number of paths.
 */
const MAX_NAME_GLOBS_LENGTH = 4_096;

/** Reads a `when`, of the file or of a step: the vocabulary decides which keys it can have. */
export type ConditionReader = (node: YamlNode | undefined, vocabulary: Vocabulary) => Condition | undefined;

/** Creates a reader for one file: all its conditions share the limit of their globs. */
export function createConditionReader(problems: ProblemList): ConditionReader {
  const context: ConditionContext = {
    problems,
    known: { event: new Map(), status: new Map(), branch: new Map(), tag: new Map(), path: new Map() },
    nameLists: new Set(),
    nameGlobsLength: 0,
  };
  return (node, vocabulary) => readCondition(node, vocabulary, context);
}

type GlobKey = 'branch' | 'tag' | 'path';

interface ConditionContext {
  readonly problems: ProblemList;
  /** What was read under each key. An alias leads to the same node again, and costs nothing. */
  readonly known: {
    readonly event: Map<YamlNode, readonly EventKind[]>;
    readonly status: Map<YamlNode, readonly ('success' | 'failure')[]>;
  } & Readonly<Record<GlobKey, Map<YamlNode, readonly string[]>>>;
  /** The lists of globs for branches and tags, as JSON. */
  readonly nameLists: Set<string>;
  nameGlobsLength: number;
}

function readCondition(
  node: YamlNode | undefined,
  vocabulary: Vocabulary,
  context: ConditionContext,
): Condition | undefined {
  const { problems, known } = context;
  if (node === undefined) return undefined;
  if (node.kind !== 'map') {
    problems.error(node, 'when must be a mapping', 'for example `when: {event: push, branch: main}`');
    return undefined;
  }
  refuseUnknownKeys(node, vocabulary, problems);
  const event = readWords(node, { key: 'event', words: EVENTS, known: known.event, problems });
  const status = vocabulary.keys.has('status')
    ? readWords(node, { key: 'status', words: STATUSES, known: known.status, problems })
    : [];
  const condition: Condition = {
    ...(event.length === 0 ? {} : { event }),
    ...readGlobs(node, 'branch', context),
    ...readGlobs(node, 'tag', context),
    ...readGlobs(node, 'path', context),
    ...(status.length === 0 ? {} : { status }),
  };
  refuseContradiction(node, event, problems);
  return condition;
}

/** Refuses globs for branches in a condition for tags alone, and the reverse: they would have no effect. */
function refuseContradiction(map: YamlMap, event: readonly EventKind[], problems: ProblemList): void {
  if (event.length === 0) return;
  for (const [key, kind] of [
    ['branch', 'push'],
    ['tag', 'tag'],
  ] as const) {
    const entry = map.entries.get(key);
    if (entry === undefined || event.includes(kind)) continue;
    const message = `when.${key} has no effect: when.event is only ${event.join(', ')}`;
    problems.error(entry.key, message, `add ${kind} to when.event, or remove one of the two`);
  }
}

/** Returns the items of a list, or a single value as the only item. Refuses an empty list, which has no meaning. */
function toItems(node: YamlNode, key: string, problems: ProblemList): readonly YamlNode[] {
  if (node.kind !== 'list') return [node];
  if (node.items.length === 0) problems.error(node, `when.${key} is empty`, 'remove the key, or write at least one');
  return node.items;
}

interface WordsContext<Word extends string> {
  readonly key: string;
  readonly words: readonly Word[];
  readonly known: Map<YamlNode, readonly Word[]>;
  readonly problems: ProblemList;
}

function readWords<Word extends string>(map: YamlMap, context: WordsContext<Word>): readonly Word[] {
  const { key, known, words, problems } = context;
  const node = child(map, key);
  if (node === undefined) return [];
  const options = { words, foreign: foreignWords, problems };
  const read = (item: YamlNode): Word | readonly Word[] => readWord(item, `when.${key}`, options) ?? [];
  const found = known.get(node) ?? [...new Set(toItems(node, key, problems).flatMap(read))];
  known.set(node, found);
  return found;
}

function readGlobs(map: YamlMap, key: GlobKey, context: ConditionContext): Condition {
  const node = child(map, key);
  if (node === undefined) return {};
  const known = context.known[key];
  let globs = known.get(node);
  if (globs === undefined) {
    globs = toItems(node, key, context.problems).flatMap((item) => readGlob(item, key, context));
    if (key !== 'path') limitNameGlobs(node, globs, context);
    known.set(node, globs);
  }
  return globs.length === 0 ? {} : { [key]: globs };
}

/** Returns an empty list for an invalid glob. */
function readGlob(item: YamlNode, key: GlobKey, { problems, known }: ConditionContext): readonly string[] {
  const before = known[key].get(item);
  if (before !== undefined) return before;
  const text = readText(item, `when.${key}`, problems);
  const globs = text !== undefined && checkGlob(text, { item, key, problems }) ? [text] : [];
  known[key].set(item, globs);
  return globs;
}

function checkGlob(
  text: string,
  { item, key, problems }: { readonly item: YamlNode; readonly key: GlobKey; readonly problems: ProblemList },
): boolean {
  const glob = parseGlob(splitNegation(text).pattern);
  const hint = hintNever(text, key);
  if (glob.kind === 'invalid') problems.error(item, `when.${key} has an invalid glob: ${glob.message}`);
  else if (hint !== undefined) problems.error(item, `when.${key} has a glob that never matches`, hint);
  return glob.kind === 'glob' && hint === undefined;
}

/** Reports at the list that exceeds the limit. */
function limitNameGlobs(node: YamlNode, globs: readonly string[], context: ConditionContext): void {
  const list = JSON.stringify(globs);
  if (context.nameLists.has(list)) return;
  context.nameLists.add(list);
  const before = context.nameGlobsLength;
  for (const glob of globs) context.nameGlobsLength += glob.length + 1;
  if (before > MAX_NAME_GLOBS_LENGTH || context.nameGlobsLength <= MAX_NAME_GLOBS_LENGTH) return;
  const message = `the globs for branches and tags are longer than ${MAX_NAME_GLOBS_LENGTH} characters together`;
  context.problems.error(node, message, 'use "*" or "{a,b}" to match several names; equal lists count once');
}

/** No branch, tag or changed path begins like this. A directory can be called `refs`. */
const NEVER_A_NAME = /^(?:\.?\/|refs\/(?:heads\/|tags\/)?)/;
const NEVER_A_PATH = /^\.?\//;

/** Says what to do about a glob that matches no name, because of its start or its end. */
function hintNever(text: string, key: GlobKey): string | undefined {
  const [prefix] = (key === 'path' ? NEVER_A_PATH : NEVER_A_NAME).exec(splitNegation(text).pattern) ?? [];
  if (prefix !== undefined) {
    const names = key === 'path' ? 'paths begin at the root of the repository' : `write only the name of the ${key}`;
    return `remove "${prefix}": ${names}`;
  }
  return text.endsWith('/') ? 'add "**" to match everything in the directory' : undefined;
}
