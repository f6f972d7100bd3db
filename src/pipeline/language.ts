import type { Notify } from './pipeline.ts';
import { REF_PATTERN } from './ref-pattern.ts';
import { noSchedules, pipelineConditionVocabulary, unsupportedKeys } from './step-language.ts';
import type { IntegerLimits, Vocabulary } from './vocabulary.ts';
import { forEach, key, toVocabulary } from './vocabulary.ts';

/**
 * Matches a compact JWE with four or five base64url parts: `kid.iv.ciphertext.tag`, or with an ephemeral public key.
 */
export const SEALED_PATTERN: RegExp = /^\s*[\w-]+(?:\.[\w-]+){3,4}\s*$/u;

/**
 * Matches an absolute path without `.` and `..`: c3 cleans and overwrites exactly the directory that the author sees.
 * The directories above it have no spaces, because c3's own files are in them.
 */
export const CHECKOUT_PATH_PATTERN: RegExp =
  /^(?:\/(?!\.{1,2}(?:\/|$))[^/\p{Cc} ]+){0,31}\/(?!\.{1,2}(?:\/|$))[^/\p{Cc}]+\/*$/u;

/** `git fetch --depth` accepts a 32-bit number. A million commits is the whole history of any repository. */
export const DEPTH_LIMITS: IntegerLimits = { min: 1, max: 1_000_000 };

export const NOTIFICATIONS: readonly Notify[] = ['failure', 'change', 'always', 'never'];

export const checkoutVocabulary: Vocabulary = toVocabulary(
  {
    container: key({ kind: 'text' }, 'the container that has git', { default: 'git', aliases: ['image'] }),
    path: key(
      { kind: 'text', pattern: CHECKOUT_PATH_PATTERN },
      'the directory of the commit, in which every step starts: an absolute path in a volume',
      { default: '/c3/project', aliases: ['directory', 'dir'] },
    ),
    depth: key({ kind: 'integer', limits: DEPTH_LIMITS }, 'how many commits of history to fetch', {
      default: 50,
      aliases: ['fetch-depth', 'fetch_depth'],
    }),
    submodules: key({ kind: 'boolean' }, 'whether c3 also fetches submodules; a step can do it instead', {
      default: false,
      aliases: ['recursive'],
    }),
    clean: key({ kind: 'boolean' }, 'whether c3 removes the files that an earlier build left in the work tree', {
      default: true,
    }),
    credential: key({ kind: 'boolean' }, 'whether the steps of this container get the token, for `git`', {
      default: true,
      aliases: ['persist-credentials', 'persist_credentials'],
    }),
  },
  {
    lfs: 'run `git lfs pull` in a step',
    partial: '`depth` limits what c3 fetches',
    tags: 'run `git fetch --tags` in a step of the same container',
  },
);

export const podVocabulary: Vocabulary = toVocabulary({
  reuse: key({ kind: 'boolean' }, 'whether the next build of this project can use the same Pod', {
    default: true,
    aliases: ['warm'],
  }),
  share: key({ kind: 'boolean' }, 'whether all branches that are not protected use one Pod', { default: true }),
  idle: key({ kind: 'duration' }, 'how long the Pod waits for the next build', { default: '1h', aliases: ['ttl'] }),
  max_age: key({ kind: 'duration' }, 'how long the Pod lives at most', {
    default: '12h',
    aliases: ['maxAge', 'max-age'],
  }),
  start_timeout: key(
    { kind: 'duration' },
    'how long a new Pod may take until its containers run: for a node, volumes and images',
    { default: '10m', aliases: ['startTimeout', 'start-timeout'] },
  ),
});

export const concurrencyVocabulary: Vocabulary = toVocabulary(
  {
    cancel_previous: key({ kind: 'boolean' }, 'whether a build cancels older builds of the same branch or tag', {
      default: false,
      aliases: ['cancel-in-progress', 'interruptible', 'auto_cancel'],
    }),
  },
  { group: 'the builds of one branch or tag are a group; there are no other groups', limit: 'a Pod runs one build' },
);

const refKey = key(
  { kind: 'text', pattern: REF_PATTERN },
  'the refs in whose builds the value opens, as in `c3 encrypt --ref`: a full name or a [glob](#globs) for it',
  { examples: ['refs/heads/main', 'refs/tags/v*'], aliases: ['refs', 'branch', 'tag'] },
);

