import type { EventKind } from '../build/index.ts';
import type { IntegerLimits, Key, Vocabulary } from './vocabulary.ts';
import { suggest } from './suggest.ts';
import { findAliased, forEach, key, toVocabulary } from './vocabulary.ts';

/** Matches a step name that Telegram and the commit status can show: one line of at most 80 characters. */
export const STEP_NAME_PATTERN: RegExp = /^(?=.*\S)[^\p{Cc}]{1,80}$/u;

/** A step that fails eleven times in a row does not need another retry. */
export const RETRY_LIMITS: IntegerLimits = { min: 0, max: 10 };

export const EVENTS: readonly EventKind[] = ['push', 'tag', 'pull_request'];
export const STATUSES: readonly ('success' | 'failure')[] = ['success', 'failure'];

const conditionKeys = {
  event: key({ kind: 'words', words: EVENTS }, '`push` to a branch, `tag`, `pull_request`, or a list of them', {
    aliases: ['events', 'on'],
  }),
  branch: key({ kind: 'globs' }, '[globs](#globs) for branch names', {
    examples: ['main', ['main', 'release/*']],
    aliases: ['branches', 'ref', 'refs', 'only'],
  }),
  tag: key({ kind: 'globs' }, '[globs](#globs) for tag names', { examples: ['v*'], aliases: ['tags'] }),
  base: key({ kind: 'globs' }, '[globs](#globs) for the target branches of pull requests', {
    examples: ['main', ['main', 'release/*']],
    aliases: ['target', 'target_branch', 'base_branch', 'base_ref'],
  }),
  draft: key({ kind: 'boolean' }, 'whether a pull request must be a draft (`true`) or must not be one (`false`)', {
    examples: [false],
    aliases: ['drafts', 'wip', 'is_draft'],
  }),
  path: key({ kind: 'globs' }, '[globs](#globs) for files; one changed file that matches is enough', {
    examples: ['src/**', ['**', '!docs/**']],
    aliases: ['paths', 'changes', 'files'],
  }),
} satisfies Record<string, Key>;

const noExpressions = 'c3 has no expressions: start the command with a test, `[ … ] || exit 0`';

/** What to do instead of what c3 does not have. */
export const noSchedules: string = 'c3 has no schedules: a cron job can push, or run `c3 run`';
export const unsupportedKeys: Readonly<Record<string, string>> = {
  ...forEach(
    ['needs', 'depends_on', 'dependsOn', 'runAfter', 'dependencies'],
    'steps run in the order of the list; put steps that can run at the same time under `parallel`',
  ),
  ...forEach(['matrix', 'strategy'], 'c3 has no matrix: write one step for each container; anchors keep them short'),
  ...forEach(['services', 'service', 'detach'], 'add the service as another container to the Pod of `job`'),
  ...forEach(['include', 'extends', 'default'], 'use anchors and merge keys (`<<`) to share a part of the file'),
  cache: 'c3 keeps the Pod of a build: the next build finds the files that are in a volume outside the checkout',
  artifacts: 'upload the files that you want to keep in a step',
};

/** The keys of the file's `when`. */
export const pipelineConditionVocabulary: Vocabulary = toVocabulary(conditionKeys, {
  status: 'the status depends on earlier steps: put it in the `when` of a step',
  expression: noExpressions,
  evaluate: noExpressions,
  cron: noSchedules,
});

/** The keys of a step's `when`. */
export const stepConditionVocabulary: Vocabulary = toVocabulary(
  {
    ...conditionKeys,
    status: key(
      { kind: 'words', words: STATUSES },
      'the result of the earlier steps: `success`, `failure`, or a list of both',
      { aliases: ['state', 'result', 'outcome'] },
    ),
  },
  { expression: noExpressions, evaluate: noExpressions },
);

export const stepVocabulary: Vocabulary = toVocabulary(
  {
    name: key(
      { kind: 'text', pattern: STEP_NAME_PATTERN },
      'the name that people see; one line, at most 80 characters. Default: the container, or the first line of the command if several steps of the container have no name',
      { examples: ['unit tests'], aliases: ['label', 'title', 'displayName'] },
    ),
    when: key(
      { kind: 'mapping', vocabulary: stepConditionVocabulary },
      '[the events](#when) and the earlier results for which the step runs',
      { examples: [{ branch: 'main' }], aliases: ['on', 'if', 'only', 'rules', 'condition'] },
    ),
    timeout: key({ kind: 'duration' }, 'a [duration](#durations): the time limit of each attempt', {
      examples: ['10m'],
      aliases: ['timeout-minutes', 'timeout_in_minutes'],
    }),
    retry: key(
      { kind: 'integer', limits: RETRY_LIMITS },
      'how many times c3 runs the step again after a failure, 0 to 10',
      { default: 0, examples: [2], aliases: ['attempts', 'retries'] },
    ),
    allow_failure: key({ kind: 'boolean' }, 'whether the build continues, and can pass, when this step fails', {
      default: false,
      aliases: ['continue-on-error', 'soft_fail', 'failure', 'onError', 'try'],
    }),
    env: key({ kind: 'variables', values: 'text' }, 'variables of this step; they override those of the file', {
      examples: [{ CI: 'true' }],
      aliases: ['environment', 'variables', 'vars', 'params'],
    }),
    container: key({ kind: 'text' }, 'with `run`: the long form of `container: command`', {
      examples: ['clj'],
      aliases: ['image', 'uses'],
    }),
    run: key({ kind: 'command' }, 'with `container`: a shell script, or a list that runs without a shell', {
      examples: ['make test', ['npm', 'ci']],
      aliases: ['command', 'commands', 'cmd', 'script'],
    }),
    parallel: key({ kind: 'steps' }, 'instead of a command: [steps](#parallel) that start together', {
      aliases: ['in_parallel', 'group', 'concurrent'],
    }),
  },
  {
    ...unsupportedKeys,
    ...forEach(['settings', 'with'], 'c3 has no plugins or actions: a step is a container and its command'),
    ...forEach(['working-directory', 'working_directory', 'workdir'], 'start the command with `cd DIRECTORY`'),
    secrets: 'every step gets all secrets: put `secrets` at the top level',
    shell: 'write the command as a list: `[bash, -c, …]`',
    finally: 'put it at the top level, beside `steps`',
  },
);

/** Returns whether a key of a step is an option, and so never the name of a container. */
export function isStepKey(key: string): boolean {
  return stepVocabulary.keys.has(key);
}

/** Returns whether a word is an option of a step, a misspelt one, or what another CI system calls one. */
export function isLikeStepKey(word: string): boolean {
  const { keys } = stepVocabulary;
  return keys.has(word) || (findAliased(word, stepVocabulary) ?? suggest(word, keys.keys())) !== undefined;
}

/** A word, a colon, and what is after it. The word can be in quotes. */
const OPTION_LINE = /^\s*(["']?)([A-Za-z_][\w-]*)\1[ \t]*:(.?)/;

/** Returns the word of a line that reads as an option of a step: any `word: …`, or `when:…` without a space. */
export function findOption(line: string): string | undefined {
  const [, , word = '', next = ''] = OPTION_LINE.exec(line) ?? [];
  if (word === '' || /^\s?$/.test(next)) return word || undefined;
  return /[\w{["']/.test(next) && isLikeStepKey(word) ? word : undefined;
}
