import type { EventKind, JsonValue, Notify } from './pipeline.ts';

/**
 * The words of c3.yaml: every key once. The reader takes from here what it knows and what it guesses, schema.ts what editors
 * show, and docs/c3-yaml.md its tables. Long because the language is told in one place.
 */
export interface Key {
  readonly shape: Shape;
  /** What it says: a clause without a full stop, code in backticks. */
  readonly text: string;
  readonly isRequired?: true;
  /** As one would write it. */
  readonly default?: JsonValue;
  readonly examples?: readonly JsonValue[];
  /** How other systems spell it: a better hint than the nearest word. From the documentation of each. */
  readonly aliases?: readonly string[];
}

/** What a value may be: what its reader takes, and its part of the schema. */
export type Shape =
  | { readonly kind: 'sealed' | 'boolean' | 'duration' | 'globs' | 'command' | 'pod' | 'stages' | 'steps' }
  | { readonly kind: 'text'; readonly pattern?: RegExp }
  | { readonly kind: 'integer'; readonly limits: IntegerLimits }
  /** One of them. */
  | { readonly kind: 'word'; readonly words: readonly string[] }
  /** One, or a list of them. */
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'variables'; readonly values: 'text' | 'sealed' }
  | { readonly kind: 'mapping'; readonly vocabulary: Vocabulary; readonly or?: 'false' | 'sealed' };

/** Inclusive. */
export interface IntegerLimits {
  readonly min: number;
  readonly max: number;
}

/** What a mapping may say. */
export interface Vocabulary {
  readonly keys: ReadonlyMap<string, Key>;
  /** Words of other systems that no key of ours stands for, and what to do instead. */
  readonly foreign: ReadonlyMap<string, string>;
}

/** Four or five base64url parts: see read-sealed.ts. */
export const SEALED_PATTERN: RegExp = /^\s*[\w-]+(?:\.[\w-]+){3,4}\s*$/u;

/** Of a step, as Telegram and the commit status show it: one line of at most 80 characters. */
export const STEP_NAME_PATTERN: RegExp = /^(?=.*\S)[^\p{Cc}]{1,80}$/u;

/** Absolute, without `.` and `..`, so that c3 cleans and overwrites what the author sees; slashes at the end do not count. */
export const CHECKOUT_PATH_PATTERN: RegExp = /^(?:\/(?!\.{1,2}(?:\/|$))[^/\p{Cc}]+){1,32}\/*$/u;

/** A longer clone takes everything anyway: `git fetch --depth` takes a 32-bit number. */
export const DEPTH_LIMITS: IntegerLimits = { min: 1, max: 1_000_000 };

/** A step that fails eleven times in a row is broken. */
export const RETRY_LIMITS: IntegerLimits = { min: 0, max: 10 };

export const EVENTS: readonly EventKind[] = ['push', 'tag'];
export const STATUSES: readonly ('success' | 'failure')[] = ['success', 'failure'];
export const NOTIFICATIONS: readonly Notify[] = ['failure', 'change', 'always', 'never'];

const conditionKeys = {
  event: {
    shape: { kind: 'words', words: EVENTS },
    text: '`push` to a branch, `tag`, or both',
    aliases: ['events', 'on'],
  },
  branch: {
    shape: { kind: 'globs' },
    text: '[globs](#globs) of branches',
    examples: ['main', ['main', 'release/*']],
    aliases: ['branches', 'ref', 'refs', 'only'],
  },
  tag: {
    shape: { kind: 'globs' },
    text: '[globs](#globs) of tags',
    examples: ['v*'],
    aliases: ['tags'],
  },
  path: {
    shape: { kind: 'globs' },
    text: '[globs](#globs) of files: one that the push changed is enough',
    examples: ['src/**', ['**', '!docs/**']],
    aliases: ['paths', 'changes', 'files'],
  },
} as const satisfies Record<string, Key>;

const noExpressions = 'c3 has no expressions: begin the command with a test, `[ … ] || exit 0`';

/** Of the file's `when`. */
export const pipelineConditionVocabulary: Vocabulary = toVocabulary(conditionKeys, {
  status: 'it is of the steps so far, and stands in the `when` of a step',
  expression: noExpressions,
  evaluate: noExpressions,
  cron: 'c3 has no schedules: a cron job can push, or run `c3 run`',
});

/** Of a step's `when`. */
export const stepConditionVocabulary: Vocabulary = toVocabulary(
  {
    ...conditionKeys,
    status: {
      shape: { kind: 'words', words: STATUSES },
      text: 'of the steps so far: `success`, `failure`, or both',
      aliases: ['state', 'result', 'outcome'],
    },
  },
  { expression: noExpressions, evaluate: noExpressions },
);

const oneOrder = 'steps run in the order in which they stand; what may run at once stands under `parallel`';
const noServices = 'a service is one more container in the Pod of `job`';
const noMatrix = 'c3 has no matrix: write the steps out, each with its container; anchors keep them short';
const noCache = "a build's Pod stays warm: what lies in a volume beside the checkout is there for the next build";
const noArtifacts = 'a step uploads what is to be kept';
const noTemplates = 'anchors and merge keys (`<<`) share what is the same';

