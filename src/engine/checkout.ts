import { createHash } from 'node:crypto';
import type { GitAccess } from '../forges/forge.ts';
import { toBuildsRoot } from '../pipeline/index.ts';
import type { Checkout, Pipeline } from '../pipeline/pipeline.ts';
import type { Delta } from './delta.ts';

type Settings = readonly (readonly [key: string, value: string])[];

/** The work tree may belong to another user than that of the container. */
const FOR_STEPS: Settings = [
  ['safe.directory', '*'],
  ['advice.detachedHead', 'false'],
];

/** For c3's own git, which reads no settings but these and those of its own repository. */
const FOR_CHECKOUT: Settings = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.logAllRefUpdates', 'false'],
  ['core.attributesFile', '/dev/null'],
  ['core.excludesFile', '/dev/null'],
  // No wait for the disk: what is lost with the Pod is fetched again.
  ['core.fsync', 'none'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  // Only packs: they are easy to copy.
  ['fetch.unpackLimit', '1'],
];

/**
 * Makes the git settings that reach the forge, also for private submodules. They are environment variables, so that
 * they are in no argv, no file and no `.git/config`. Git sends the header to this forge only: it compares scheme, host
 * and port.
 *
 * @see https://git-scm.com/docs/git-config#ENVIRONMENT (git 2.31 or newer)
 */
function toAccessSettings(access: GitAccess): Settings {
  const host = new URL(access.urlPrefix).host;
  return [
    [`http.${access.urlPrefix}.extraHeader`, access.header],
    // Submodules often have SSH addresses. The token is for HTTPS.
    [`url.${access.urlPrefix}.insteadOf`, `git@${host}:`],
    [`url.${access.urlPrefix}.insteadOf`, `ssh://git@${host}/`],
  ];
}

/** Formats settings as variables. They follow the settings that `env` already has. */
function formatSettings(settings: Settings, env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const before = /^\d{1,4}$/.exec(env['GIT_CONFIG_COUNT'] ?? '');
  const first = Number(before?.[0] ?? 0);
  return Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(first + settings.length)],
    ...settings.flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${first + index}`, key],
      [`GIT_CONFIG_VALUE_${first + index}`, value],
    ]),
  ]) as Record<string, string>;
}

export interface CheckoutOrder {
  readonly sha: string;
  /** The directories of the container that others can reach. */
  readonly shared: readonly string[];
  /** What the clone lacks: then git needs no access to the forge. */
  readonly delta?: Delta | undefined;
}

/** The exit code of the script if it needs access to the forge. */
export const NEEDS_FETCH = 75;

/** The exit code of the script if the commit itself cannot be checked out. */
export const COMMIT_FAULT = 76;

/** Makes the variables of the checkout. Only here git follows no redirect of the forge with the token. */
export function toCheckoutEnvironment(
  access: GitAccess,
  checkout: Checkout,
  { sha, shared, delta }: CheckoutOrder,
): Record<string, string> {
  const noRedirect = [`http.${access.urlPrefix}.followRedirects`, 'false'] as const;
  const key = createHash('sha256').update(JSON.stringify([checkout.path, access.url, sha.length]));
  const toWord = (isOn: boolean): string => (isOn ? 'yes' : 'no');
  return {
    ...formatSettings([...(delta ? [] : [...toAccessSettings(access), noRedirect]), ...FOR_STEPS, ...FOR_CHECKOUT]),
    ...delta?.env,
    GIT_TERMINAL_PROMPT: '0',
    C3_CHECKOUT_URL: access.url,
    C3_CHECKOUT_PATH: checkout.path,
    C3_CHECKOUT_DEPTH: String(checkout.depth),
    C3_CHECKOUT_CLEAN: toWord(checkout.clean),
    C3_CHECKOUT_SUBMODULES: toWord(checkout.submodules),
    C3_CHECKOUT_KEY: key.digest('hex').slice(0, 12),
    C3_SHARED_MOUNTS: shared.join('\n'),
  };
}

/** A step: its container and the variables that it has without git's. */
export interface GitUser {
  readonly container: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Makes git's variables of a step. Only the container that checks out gets the token, for submodules and for fetches
 * and pushes of its own steps.
 */
export function toStepGitEnvironment(
  access: GitAccess,
  checkout: Checkout | false,
  { container, env }: GitUser,
): Record<string, string> {
  if (checkout === false) return {};
  if (container !== checkout.container || !checkout.credential) return formatSettings(FOR_STEPS, env);
  return {
    ...formatSettings([...toAccessSettings(access), ...FOR_STEPS], env),
    GIT_TERMINAL_PROMPT: '0',
    C3_CHECKOUT_URL: access.url,
    C3_CHECKOUT_PATH: checkout.path,
  };
}

const DEFAULT_PATH = '/c3/project';

export interface Workdir {
  readonly path: string;
  /** False when the revision is checked out: elsewhere a step would test the files of its image. */
  readonly mayStartElsewhere: boolean;
}

export function planWorkdir({ checkout }: Pipeline): Workdir {
  if (checkout === false) return { path: DEFAULT_PATH, mayStartElsewhere: true };
  return { path: checkout.path, mayStartElsewhere: false };
}

/**
 * Plans where the files of builds are: beside the work tree, where a volume is, else in the container's temporary
 * directory.
 */
export function planRoots(pipeline: Pipeline): readonly [string, string] {
  return [toBuildsRoot(planWorkdir(pipeline).path), '/tmp/.c3'];
}
