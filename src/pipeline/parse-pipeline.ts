import { checkCheckout } from './read/check-checkout.ts';
import { checkWaiting } from './read/check-waiting.ts';
import { MAX_LEXEMES } from './yaml/compose-yaml.ts';
import { formatDuration } from './duration.ts';
import { pipelineConditionVocabulary, pipelineVocabulary } from './language.ts';
import type { ParsedPipeline, Pipeline, Problem } from './pipeline.ts';
import type { ProblemList } from './problem-list.ts';
import { createProblemList, quote } from './problem-list.ts';
import { hideSecrets } from './hide-secrets.ts';
import { createConditionReader } from './read/read-condition.ts';
import { readEnv, readSecrets } from './read/read-environment.ts';
import { readJob } from './read/read-job.ts';
import { defaultTimeoutMs, readCheckout, readConcurrency, readPodLife } from './read/read-options.ts';
import { readSealed } from './read/read-sealed.ts';
import { readStages } from './read/read-steps.ts';
import { readTelegram } from './read/read-telegram.ts';
import { child, readDuration, refuseKey, toMap } from './read/read-value.ts';
import type { ReadYaml } from './yaml/read-yaml.ts';
import { CONTROL_CHARACTERS, readYaml } from './yaml/read-yaml.ts';
import { reportYamlErrors } from './yaml/yaml-error.ts';
import { stepsOf } from './stage.ts';
import type { YamlMap } from './yaml-tree.ts';
import { toTree } from './yaml-tree.ts';

/** Of c3.yaml, in UTF-8. Ten times a large one; bounds what a stranger's file costs. */
export const MAX_PIPELINE_BYTES: number = 64 * 1024;

export interface ParseOptions {
  /**
   * Sealed values are not looked at: `k8s` may be missing, and each may be anything, a placeholder too. For whoever brings the
   * cluster and the secrets himself (`c3 run`). Default false.
   */
  readonly withoutSeals?: boolean;
}

/**
 * Reads c3.yaml. Never throws, whatever the text: everything wrong with it is a {@link Problem}, all of them at once, as
 * long as the text is YAML at all. Scripts that are not indented deeply enough are read as they are meant, with a warning.
 */
export function parsePipeline(text: string, options: ParseOptions = {}): ParsedPipeline {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > MAX_PIPELINE_BYTES) {
    return { problems: [refuseText(`the file has ${bytes} bytes, more than ${MAX_PIPELINE_BYTES}`, 0, text)] };
  }
  const control = text.search(CONTROL_CHARACTERS);
  if (control !== -1) {
    const code = text.charCodeAt(control).toString(16).toUpperCase().padStart(4, '0');
    return { problems: [refuseText(`the file contains the control character U+${code}`, control, text)] };
  }
  // A byte order mark would count as a column.
  return parseYaml(text.replace(/^\uFEFF/, ''), options);
}

function parseYaml(original: string, options: ParseOptions): ParsedPipeline {
  const yaml = readYaml(original);
  if (yaml !== undefined) return readDocument(yaml, options);
  const message = `the file has more than ${MAX_LEXEMES} words and marks of YAML`;
  return { problems: [{ ...refuseText(message, 0, original), hint: 'a script under "|" is one word' }] };
}

function readDocument(yaml: ReadYaml, options: ParseOptions): ParsedPipeline {
  const { repair } = yaml;
  const problems = createProblemList({
    ...yaml,
    insertedColumns: repair?.insertedColumns ?? new Map<number, number>(),
    withoutSeals: options.withoutSeals ?? false,
  });
  if (yaml.document.errors.length > 0) {
    reportYamlErrors(yaml, problems);
    return { problems: problems.toSorted() };
  }
  for (const script of repair?.scripts ?? []) {
    const lines =
      script.firstLine === script.lastLine
        ? `line ${script.firstLine} belongs`
        : `lines ${script.firstLine}-${script.lastLine} belong`;
    const message = `the text under ${quote(`${script.key}: ${script.style}`)} is not indented deeper than ${quote(script.key)}; read as if it were`;
    problems.warning(
      script.header,
      message,
      `${lines} to this script: indent by 2 more spaces (\`c3 lint --fix\` does it)`,
    );
  }
  const start = { start: 0, end: 0 };
  if (yaml.document.directives.yaml.explicit === true) {
    problems.error(start, 'the %YAML directive is refused', 'c3.yaml is YAML 1.2: remove the line');
  }
  const root = toTree(yaml.document, yaml.text, problems);
  if (root.kind === 'scalar' && root.value === null) {
    if (!problems.hasErrors) problems.error(start, 'the file is empty', 'it needs k8s, job and steps');
    return { problems: problems.toSorted() };
  }
  const map = toMap(root, 'c3.yaml', problems);
  const pipeline = map && readPipeline(map, yaml.text, problems);
  const sorted = map === undefined ? problems.toSorted() : hideSecrets(problems.toSorted(), map);
  return pipeline === undefined || problems.hasErrors ? { problems: sorted } : { pipeline, problems: sorted };
}