export const stepVocabulary: Vocabulary = toVocabulary(
  {
    name: {
      shape: { kind: 'text', pattern: STEP_NAME_PATTERN },
      text: 'what people see instead of the container; one line, at most 80 characters',
      examples: ['unit tests'],
      aliases: ['label', 'title', 'displayName'],
    },
    when: {
      shape: { kind: 'mapping', vocabulary: stepConditionVocabulary },
      text: '[for which events](#when) and after what the step runs',
      examples: [{ branch: 'main' }],
      aliases: ['on', 'if', 'only', 'rules', 'condition'],
    },
    timeout: {
      shape: { kind: 'duration' },
      text: 'a [duration](#durations): of each attempt',
      examples: ['10m'],
      aliases: ['timeout-minutes', 'timeout_in_minutes'],
    },
    retry: {
      shape: { kind: 'integer', limits: RETRY_LIMITS },
      text: 'how often it is run again after it failed, 0 to 10',
      default: 0,
      examples: [2],
      aliases: ['attempts', 'retries'],
    },
    allow_failure: {
      shape: { kind: 'boolean' },
      text: 'whether the build goes on and passes though this step failed',
      default: false,
      aliases: ['continue-on-error', 'soft_fail', 'failure', 'onError', 'try'],
    },
    env: {
      shape: { kind: 'variables', values: 'text' },
      text: 'variables of this step, over those of the file',
      examples: [{ CI: 'true' }],
      aliases: ['environment', 'variables', 'vars', 'params'],
    },
    container: {
      shape: { kind: 'text' },
      text: 'with `run`, the long form of `container: command`',
      examples: ['clj'],
      aliases: ['image', 'uses'],
    },
    run: {
      shape: { kind: 'command' },
      text: 'with `container`: a shell script, or a list that runs without a shell',
      examples: ['make test', ['npm', 'ci']],
      aliases: ['command', 'commands', 'cmd', 'script'],
    },
    parallel: {
      shape: { kind: 'steps' },
      text: 'instead of a command: [steps](#parallel) that start together',
      aliases: ['in_parallel', 'group', 'concurrent'],
    },
  },
  {
    needs: oneOrder,
    depends_on: oneOrder,
    dependsOn: oneOrder,
    runAfter: oneOrder,
    dependencies: oneOrder,
    matrix: noMatrix,
    strategy: noMatrix,
    services: noServices,
    service: noServices,
    detach: noServices,
    cache: noCache,
    artifacts: noArtifacts,
    secrets: 'secrets are of the whole file: put `secrets` at the top',
    settings: 'c3 has no plugins: a step is a container and its command',
    with: 'c3 has no actions: a step is a container and its command',
    shell: 'give the command as a list: `[bash, -c, …]`',
    'working-directory': 'begin the command with `cd DIRECTORY`',
    working_directory: 'begin the command with `cd DIRECTORY`',
    workdir: 'begin the command with `cd DIRECTORY`',
    finally: 'it stands at the top, beside `steps`',
    extends: noTemplates,
  },
);

export const checkoutVocabulary: Vocabulary = toVocabulary(
  {
    container: {
      shape: { kind: 'text' },
      text: 'the container that has git in it',
      default: 'git',
      aliases: ['image'],
    },
    path: {
      shape: { kind: 'text', pattern: CHECKOUT_PATH_PATTERN },
      text: 'where the revision goes, and where every step starts: absolute, in a volume',
      default: '/c3/project',
      aliases: ['directory', 'dir'],
    },
    depth: {
      shape: { kind: 'integer', limits: DEPTH_LIMITS },
      text: 'commits of history to fetch',
      default: 50,
      aliases: ['fetch-depth', 'fetch_depth'],
    },
    submodules: {
      shape: { kind: 'boolean' },
      text: 'whether c3 fetches them too; a step may do it',
      default: false,
      aliases: ['recursive'],
    },
    clean: {
      shape: { kind: 'boolean' },
      text: 'whether what an earlier build left in the work tree is removed',
      default: true,
    },
  },
  {
    lfs: 'a step may run `git lfs pull`',
    partial: 'depth bounds what is fetched',
    tags: 'a step of the same container may run `git fetch --tags`',
  },
);

export const podVocabulary: Vocabulary = toVocabulary({
  reuse: {
    shape: { kind: 'boolean' },
    text: "whether the next build of this project may have this build's Pod",
    default: true,
    aliases: ['warm'],
  },
  idle: { shape: { kind: 'duration' }, text: 'how long the Pod waits for one', default: '1h', aliases: ['ttl'] },
  max_age: {
    shape: { kind: 'duration' },
    text: 'how long it lives at most',
    default: '12h',
    aliases: ['maxAge', 'max-age'],
  },
});

export const concurrencyVocabulary: Vocabulary = toVocabulary(
  {
    cancel_previous: {
      shape: { kind: 'boolean' },
      text: 'whether a build ends the older builds of the same branch or tag',
      default: false,
      aliases: ['cancel-in-progress', 'interruptible', 'auto_cancel'],
    },
  },
  { group: 'builds of one branch or tag are a group, and no others', limit: 'one build at a time has a Pod' },
);