/** The long form of `k8s` and of a value in `secrets`. */
export const sealedVocabulary: Vocabulary = toVocabulary({
  value: key({ kind: 'text', pattern: SEALED_PATTERN }, 'the sealed value', { isRequired: true, aliases: ['sealed'] }),
  ref: { ...refKey, isRequired: true },
});

const sealTogether = 'seal the token and the chat together, and put the result under `to`';

export const telegramVocabulary: Vocabulary = toVocabulary(
  {
    to: key(
      { kind: 'text', pattern: SEALED_PATTERN },
      "the token and the chat, sealed by c3; the default is the operator's chat",
      { aliases: ['destination', 'sealed', 'recipients', 'value'] },
    ),
    ref: refKey,
    notify: key(
      { kind: 'word', words: NOTIFICATIONS },
      'which messages make a sound: `failure`, `change`, `always` or `never`',
      { default: 'failure', aliases: ['when', 'on', 'if', 'ring'] },
    ),
    log: key({ kind: 'boolean' }, 'whether c3 sends the log of the step that failed the build, as a file', {
      default: false,
      aliases: ['logs', 'document', 'file'],
    }),
  },
  {
    ...forEach(['chat', 'chat_id', 'thread'], sealTogether),
    token: `${sealTogether}; a token in clear text is no longer secret`,
    on_success: 'choose which messages make a sound: `notify: always`',
    on_failure: 'choose which messages make a sound: `notify: failure`',
  },
);

export const pipelineVocabulary: Vocabulary = toVocabulary(
  {
    k8s: key({ kind: 'sealed' }, 'the kubeconfig of the cluster, sealed by c3', {
      isRequired: true,
      aliases: ['kubeconfig', 'kubernetes', 'cluster'],
    }),
    telegram: key(
      { kind: 'mapping', vocabulary: telegramVocabulary, or: 'sealed' },
      'where c3 reports the build: the token and the chat, sealed by c3, or a mapping',
      { aliases: ['notify', 'notifications'] },
    ),
    job: key({ kind: 'pod' }, 'the Pod, as Kubernetes defines it', {
      isRequired: true,
      aliases: ['jobs', 'podTemplate', 'spec'],
    }),
    steps: key({ kind: 'stages' }, 'the commands that run in its containers, in order', {
      isRequired: true,
      examples: [[{ clj: 'clojure -A:test' }]],
      aliases: ['script', 'stages', 'pipeline', 'tasks', 'commands'],
    }),
    finally: key({ kind: 'stages' }, 'the commands that run after them, whether they passed or failed', {
      examples: [[{ kube: './clean-up.sh' }]],
      aliases: ['after_script', 'ensure', 'post', 'always', 'cleanup'],
    }),
    when: key({ kind: 'mapping', vocabulary: pipelineConditionVocabulary }, 'the events that start a build', {
      examples: [{ event: 'push', branch: 'main' }],
      aliases: ['on', 'if', 'rules', 'branches', 'trigger', 'triggers'],
    }),
    env: key({ kind: 'variables', values: 'text' }, 'variables of every step', {
      examples: [{ LANG: 'C.UTF-8' }],
      aliases: ['environment', 'variables', 'vars'],
    }),
    secrets: key({ kind: 'variables', values: 'sealed' }, 'sealed variables of every step'),
    timeout: key({ kind: 'duration' }, 'the time limit of the whole build', {
      default: '1h',
      aliases: ['timeout-minutes', 'timeout_in_minutes'],
    }),
    concurrency: key({ kind: 'mapping', vocabulary: concurrencyVocabulary }, 'what a new build does to older builds', {
      aliases: ['interruptible', 'cancel_previous', 'cancel-in-progress'],
    }),
    checkout: key(
      { kind: 'mapping', vocabulary: checkoutVocabulary, or: 'false' },
      'how c3 checks the commit out into the Pod; `false` turns it off',
      { aliases: ['clone', 'git'] },
    ),
    pod: key({ kind: 'mapping', vocabulary: podVocabulary }, 'how long the Pod lives'),
  },
  {
    ...unsupportedKeys,
    ...forEach(['runs_on', 'runs-on'], 'a build runs in the cluster of `k8s`'),
    ...forEach(['schedule', 'cron'], noSchedules),
    ...forEach(['retry', 'allow_failure'], 'put it in a step'),
    name: 'the name of the project is the name of the Pod, `job.metadata.name`',
    version: 'c3.yaml needs no version: remove the line',
    image: 'put the images in the containers of `job`',
    permissions: 'a build has the permissions of the service account of its Pod',
    parallel: 'put it in `steps`: `- parallel: [...]`',
  },
);