function readPipeline(map: YamlMap, text: string, problems: ProblemList): Pipeline | undefined {
  for (const [key, entry] of map.entries) {
    if (!key.startsWith('x-') && !pipelineVocabulary.keys.has(key)) {
      refuseKey(key, entry.key, pipelineVocabulary, problems);
    }
  }
  for (const [key, { isRequired, shape }] of pipelineVocabulary.keys) {
    const isNeeded = isRequired === true && !(problems.withoutSeals && shape.kind === 'sealed');
    if (isNeeded && !map.entries.has(key)) {
      problems.error({ start: 0, end: 0 }, `the key "${key}" is missing`);
    }
  }
  const k8s = readKubeconfig(map, problems) ?? (problems.withoutSeals ? '' : undefined);
  const telegram = readTelegram(map.entries.get('telegram'), problems);
  const jobNode = child(map, 'job');
  const answer = jobNode && readJob(jobNode, problems);
  const readCondition = createConditionReader(problems);
  const context = { problems, text, containers: answer?.containers, readCondition };
  const stepsNode = child(map, 'steps');
  const finallyNode = child(map, 'finally');
  const steps = stepsNode ? readStages(stepsNode, 'steps', context) : [];
  const last = finallyNode ? readStages(finallyNode, 'finally', context) : [];
  const when = readCondition(child(map, 'when'), pipelineConditionVocabulary);
  const concurrency = readConcurrency(child(map, 'concurrency'), problems);
  const checkout = readCheckout(child(map, 'checkout'), problems);
  const env = readEnv(child(map, 'env'), 'env', problems);
  const secrets = readSecrets(child(map, 'secrets'), problems);
  refuseOverlap(map, problems);
  const pod = readPodLife(child(map, 'pod'), problems);
  const timeoutMs = readTimeout(map, pod.maxAgeMs, problems);
  if (answer !== undefined) {
    const used = new Set([...steps, ...last].flatMap(stepsOf).map((step) => step.container));
    checkCheckout(checkout, { ...answer, used }, problems);
    if (checkout.checkout !== false) used.add(checkout.checkout.container);
    checkWaiting(answer.containers, used, { limitMs: timeoutMs, problems });
  }
  const [first, ...rest] = steps;
  if (k8s === undefined || answer === undefined || first === undefined) return undefined;
  return {
    k8s,
    ...(telegram === undefined ? {} : { telegram }),
    job: answer.job,
    steps: [first, ...rest],
    finally: last,
    ...(when === undefined ? {} : { when }),
    env,
    secrets,
    timeoutMs,
    concurrency,
    checkout: checkout.checkout,
    pod,
  };
}

function readKubeconfig(map: YamlMap, problems: ProblemList): string | undefined {
  const entry = map.entries.get('k8s');
  const use = { what: 'k8s', purpose: 'k8s', content: 'a kubeconfig' };
  return entry && readSealed(entry.value, { ...use, at: entry.key }, problems);
}

/** A name in both would be the one or the other, depending on who reads it. */
function refuseOverlap(map: YamlMap, problems: ProblemList): void {
  const env = child(map, 'env');
  const secrets = child(map, 'secrets');
  if (env?.kind !== 'map' || secrets?.kind !== 'map') return;
  for (const [name, entry] of secrets.entries) {
    if (env.entries.has(name)) problems.error(entry.key, `${quote(name)} is in both env and secrets`);
  }
}

/** A build never outlives its Pod, so a longer time limit would be a promise that c3 cannot keep. */
function readTimeout(map: YamlMap, maxAgeMs: number, problems: ProblemList): number {
  const node = child(map, 'timeout');
  if (node === undefined) return Math.min(defaultTimeoutMs, maxAgeMs);
  const timeoutMs = readDuration(node, 'timeout', problems);
  if (timeoutMs === undefined) return defaultTimeoutMs;
  if (timeoutMs > maxAgeMs) {
    const message = `timeout is longer than the Pod may live, ${formatDuration(maxAgeMs)}`;
    problems.error(node, message, 'shorten it, or raise pod.max_age');
  }
  return timeoutMs;
}

function refuseText(message: string, offset: number, text: string): Problem {
  const before = text.slice(0, offset).split('\n');
  const column = (before.at(-1)?.length ?? 0) + 1;
  return { severity: 'error', message, line: before.length, column, endColumn: column + 1 };
}
