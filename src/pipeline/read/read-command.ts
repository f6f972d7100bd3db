import { isStepKey, stepVocabulary } from '../language.ts';
import type { Step } from '../pipeline.ts';
import type { ProblemList } from '../problem-list.ts';
import { quote, quoteKey } from '../problem-list.ts';
import type { ConditionReader } from './read-condition.ts';
import type { JobContainer } from './read-job.ts';
import { child, findAliased, readText, refuseKey } from './read-value.ts';
import { suggest } from '../suggest.ts';
import type { YamlEntry, YamlMap, YamlNode } from '../yaml-tree.ts';

export interface StepsContext {
  readonly problems: ProblemList;
  readonly text: string;
  /** Undefined when the job is too broken to tell: then no name of a container is called wrong. */
  readonly containers: ReadonlyMap<string, JobContainer> | undefined;
  readonly readCondition: ConditionReader;
}

export interface Command {
  readonly container: string;
  readonly run: Step['run'];
}

/** The container of a step and what runs in it. Every key that is neither an option nor the container is refused. */
export function findCommand(step: YamlMap, context: StepsContext): Command | undefined {
  const place = findPlace(step, context);
  if (place === undefined) return undefined;
  const run = readCommand(place.command, `the command of ${quote(place.container)}`, context.problems);
  if (run === undefined) return undefined;
  warnOfComment(place.command, context);
  return { container: place.container, run };
}

interface CommandPlace {
  readonly container: string;
  readonly command: YamlNode;
}

/** The container and its command: `container: command`, or `container:` with `run:`. Every other key that is no option is refused. */
function findPlace(step: YamlMap, context: StepsContext): CommandPlace | undefined {
  const { problems } = context;
  const isLong = step.entries.has('container') || step.entries.has('run');
  const others = [...step.entries].filter(([key]) => !isStepKey(key));
  const chosen = isLong ? undefined : others.find(([key]) => context.containers?.has(key) ?? true);
  for (const other of others) if (other !== chosen) refuseOther(other, { chosen: chosen?.[0], isLong }, context);
  if (chosen !== undefined) return { container: chosen[0], command: chosen[1].value };
  if (isLong) return readLongForm(step, context);
  if (others.length === 0) problems.error(step, 'the step has no command', 'write it as `container: command`');
  return undefined;
}

function readLongForm(step: YamlMap, context: StepsContext): CommandPlace | undefined {
  const { problems } = context;
  const container = child(step, 'container');
  const command = child(step, 'run');
  if (container === undefined) {
    problems.error(step, 'the step says "run" but no container', 'add `container: NAME`, or write `NAME: command`');
    return undefined;
  }
  if (command === undefined) problems.error(step, 'the step has no command', 'add `run: command`');
  const name = readText(container, 'container', problems);
  if (name === undefined) return undefined;
  if (context.containers !== undefined && !context.containers.has(name)) {
    problems.error(
      container,
      `the job has no container ${quote(name)}`,
      toContainerHint(name, [...context.containers.keys()]),
    );
    return undefined;
  }
  return command === undefined ? undefined : { container: name, command };
}

/** A key that is neither an option nor the step's container: a second container, a misspelt container, or a misspelt option. */
function refuseOther(
  [key, entry]: [string, YamlEntry],
  step: { readonly chosen: string | undefined; readonly isLong: boolean },
  { problems, containers }: StepsContext,
): void {
  if (problems.isFull) return;
  const names = [...(containers?.keys() ?? [])];
  const needsContainer = step.chosen === undefined && !step.isLong;
  const isNoOption =
    findAliased(key, stepVocabulary) === undefined &&
    !stepVocabulary.foreign.has(key) &&
    suggest(key, stepVocabulary.keys.keys()) === undefined;
  if (names.includes(key)) {
    const hint = step.isLong ? 'say either `container` and `run`, or this' : `begin a new step: \`- ${key}: …\``;
    const message = `a step runs in one container, and ${quote(step.chosen ?? 'container')} is here already`;
    problems.error(entry.key, message, hint);
  } else if (needsContainer && (isNoOption || suggest(key, names) !== undefined)) {
    problems.error(entry.key, `the job has no container ${quoteKey(key)}`, toContainerHint(key, names));
  } else {
    refuseKey(key, entry.key, stepVocabulary, problems);
  }
}

function toContainerHint(name: string, names: readonly string[]): string {
  const meant = suggest(name, names);
  return meant === undefined ? `it has ${names.slice(0, 10).join(', ')}` : `did you mean "${meant}"?`;
}

function readCommand(node: YamlNode, what: string, problems: ProblemList): Step['run'] | undefined {
  if (node.kind === 'map') {
    const hint = 'options stand beside the container, not under it';
    problems.error(node, `${what} must be text or a list of texts, not a mapping`, hint);
    return undefined;
  }
  if (node.kind === 'scalar') {
    const text = readText(node, what, problems);
    if (text === undefined) return undefined;
    if (text.trim() !== '') return { kind: 'script', text };
    problems.error(node, `${what} is empty`);
    return undefined;
  }
  const argv = node.items.map((item) => readText(item, `a word of ${what}`, problems));
  const words = argv.filter((word) => word !== undefined);
  if (words.length < argv.length) return undefined;
  if (words[0]) return { kind: 'argv', argv: words };
  problems.error(node, `${what} names no program`);
  return undefined;
}

/**
 * YAML cuts a plain text at ` #`. A shell would do the same, so `make # all of it` is left alone; what differs is a `#`
 * in quotes, and what is nearly always meant to be kept is `#1`.
 */
function warnOfComment(node: YamlNode, context: StepsContext): void {
  if (node.kind !== 'scalar' || !node.isPlain) return;
  const comment = /^[ \t]+(#[^\r\n]*)/.exec(context.text.slice(node.end, node.end + 200))?.[1];
  if (comment === undefined) return;
  if (!/^#[^\s#]/.test(comment) && !hasOpenQuote(node.source)) return;
  const start = context.text.indexOf('#', node.end);
  const hint = 'to keep it, put the whole script in quotes or under "|"';
  context.problems.warning({ start, end: start + comment.length }, 'this is a comment, not part of the script', hint);
}

function hasOpenQuote(script: string): boolean {
  const rest = script.replace(/\\.|'[^']*'|"(?:\\.|[^"\\])*"/g, '');
  return /["']/.test(rest);
}
