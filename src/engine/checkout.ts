import type { Build } from '../build/index.ts';
import type { GitAccess } from '../forges/forge.ts';
import type { Checkout, Pipeline } from '../pipeline/pipeline.ts';

/**
 * The git settings with which every git of the build reaches the forge, private submodules too: as environment, so that they are
 * in no argv, no file and no `.git/config`. The header is sent to this forge alone: git matches scheme, host and port.
 *
 * @see https://git-scm.com/docs/git-config#ENVIRONMENT (git 2.31 or newer)
 */
export function toGitEnvironment(access: GitAccess, checkout: Checkout): Record<string, string> {
  const host = new URL(access.urlPrefix).host;
  const settings: [string, string][] = [
    [`http.${access.urlPrefix}.extraHeader`, access.header],
    // Submodules are often written with SSH addresses; the token is for HTTPS.
    [`url.${access.urlPrefix}.insteadOf`, `git@${host}:`],
    [`url.${access.urlPrefix}.insteadOf`, `ssh://git@${host}/`],
    // The work tree may belong to another user than the container's.
    ['safe.directory', '*'],
    ['advice.detachedHead', 'false'],
  ];
  const environment: Record<string, string> = { GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_COUNT: String(settings.length) };
  for (const [index, [key, value]] of settings.entries()) {
    environment[`GIT_CONFIG_KEY_${index}`] = key;
    environment[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return { ...environment, C3_CHECKOUT_URL: access.url, C3_CHECKOUT_PATH: checkout.path };
}

/**
 * The script that brings the pushed revision into the work tree: cloned once, fetched and cleaned in a warm Pod. Nothing from
 * outside is in its text: url, ref and sha are variables. What an earlier build left in the repository's settings (hooks,
 * config, submodules) is dropped first; if a warm tree cannot be used, it is made anew, once. Each git takes some
 * milliseconds of every build, so it calls as few as it can (the config is a file, HEAD is a file), and cleans while it fetches.
 */
export function formatCheckoutScript(checkout: Checkout, build: Pick<Build, 'sha'>): string {
  const isSha256 = build.sha.length === 64;
  const submodules = checkout.submodules
    ? ' &&\n  git submodule sync -q --recursive && git submodule update -q --init --recursive --depth "$depth"'
    : '';
  const clean = checkout.clean ? ' &&\n  git clean -q -ffdx' : '';
  return `
depth=${checkout.depth}
cd "$C3_CHECKOUT_PATH"
# What an earlier build put in an object's place is not looked at.
export GIT_NO_REPLACE_OBJECTS=1
configure() {
  printf '[core]\n\trepositoryformatversion = ${isSha256 ? 1 : 0}\n\tfilemode = true\n\tbare = false\n' &&
  ${
    isSha256
      ? String.raw`printf '[extensions]
	objectformat = sha256
' &&`
      : ''
  }
  printf '[remote "origin"]\n\turl = %s\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n' "$C3_CHECKOUT_URL"
}
fetch_one() {
  # No housekeeping while a build waits, and no waiting for the disk: what is lost with the Pod is fetched again.
  git -c http.followRedirects=false -c gc.auto=0 -c maintenance.auto=false -c core.fsync=none \\
    fetch -q --no-tags --no-recurse-submodules --depth "$depth" "$C3_CHECKOUT_URL" "$1"
}
# Joined by && throughout: a shell ignores -e in a function whose outcome is asked for.
fetch() {
  fetch_one "$C3_SHA" || fetch_one "$C3_REF"
}
read_head() {
  head=
  [ ! -f .git/HEAD ] || read -r head < .git/HEAD
}
switch() {
  git -c core.hooksPath=/dev/null checkout -q --force --detach "$C3_SHA"${submodules}
}
make() {
  if ! git --version > /dev/null 2>&1; then
    echo "c3: this container has no git: the checkout needs git 2.31 or newer" >&2
    exit 1
  fi
  find . -mindepth 1 -maxdepth 1 -exec rm -rf {} +
  git init -q ${isSha256 ? '--object-format=sha256 ' : ''}. && configure > .git/config && fetch && switch
}
# Whatever the index says of a file, checkout brings it to the revision, or removes it; the rest is to go before.
tidy() {
  {
    # Files that a step told git to overlook would stay as it left them: without an index every file is written anew.
    ! git ls-files -v | grep -q '^[a-zS]' || rm -f .git/index
    [ ! -d .git/modules ] || { git submodule deinit -q -f --all || :; rm -rf .git/modules; }
  }${clean}
}
renew() {
  read_head
  rm -rf .git/hooks .git/info .git/config .git/config.worktree .git/commondir .git/worktrees .git/refs/replace .git/*.lock && configure > .git/config || return
  fetching=
  # A detached HEAD names the commit that is there.
  [ "$head" = "$C3_SHA" ] || { fetch & fetching=$!; }
  tidy; tidied=$?
  { [ -z "$fetching" ] || wait "$fetching"; } && [ "$tidied" -eq 0 ] && switch
}
if [ ! -d .git ]; then make; else renew || { echo "c3: the warm work tree cannot be used, cloning anew"; make; }; fi
read_head
if [ "$head" != "$C3_SHA" ]; then echo "c3: the work tree is not at $C3_SHA" >&2; exit 1; fi
`;
}

const DEFAULT_PATH = '/c3/project';

export interface Workdir {
  readonly path: string;
  /** Not where the revision is checked out: elsewhere a step would run what is in its image. */
  readonly mayStartElsewhere: boolean;
}

export function planWorkdir({ checkout }: Pipeline): Workdir {
  if (checkout === false) return { path: DEFAULT_PATH, mayStartElsewhere: true };
  return { path: checkout.path, mayStartElsewhere: false };
}

/** Beside the work tree, where a volume is; else in the container's own temporary directory. */
export function planRoots(pipeline: Pipeline): readonly [string, string] {
  const { path } = planWorkdir(pipeline);
  return [`${path.slice(0, path.lastIndexOf('/'))}/.c3`, '/tmp/.c3'];
}
