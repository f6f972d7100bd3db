import { concurrencyVocabulary, pipelineVocabulary, podVocabulary } from './language.ts';
import { findLastingDirectories } from './lasting-directory.ts';
import { nameSteps } from './name-steps.ts';
import type { Checkout, Concurrency, ParsedPipeline, Pipeline, PodLife, Problem } from './pipeline.ts';
import { stepsOf } from './plan.ts';
import type { ProblemList } from './problem-list.ts';
import { createProblemList, quote } from './problem-list.ts';
import { checkCheckout, defaultCheckout, readCheckout } from './read/read-checkout.ts';
import { createConditionReader } from './read/read-condition.ts';
import { checkContainers } from './read/check-containers.ts';
import { type JobResult, readJob } from './read/read-job.ts';
import { readKubeconfig } from './read/read-sealed.ts';
import { readTelegram } from './read/read-telegram.ts';
import { readStages } from './read/read-steps.ts';
import { child, readBoolean, readChild, readDuration, refuseKey, refuseUnknownKeys, toMap } from './read/read-value.ts';
import { readEnv, readSecrets, refuseOverlap } from './read/read-variables.ts';
import { pipelineConditionVocabulary } from './step-language.ts';
import type { ComposedYaml } from './yaml/compose-yaml.ts';
import { composeYaml, MAX_LEXEMES, readYamlTokens } from './yaml/compose-yaml.ts';
import { recoverYaml } from './yaml/recover.ts';
import type { Repair } from './yaml/repair.ts';
import { repairScripts } from './yaml/repair.ts';
import type { YamlMap, YamlNode } from './yaml-tree.ts';
import { toTree } from './yaml-tree.ts';

/** The largest c3.yaml, in UTF-8. Ten times a large file; limits the cost of a stranger's file. */
export const MAX_PIPELINE_BYTES: number = 64 * 1024;

/** The parser uses some of them as marks of its own. The last three end a line in YAML 1.1, not in YAML 1.2. */
// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const CONTROL_CHARACTERS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u0085\u2028\u2029]/;

/** Every second byte of ASCII in UTF-16 is NUL. */
const UTF_16_HINT = 'if the file is UTF-16, as the `>` of Windows PowerShell writes it, save it as UTF-8';

const HOUR_MS = 3_600_000;

export interface ParseOptions {
  /**
   * Skips the check of sealed values: `k8s` can be missing, and each can be anything, also a placeholder. For `c3
   * run`, whose user supplies the cluster and the secrets. Default false.
   */
  readonly withoutSeals?: boolean;
  /** Makes the placeholder of an example a warning, not an error. For `c3 lint`. Default false. */
  readonly allowPlaceholders?: boolean;
}

/**
 * Reads c3.yaml. Never throws: reports everything that is wrong as a {@link Problem}, all at once if the text is
 * YAML. Reads scripts that are not indented deep enough as they are meant, with a warning.
 */
export function parsePipeline(text: string, options: ParseOptions = {}): ParsedPipeline {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > MAX_PIPELINE_BYTES) {
    return { problems: [refuseText(`the file has ${bytes} bytes, more than ${MAX_PIPELINE_BYTES}`, 0, text)] };
  }
  const control = text.search(CONTROL_CHARACTERS);
  if (control !== -1) {
    const code = text.charCodeAt(control).toString(16).toUpperCase().padStart(4, '0');
    const problem = refuseText(`the file contains the control character U+${code}`, control, text);
    return { problems: [{ ...problem, ...(code === '0000' ? { hint: UTF_16_HINT } : {}) }] };
  }
  // A byte order mark would count as a column.
  const original = text.replace(/^\uFEFF/, '');
  const tokens = readYamlTokens(original);
  if (tokens === undefined) {
    const message = `the file has more than ${MAX_LEXEMES} words and marks of YAML`;
    return { problems: [{ ...refuseText(message, 0, original), hint: 'a script under "|" is one word' }] };
  }
  const repair = repairScripts(tokens);
  const repaired = repair && composeYaml(repair.tokens);
  if (repaired?.document.errors.length === 0) return readDocument(repaired, repair, options);
  const plain = composeYaml(tokens);
  const isBetter = repaired && repaired.document.errors.length <= plain.document.errors.length;
  return isBetter ? readDocument(repaired, repair, options) : readDocument(plain, undefined, options);
}