const sealTogether = 'the token and the chat are sealed together, and `to` is the answer';

export const telegramVocabulary: Vocabulary = toVocabulary(
  {
    to: {
      shape: { kind: 'sealed' },
      text: "the token and the chat, sealed by c3; without it, the operator's",
      aliases: ['destination', 'sealed', 'recipients'],
    },
    notify: {
      shape: { kind: 'word', words: NOTIFICATIONS },
      text: 'when a message rings: `failure`, `change`, `always` or `never`',
      default: 'failure',
      aliases: ['when', 'on', 'if', 'ring'],
    },
    log: {
      shape: { kind: 'boolean' },
      text: 'whether the log of the step that failed the build is sent as a file',
      default: false,
      aliases: ['logs', 'document', 'file'],
    },
  },
  {
    token: `${sealTogether}; what is in clear text here is no longer secret`,
    chat: sealTogether,
    chat_id: sealTogether,
    thread: sealTogether,
    on_success: 'say when a message rings: `notify: always`',
    on_failure: 'say when a message rings: `notify: failure`',
  },
);

export const pipelineVocabulary: Vocabulary = toVocabulary(
  {
    k8s: {
      shape: { kind: 'sealed' },
      text: 'a kubeconfig, sealed by c3',
      isRequired: true,
      aliases: ['kubeconfig', 'kubernetes', 'cluster'],
    },
    telegram: {
      shape: { kind: 'mapping', vocabulary: telegramVocabulary, or: 'sealed' },
      text: 'where the build is reported: the token and the chat, sealed by c3, or a mapping',
      aliases: ['notify', 'notifications'],
    },
    job: {
      shape: { kind: 'pod' },
      text: 'a Pod, as Kubernetes knows it',
      isRequired: true,
      aliases: ['jobs', 'podTemplate', 'spec'],
    },
    steps: {
      shape: { kind: 'stages' },
      text: 'what runs in its containers, in order',
      isRequired: true,
      examples: [[{ clj: 'clojure -A:test' }]],
      aliases: ['script', 'stages', 'pipeline', 'tasks', 'commands'],
    },
    finally: {
      shape: { kind: 'stages' },
      text: 'what runs after them, however they ended',
      examples: [[{ kube: './clean-up.sh' }]],
      aliases: ['after_script', 'ensure', 'post', 'always', 'cleanup'],
    },
    when: {
      shape: { kind: 'mapping', vocabulary: pipelineConditionVocabulary },
      text: 'for which events there is a build',
      examples: [{ event: 'push', branch: 'main' }],
      aliases: ['on', 'if', 'rules', 'branches', 'trigger', 'triggers'],
    },
    env: {
      shape: { kind: 'variables', values: 'text' },
      text: 'variables of every step',
      examples: [{ LANG: 'C.UTF-8' }],
      aliases: ['environment', 'variables', 'vars'],
    },
    secrets: {
      shape: { kind: 'variables', values: 'sealed' },
      text: 'sealed variables of every step',
    },
    timeout: {
      shape: { kind: 'duration' },
      text: 'of the whole build',
      default: '1h',
      aliases: ['timeout-minutes', 'timeout_in_minutes'],
    },
    concurrency: {
      shape: { kind: 'mapping', vocabulary: concurrencyVocabulary },
      text: 'what a new build does to older ones',
      aliases: ['interruptible', 'cancel_previous', 'cancel-in-progress'],
    },
    checkout: {
      shape: { kind: 'mapping', vocabulary: checkoutVocabulary, or: 'false' },
      text: 'how the revision gets into the Pod; `false`: not at all',
      aliases: ['clone', 'git'],
    },
    pod: { shape: { kind: 'mapping', vocabulary: podVocabulary }, text: 'how long the Pod lives' },
  },
  {
    name: 'the name of the project is that of the Pod, `job.metadata.name`',
    version: 'c3.yaml needs no version: remove the line',
    matrix: noMatrix,
    strategy: noMatrix,
    services: noServices,
    cache: noCache,
    artifacts: noArtifacts,
    include: noTemplates,
    extends: noTemplates,
    default: noTemplates,
    image: 'images stand at the containers of `job`',
    needs: oneOrder,
    depends_on: oneOrder,
    runs_on: 'a build runs in the cluster of `k8s`',
    'runs-on': 'a build runs in the cluster of `k8s`',
    permissions: "a build has the permissions of the Pod's own service account",
    schedule: 'c3 has no schedules: a cron job can push, or run `c3 run`',
    cron: 'c3 has no schedules: a cron job can push, or run `c3 run`',
    parallel: 'it stands in `steps`: `- parallel: [...]`',
    retry: 'it stands at a step',
    allow_failure: 'it stands at a step',
  },
);

function toVocabulary(keys: Record<string, Key>, foreign: Record<string, string> = {}): Vocabulary {
  return { keys: new Map(Object.entries(keys)), foreign: new Map(Object.entries(foreign)) };
}

/** Whether a key of a step is an option, and so never the name of a container. */
export function isStepKey(key: string): boolean {
  return stepVocabulary.keys.has(key);
}
