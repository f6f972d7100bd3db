import type { Build } from '../build/index.ts';
import type { GitAccess } from '../forges/forge.ts';
import type { Checkout, Pipeline } from '../pipeline/pipeline.ts';

/**
 * Makes the git settings with which every git of the build reaches the forge, also for private submodules. They are
 * environment variables, so that they are in no argv, no file and no `.git/config`. Git sends the header to this
 * forge only: it compares scheme, host and port.
 *
 * @see https://git-scm.com/docs/git-config#ENVIRONMENT (git 2.31 or newer)
 */
export function toGitEnvironment(access: GitAccess, checkout: Checkout): Record<string, string> {
  const host = new URL(access.urlPrefix).host;
  const settings: [string, string][] = [
    [`http.${access.urlPrefix}.extraHeader`, access.header],
    // Submodules often have SSH addresses. The token is for HTTPS.
    [`url.${access.urlPrefix}.insteadOf`, `git@${host}:`],
    [`url.${access.urlPrefix}.insteadOf`, `ssh://git@${host}/`],
    // The work tree may belong to another user than that of the container.
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
 * Formats the script that brings the pushed revision into the work tree. It clones once, and fetches and cleans in a
 * warm Pod. Nothing from outside is in its text: url, ref and sha are variables (A8). It first removes what an
 * earlier build left in the repository's settings: hooks, config, submodules. If a warm tree cannot be used, it
 * clones again, once. Each git takes some milliseconds of every build, so the script calls few (the config is a file,
 * HEAD is a file), and cleans while it fetches.
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
# Ignores objects that an earlier build put in place of others.
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
  # No housekeeping while a build waits, and no wait for the disk: what is lost with the Pod is fetched again.
  git -c http.followRedirects=false -c gc.auto=0 -c maintenance.auto=false -c core.fsync=none \\
    fetch -q --no-tags --no-recurse-submodules --depth "$depth" "$C3_CHECKOUT_URL" "$1"
}
# All joined by &&: a shell ignores -e in a function whose exit status is checked.
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
# Checkout restores or removes every file that is in the index. Everything else is removed here.
tidy() {
  {
    # Files that a step told git to ignore would stay as it left them. Without an index git writes every file.
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
if [ ! -d .git ]; then make; else renew || { echo "c3: the warm work tree cannot be used, cloning again"; make; }; fi
read_head
if [ "$head" != "$C3_SHA" ]; then echo "c3: the work tree is not at $C3_SHA" >&2; exit 1; fi
`;
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
  const { path } = planWorkdir(pipeline);
  return [`${path.slice(0, path.lastIndexOf('/'))}/.c3`, '/tmp/.c3'];
}