function refuseText(message: string, offset: number, text: string): Problem {
  const before = text.slice(0, offset).split('\n');
  const column = (before.at(-1)?.length ?? 0) + 1;
  return { severity: 'error', message, line: before.length, column, endColumn: column + 1 };
}

function readDocument(yaml: ComposedYaml, repair: Repair | undefined, options: ParseOptions): ParsedPipeline {
  const problems = createProblemList({
    ...yaml,
    insertedColumns: repair?.insertedColumns ?? new Map<number, number>(),
    withoutSeals: options.withoutSeals ?? false,
    allowPlaceholders: options.allowPlaceholders ?? false,
  });
  const { document } = yaml.document.errors.length > 0 ? (recoverYaml(yaml, problems) ?? {}) : yaml;
  if (document === undefined) return { problems: problems.toSorted() };
  for (const { key, style, header, firstLine, lastLine, doubtfulLine } of repair?.scripts ?? []) {
    const lines = firstLine === lastLine ? `line ${firstLine} belongs` : `lines ${firstLine}-${lastLine} belong`;
    const message = `the text under ${quote(`${key}: ${style}`)} is not indented deeper than ${quote(key)}; read as if it were`;
    const rest = doubtfulLine === undefined ? '' : `; line ${doubtfulLine} reads as an option`;
    const hint = `${lines} to this script: indent by 2 more spaces (\`c3 lint --fix\` does it)${rest}`;
    problems.warning(header, message, hint);
  }
  const start = { start: 0, end: 0 };
  if (document.directives.yaml.explicit === true) {
    problems.error(start, 'the %YAML directive is not allowed', 'c3.yaml is YAML 1.2: remove the line');
  }
  const root = toTree(document, problems);
  const isEmpty = root.kind === 'scalar' && root.value === null;
  if (isEmpty && !problems.hasErrors) problems.error(start, 'the file is empty', 'it needs k8s, job and steps');
  const map = isEmpty ? undefined : toMap(root, 'c3.yaml', problems);
  const pipeline = map && readPipeline(map, yaml.text, problems);
  const sorted = problems.toSorted();
  return pipeline === undefined || problems.hasErrors ? { problems: sorted } : { pipeline, problems: sorted };
}

function readPipeline(root: YamlMap, text: string, problems: ProblemList): Pipeline | undefined {
  checkKeys(root, problems);
  const k8s = readKubeconfig(root, problems);
  const telegram = readTelegram(root.entries.get('telegram'), problems);
  const result = readChild(root, 'job', (node) => readJob(node, problems));
  const readCondition = createConditionReader(problems);
  const context = {
    problems,
    text,
    containers: result?.containers,
    initContainers: result?.initContainers ?? new Set<string>(),
    readCondition,
  };
  const read = readStages(child(root, 'steps'), 'steps', context);
  const stages = nameSteps([...read, ...readStages(child(root, 'finally'), 'finally', context)]);
  const [steps, last] = [stages.slice(0, read.length), stages.slice(read.length)];
  const when = readCondition(child(root, 'when'), pipelineConditionVocabulary);
  const concurrency = readConcurrency(child(root, 'concurrency'), problems);
  const checkoutNode = child(root, 'checkout');
  const checkout = readCheckout(checkoutNode, problems);
  const env = readEnv(child(root, 'env'), problems);
  const secrets = readSecrets(child(root, 'secrets'), problems);
  refuseOverlap(root, problems);
  const pod = readPodLife(child(root, 'pod'), problems);
  const timeoutMs = readTimeout(child(root, 'timeout'), pod.maxAgeMs, problems);
  if (result !== undefined) {
    const { containers, initContainers } = result;
    const used = new Set([...steps, ...last].flatMap(stepsOf).map((step) => step.container));
    if (checkout !== false) {
      checkCheckout(checkout, { node: checkoutNode, containers, initContainers, used, problems });
      used.add(checkout.container);
    }
    checkContainers(containers, used, { timeoutMs, problems });
    checkDirectory(result, checkout, problems);
  }
  const [first, ...rest] = steps;
  if (k8s === undefined || result === undefined || first === undefined) return undefined;
  return {
    k8s,
    ...(telegram === undefined ? {} : { telegram }),
    job: result.job,
    steps: [first, ...rest],
    finally: last,
    ...(when === undefined ? {} : { when }),
    env,
    secrets,
    timeoutMs,
    concurrency,
    checkout,
    pod,
  };
}

