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

/**
 * Of the globs of branches and tags in one file, with one for the end of each: equal lists count once. Names have up to 255
 * characters, and each may lead to every place of a glob: see `Work`. For paths there is another limit, since nobody knows how
 * many a push changes.
 */
const MAX_NAME_GLOBS_LENGTH = 4_096;

/** Reads a `when`, of the file or of a step: what it may say is the vocabulary's. */
export type ConditionReader = (node: YamlNode | undefined, vocabulary: Vocabulary) => Condition | undefined;

/** Of one file: all its conditions share the limit of their globs. */
export function createConditionReader(problems: ProblemList): ConditionReader {
  const context: ConditionContext = {
    problems,
    known: { event: new Map(), status: new Map(), branch: new Map(), tag: new Map(), path: new Map() },
    nameLists: new Set(),
    nameGlobsLength: 0,
  };
  return (node, vocabulary) => readCondition(node, vocabulary, context);
}

interface ConditionContext {
  readonly problems: ProblemList;
  /** What was read under each key: an alias leads to the same node, and costs nothing. */
  readonly known: {
    readonly event: Map<YamlNode, readonly EventKind[]>;
    readonly status: Map<YamlNode, readonly ('success' | 'failure')[]>;
  } & Readonly<Record<GlobKey, Map<YamlNode, readonly string[]>>>;
  /** Of branches and tags, as JSON. */
  readonly nameLists: Set<string>;
  nameGlobsLength: number;
}

type GlobKey = 'branch' | 'tag' | 'path';

function readCondition(
  node: YamlNode | undefined,
  vocabulary: Vocabulary,
  context: ConditionContext,
): Condition | undefined {
  const { problems, known } = context;
  if (node === undefined) return undefined;
  if (node.kind !== 'map') {
    const hint = 'for example `when: {event: push, branch: main}`';
    problems.error(node, 'when must be a mapping', hint);
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

/** A branch that no event of the condition has would never be looked at. */
function refuseContradiction(map: YamlMap, event: readonly EventKind[], problems: ProblemList): void {
  if (event.length === 0) return;
  for (const [key, kind] of [
    ['branch', 'push'],
    ['tag', 'tag'],
  ] as const) {
    const entry = map.entries.get(key);
    if (entry === undefined || event.includes(kind)) continue;
    const message = `when.${key} is never asked: when.event is ${event.join(', ')} alone`;
    problems.error(entry.key, message, `add ${kind} to when.event, or remove one of the two`);
  }
}

/** One, or a list of them; both are the items. An empty list says nothing, and is refused. */
function toItems(node: YamlNode, key: string, problems: ProblemList): readonly YamlNode[] {
  if (node.kind !== 'list') return [node];
  if (node.items.length === 0) problems.error(node, `when.${key} is empty`, 'remove the key, or say at least one');
  return node.items;
}

interface WordContext<Word extends string> {
  readonly key: string;
  readonly words: readonly Word[];
  readonly known: Map<YamlNode, readonly Word[]>;
  readonly problems: ProblemList;
}

function readWords<Word extends string>(map: YamlMap, context: WordContext<Word>): readonly Word[] {
  const { key, known, problems } = context;
  const node = child(map, key);
  if (node === undefined) return [];
  const words = known.get(node) ?? [
    ...new Set(toItems(node, key, problems).flatMap((item) => readWord(item, context))),
  ];
  known.set(node, words);
  return words;
}

/** None, when it is not one of them. */
function readWord<Word extends string>(item: YamlNode, { key, words, problems }: WordContext<Word>): Word[] {
  const text = readText(item, `when.${key}`, problems);
  if (text === undefined) return [];
  const word = words.find((known) => known === text);
  if (word !== undefined) return [word];
  const meant = suggest(text, words);
  const hint =
    foreignWords.get(text) ?? (meant === undefined ? `it is ${words.join(' or ')}` : `did you mean "${meant}"?`);
  problems.error(item, `when.${key} does not know ${quote(text)}`, hint);
  return [];
}

function readGlobs(map: YamlMap, key: GlobKey, context: ConditionContext): Condition {
  const node = child(map, key);
  if (node === undefined) return {};
  const known = context.known[key];
  let globs = known.get(node);
  if (globs === undefined) {
    globs = toItems(node, key, context.problems).flatMap((item) => readGlob(item, key, context));
    if (key !== 'path') boundNameGlobs(node, globs, context);
    known.set(node, globs);
  }
  return globs.length === 0 ? {} : { [key]: globs };
}

/** None, when there is something wrong with it. */
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
  if (glob.kind === 'invalid') {
    problems.error(item, `when.${key} has a glob that cannot be read, ${quote(text)}: ${glob.message}`);
  } else if (hint !== undefined) {
    problems.error(item, `when.${key} never matches ${quote(text)}`, hint);
  }
  return glob.kind === 'glob' && hint === undefined;
}

/** Says it at the list with which they become too many. */
function boundNameGlobs(node: YamlNode, globs: readonly string[], context: ConditionContext): void {
  const list = JSON.stringify(globs);
  if (context.nameLists.has(list)) return;
  context.nameLists.add(list);
  const before = context.nameGlobsLength;
  for (const glob of globs) context.nameGlobsLength += glob.length + 1;
  if (before > MAX_NAME_GLOBS_LENGTH || context.nameGlobsLength <= MAX_NAME_GLOBS_LENGTH) return;
  const message = `the globs of branches and tags are longer than ${MAX_NAME_GLOBS_LENGTH} characters together`;
  context.problems.error(node, message, 'let a "*" or "{a,b}" stand for several; equal lists count once');
}

/** With what no branch, no tag and no path of a push begins. A directory may be called `refs`. */
const NEVER_A_NAME = /^(?:\.?\/|refs\/(?:heads\/|tags\/)?)/;
const NEVER_A_PATH = /^\.?\//;

/** What to do about a glob that no name can match: what is asked about neither begins nor ends like that. */
function hintNever(text: string, key: GlobKey): string | undefined {
  const [prefix] = (key === 'path' ? NEVER_A_PATH : NEVER_A_NAME).exec(splitNegation(text).pattern) ?? [];
  if (prefix !== undefined) {
    const names = key === 'path' ? 'paths begin at the root of the repository' : `say the name of the ${key} alone`;
    return `remove "${prefix}": ${names}`;
  }
  return text.endsWith('/') ? `for all that is below it write ${quote(`${text}**`)}` : undefined;
}
