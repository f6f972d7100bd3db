import type { Stage, Step } from '../pipeline.ts';
import type { ProblemList } from '../problem-list.ts';
import { quote, quoteKey } from '../problem-list.ts';
import {
  isStepKey,
  RETRY_LIMITS,
  STEP_NAME_PATTERN,
  stepConditionVocabulary,
  stepVocabulary,
} from '../step-language.ts';
import { suggest } from '../suggest.ts';
import { findAliased } from '../vocabulary.ts';
import type { YamlEntry, YamlList, YamlMap, YamlNode } from '../yaml-tree.ts';
import { checkArguments, checkScript } from './check-script.ts';
import type { ConditionReader } from './read-condition.ts';
import type { Containers } from './read-job.ts';
import { hintContainer } from './read-job.ts';
import {
  child,
  describeKind,
  hintAlias,
  readBoolean,
  readChild,
  readDuration,
  readWholeNumber,
  readText,
  refuseKey,
} from './read-value.ts';
import { readEnv } from './read-variables.ts';

/**
 * Limits `steps` and `finally`, separately. Each step is a line of the message in Telegram, which has 4,096
 * characters.
 */
export const MAX_STEPS = 100;

/** Each step that runs has its own connection into the Pod. */
export const MAX_PARALLEL = 20;

export interface StepsContext {
  readonly problems: ProblemList;
  readonly text: string;
  /** Undefined when the containers of the job are unknown: then no container's name is wrong. */
  readonly containers: Containers | undefined;
  readonly initContainers: ReadonlySet<string>;
  readonly readCondition: ConditionReader;
}

/** Reads `steps` or `finally`. Returns the correct stages; each other one has at least one error. */
export function readStages(node: YamlNode | undefined, what: 'steps' | 'finally', context: StepsContext): Stage[] {
  const { problems } = context;
  const list = node && toStepList(node, what, problems);
  const stages: Stage[] = [];
  let count = 0;
  for (const item of list?.items ?? []) {
    const parallel = item.kind === 'map' ? child(item, 'parallel') : undefined;
    count += parallel?.kind === 'list' ? Math.max(1, parallel.items.length) : 1;
    if (count > MAX_STEPS) {
      problems.error(item, `${what} has more than ${MAX_STEPS} steps`, 'put several commands into one script');
      break;
    }
    const stage = readStage(item, parallel, context);
    if (stage !== undefined) stages.push(stage);
  }
  return stages;
}

function readStage(node: YamlNode, parallel: YamlNode | undefined, context: StepsContext): Stage | undefined {
  if (node.kind !== 'map' || parallel === undefined) {
    const step = readStep(node, context);
    return step && { kind: 'step', step };
  }
  for (const [key, entry] of node.entries) {
    if (key === 'parallel') continue;
    const hint = 'put it in each of the steps that start together';
    context.problems.error(entry.key, `${quoteKey(key)} cannot be beside parallel`, hint);
  }
  return readParallel(parallel, context);
}

function readParallel(node: YamlNode, context: StepsContext): Stage | undefined {
  const { problems } = context;
  const list = toStepList(node, 'parallel', problems);
  if (list === undefined) return undefined;
  const beyond = list.items[MAX_PARALLEL];
  if (beyond !== undefined) problems.error(beyond, `more than ${MAX_PARALLEL} steps start together`);
  const steps: Step[] = [];
  for (const item of list.items.slice(0, MAX_PARALLEL)) {
    const nested = item.kind === 'map' ? item.entries.get('parallel') : undefined;
    if (nested === undefined) {
      const step = readStep(item, context);
      if (step !== undefined) steps.push(step);
    } else {
      problems.error(nested.key, 'parallel cannot be inside parallel', 'put all its steps into the outer one');
    }
  }
  const [first, ...rest] = steps;
  return first && { kind: 'parallel', steps: [first, ...rest] };
}

function toStepList(node: YamlNode, what: string, problems: ProblemList): YamlList | undefined {
  if (node.kind !== 'list') {
    const hint = 'begin each step with "- ", as in `- clj: clojure -A:test`';
    problems.error(node, `${what} must be a list, not ${describeKind(node)}`, hint);
    return undefined;
  }
  if (node.items.length > 0) return node;
  const remove = what === 'finally' ? 'remove the key, or ' : '';
  problems.error(node, `${what} is empty`, `${remove}write at least one step: \`- container: command\``);
  return undefined;
}

function readStep(node: YamlNode, context: StepsContext): Step | undefined {
  const { problems } = context;
  if (node.kind !== 'map') {
    problems.error(node, `a step must be a mapping \`container: command\`, not ${describeKind(node)}`, hintAlias(node));
    return undefined;
  }
  const command = readCommand(node, context);
  const name = readChild(node, 'name', (value) => readName(value, problems));
  const timeoutMs = readChild(node, 'timeout', (value) => readDuration(value, 'timeout', problems));
  const env = readEnv(child(node, 'env'), problems);
  const when = context.readCondition(child(node, 'when'), stepConditionVocabulary);
  const retry = readChild(node, 'retry', (value) => readWholeNumber(value, 'retry', { ...RETRY_LIMITS, problems }));
  const allowFailure = readChild(node, 'allow_failure', (value) => readBoolean(value, 'allow_failure', problems));
  if (command === undefined) return undefined;
  return {
    name: name ?? '',
    ...command,
    env,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    retry: retry ?? 0,
    allowFailure: allowFailure ?? false,
    ...(when === undefined ? {} : { when }),
    line: problems.lineOf(node),
  };
}