/** Warns of a work tree, or a directory of c3 beside it, that another Pod can have at the same time. */
function checkDirectory({ job, volumes }: JobResult, checkout: Checkout | false, problems: ProblemList): void {
  const path = checkout === false ? defaultCheckout.path : checkout.path;
  const lasting = findLastingDirectories(job.manifest, path).map(({ volume }) => volumes.get(volume));
  const hint = 'put the work tree and the directory above it in an emptyDir, and mount this volume elsewhere';
  const message =
    'this volume outlives the Pod, and the commit or c3\'s directory ".c3" beside it is in this volume: of two builds in different Pods, the second one fails';
  for (const node of new Set(lasting)) if (node) problems.warning(node, message, hint);
}

/** Refuses unknown keys, except those that begin with `x-`, and reports missing keys. */
function checkKeys(root: YamlMap, problems: ProblemList): void {
  const { keys } = pipelineVocabulary;
  for (const [key, entry] of root.entries) {
    if (!key.startsWith('x-') && !keys.has(key)) refuseKey(key, entry.key, pipelineVocabulary, problems);
  }
  for (const [key, { isRequired, shape }] of keys) {
    const isNeeded = isRequired === true && !(problems.withoutSeals && shape.kind === 'sealed');
    if (isNeeded && !root.entries.has(key)) problems.error({ start: 0, end: 0 }, `the key "${key}" is missing`);
  }
}

function readConcurrency(node: YamlNode | undefined, problems: ProblemList): Concurrency {
  const map = node && toMap(node, 'concurrency', problems);
  if (map !== undefined) refuseUnknownKeys(map, concurrencyVocabulary, problems);
  const key = 'cancel_previous';
  const cancelPrevious = readChild(map, key, (value) => readBoolean(value, `concurrency.${key}`, problems));
  return { cancelPrevious: cancelPrevious ?? false };
}

function readPodLife(node: YamlNode | undefined, problems: ProblemList): PodLife {
  const map = node && toMap(node, 'pod', problems);
  if (map !== undefined) refuseUnknownKeys(map, podVocabulary, problems);
  return {
    reuse: readChild(map, 'reuse', (value) => readBoolean(value, 'pod.reuse', problems)) ?? true,
    share: readChild(map, 'share', (value) => readBoolean(value, 'pod.share', problems)) ?? true,
    idleMs: readChild(map, 'idle', (value) => readDuration(value, 'pod.idle', problems)) ?? HOUR_MS,
    maxAgeMs: readChild(map, 'max_age', (value) => readDuration(value, 'pod.max_age', problems)) ?? 12 * HOUR_MS,
    startTimeoutMs:
      readChild(map, 'start_timeout', (value) => readDuration(value, 'pod.start_timeout', problems)) ?? HOUR_MS / 6,
  };
}

/** Reads the time limit of the build. A build cannot outlive its Pod, so it cannot have a longer limit. */
function readTimeout(node: YamlNode | undefined, maxAgeMs: number, problems: ProblemList): number {
  if (node === undefined) return Math.min(HOUR_MS, maxAgeMs);
  const timeoutMs = readDuration(node, 'timeout', problems);
  if (timeoutMs === undefined || timeoutMs <= maxAgeMs) return timeoutMs ?? HOUR_MS;
  problems.error(node, 'timeout is longer than pod.max_age, the life of the Pod', 'shorten it, or raise pod.max_age');
  return timeoutMs;
}

export interface Fix {
  readonly text: string;
  /** The scripts that were indented, with their first and last line, from 1. */
  readonly scripts: readonly { readonly key: string; readonly firstLine: number; readonly lastLine: number }[];
}

/**
 * Indents every script as deep as it is read, and keeps every other byte. Returns undefined when there is nothing to
 * repair, or when the result would still have an error. Sealed values do not count: no repair changes them.
 */
export function fixPipeline(source: string): Fix | undefined {
  if (new TextEncoder().encode(source).length > MAX_PIPELINE_BYTES) return undefined;
  const mark = source.startsWith('\uFEFF') ? '\uFEFF' : '';
  const tokens = readYamlTokens(source.slice(mark.length));
  const repair = tokens && repairScripts(tokens);
  if (repair === undefined) return undefined;
  const text = mark + repair.tokens.text;
  if (parsePipeline(text, { withoutSeals: true }).pipeline === undefined) return undefined;
  const scripts = repair.scripts.map(({ key, firstLine, lastLine }) => ({ key, firstLine, lastLine }));
  return { text, scripts };
}
