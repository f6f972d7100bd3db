import { RETRY_LIMITS, stepConditionVocabulary, STEP_NAME_PATTERN } from '../language.ts';
import type { Stage, Step } from '../pipeline.ts';
import type { ProblemList } from '../problem-list.ts';
import { quote } from '../problem-list.ts';
import type { StepsContext } from './read-command.ts';
import { findCommand } from './read-command.ts';
import { readEnv } from './read-environment.ts';
import { child, describeKind, readBoolean, readDuration, readInteger, readText } from './read-value.ts';
import type { YamlList, YamlMap, YamlNode } from '../yaml-tree.ts';

/** Of `steps` and `finally` each. A step is a line of the message in Telegram, which holds 4,096 characters. */
export const MAX_STEPS = 100;

/** Each has a connection of its own into the Pod while it runs. */
export const MAX_PARALLEL = 20;

/** `steps` or `finally`: the stages that are right; each that is not has at least one error. */
export function readStages(node: YamlNode, what: 'steps' | 'finally', context: StepsContext): Stage[] {
  const { problems } = context;
  const list = toStepList(node, what, problems);
  const stages: Stage[] = [];
  let count = 0;
  for (const item of list?.items ?? []) {
    const parallel = item.kind === 'map' ? item.entries.get('parallel') : undefined;
    count += parallel?.value.kind === 'list' ? Math.max(1, parallel.value.items.length) : 1;
    if (count > MAX_STEPS) {
      problems.error(item, `${what} has more than ${MAX_STEPS} steps`, 'put several commands into one script');
      break;
    }
    const stage = readStage(item, context);
    if (stage !== undefined) stages.push(stage);
  }
  return stages;
}

function readStage(node: YamlNode, context: StepsContext): Stage | undefined {
  const parallel = node.kind === 'map' ? child(node, 'parallel') : undefined;
  if (node.kind === 'map' && parallel !== undefined) {
    refuseBesideParallel(node, context.problems);
    return readParallel(parallel, context);
  }
  const step = readStep(node, context);
  return step && { kind: 'step', step };
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
      problems.error(nested.key, 'parallel stands within parallel', 'put all its steps into the outer one');
    }
  }
  const [first, ...rest] = steps;
  return first && { kind: 'parallel', steps: [first, ...rest] };
}

function refuseBesideParallel(map: YamlMap, problems: ProblemList): void {
  for (const [key, entry] of map.entries) {
    if (key === 'parallel') continue;
    const message = `${quote(key)} cannot stand beside parallel`;
    problems.error(entry.key, message, 'it stands at each of the steps that start together');
  }
}

function toStepList(node: YamlNode, what: string, problems: ProblemList): YamlList | undefined {
  if (node.kind !== 'list') {
    const hint = 'begin each step with "- ", as in `- clj: clojure -A:test`';
    problems.error(node, `${what} must be a list, not ${describeKind(node)}`, hint);
    return undefined;
  }
  if (node.items.length > 0) return node;
  const hint = what === 'finally' ? 'remove the key, or say at least one' : 'say at least one: `- container: command`';
  problems.error(node, `${what} is empty`, hint);
  return undefined;
}

function readStep(node: YamlNode, context: StepsContext): Step | undefined {
  const { problems } = context;
  if (node.kind !== 'map') {
    problems.error(node, `a step must be a mapping \`container: command\`, not ${describeKind(node)}`);
    return undefined;
  }
  const command = findCommand(node, context);
  const nameNode = child(node, 'name');
  const timeoutNode = child(node, 'timeout');
  const retryNode = child(node, 'retry');
  const allowNode = child(node, 'allow_failure');
  const name = nameNode && readName(nameNode, problems);
  const timeoutMs = timeoutNode && readDuration(timeoutNode, 'timeout', problems);
  const env = readEnv(child(node, 'env'), 'env', problems);
  const when = context.readCondition(child(node, 'when'), stepConditionVocabulary);
  const retry = retryNode && readInteger(retryNode, 'retry', { ...RETRY_LIMITS, problems });
  const allowFailure = allowNode && readBoolean(allowNode, 'allow_failure', problems);
  if (command === undefined) return undefined;
  return {
    name: name ?? command.container,
    container: command.container,
    run: command.run,
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