function readName(node: YamlNode, problems: ProblemList): string | undefined {
  const name = readText(node, 'name', problems);
  if (name === undefined || STEP_NAME_PATTERN.test(name)) return name?.trim();
  problems.error(node, 'name must be one line of 1 to 80 characters');
  return undefined;
}

/** Reads the container of a step and what runs in it: `container: command`, or `container:` with `run:`. */
function readCommand(step: YamlMap, context: StepsContext): Pick<Step, 'container' | 'run'> | undefined {
  const { problems } = context;
  const isLong = step.entries.has('container') || step.entries.has('run');
  const others = [...step.entries].filter(([key]) => !isStepKey(key));
  const chosen = isLong ? undefined : others.find(([key]) => context.containers?.has(key) ?? true);
  for (const other of others) if (other !== chosen) refuseOther(other, { chosen: chosen?.[0], isLong }, context);
  if (isLong) return readLongForm(step, context);
  if (others.length === 0) problems.error(step, 'the step has no command', 'write it as `container: command`');
  if (chosen === undefined) return undefined;
  const [container, { value }] = chosen;
  const run = readRun(value, `the command of ${quoteKey(container)}`, context);
  return run && { container, run };
}

function readLongForm(step: YamlMap, context: StepsContext): Pick<Step, 'container' | 'run'> | undefined {
  const { problems, containers, initContainers } = context;
  const node = child(step, 'container');
  const command = child(step, 'run');
  if (node === undefined) {
    problems.error(step, 'the step has "run" but no container', 'add `container: NAME`, or write `NAME: command`');
    return undefined;
  }
  if (command === undefined) problems.error(step, 'the step has no command', 'add `run: command`');
  const container = readText(node, 'container', problems);
  if (container === undefined) return undefined;
  if (containers !== undefined && !containers.has(container)) {
    problems.error(
      node,
      'the job has no container with this name',
      hintContainer(container, { containers, initContainers }),
    );
    return undefined;
  }
  const run = command && readRun(command, 'run', context);
  return run && { container, run };
}

/**
 * Refuses a key that is neither an option nor the container: a second container, or a misspelt container or option.
 */
function refuseOther(
  [key, entry]: [string, YamlEntry],
  step: { readonly chosen: string | undefined; readonly isLong: boolean },
  { problems, containers = new Map(), initContainers }: StepsContext,
): void {
  if (problems.isFull) return;
  const needsContainer = step.chosen === undefined && !step.isLong;
  const isNoOption =
    findAliased(key, stepVocabulary) === undefined &&
    !stepVocabulary.foreign.has(key) &&
    suggest(key, stepVocabulary.keys.keys()) === undefined;
  if (containers.has(key)) {
    const hint = step.isLong ? 'write either `container` and `run`, or this' : `begin a new step: \`- ${key}: …\``;
    const message = `a step runs in one container, and ${quote(step.chosen ?? 'container')} is already here`;
    problems.error(entry.key, message, hint);
  } else if (
    needsContainer &&
    (isNoOption || initContainers.has(key) || suggest(key, containers.keys()) !== undefined)
  ) {
    problems.error(
      entry.key,
      `the job has no container ${quoteKey(key)}`,
      hintContainer(key, { containers, initContainers }),
    );
  } else {
    refuseKey(key, entry.key, stepVocabulary, problems);
  }
}

function readRun(node: YamlNode, what: string, context: StepsContext): Step['run'] | undefined {
  const { problems } = context;
  if (node.kind === 'map') {
    const hint = 'options are beside the container, not under it';
    problems.error(node, `${what} must be text or a list of texts, not a mapping`, hint);
    return undefined;
  }
  if (node.kind === 'scalar') {
    const text = readText(node, what, problems);
    if (text === undefined) return undefined;
    if (text.trim() === '') {
      const isBlock = /[|>]/.test(context.text.charAt(node.start));
      const hint = isBlock ? 'indent the script deeper than its key' : undefined;
      problems.error(node, `${what} is empty`, hint);
      return undefined;
    }
    checkScript(node, text, context);
    return { kind: 'script', text };
  }
  const argv = node.items.map((item) => readText(item, `a word of ${what}`, problems));
  const words = argv.filter((word) => word !== undefined);
  if (words.length < argv.length) return undefined;
  checkArguments(node.items, words, context);
  if (words[0]) return { kind: 'argv', argv: words };
  problems.error(node, `${what} has no program`);
  return undefined;
}
