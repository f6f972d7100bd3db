import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { C3Error } from '../../errors.ts';
import { parseScope, type Scope } from '../../sealing/index.ts';

/** The user's git working tree. Nothing here changes its index, HEAD, refs or object store. */
export interface WorkingTree {
  /** The absolute path of its root. */
  readonly root: string;
  /** Options for git commands that must see the snapshots. */
  readonly git: GitOptions;
  /** Options for git commands in the bare repository with the snapshots, which borrows the objects of the user's. */
  readonly store: GitOptions;
  /** `host/owner/name` of the remote `origin`, else `local/local/FOLDER`. */
  readonly scope: Scope;
  /** Takes a snapshot of the tracked and untracked files, without ignored and deleted ones. */
  takeSnapshot(): Promise<Snapshot>;
  /** Removes the snapshots. */
  close(): Promise<void>;
}

export interface Snapshot {
  /** The sha of HEAD if no file differs, else of a new commit on top of it. The same files have the same sha. */
  readonly sha: string;
  /** Number of files that differ from HEAD. */
  readonly changedFiles: number;
  /** Undefined when HEAD is detached. */
  readonly branch: string | undefined;
  /** The first line of HEAD's message. */
  readonly subject: string;
  readonly author: string;
}

/** The author of a snapshot. */
const AUTHOR = 'c3 run';
const EMAIL = 'c3@localhost';

/** @throws {C3Error} USAGE_INVALID when there is no git working tree */
export async function openWorkingTree(directory: string, env: NodeJS.ProcessEnv): Promise<WorkingTree> {
  const root = await askGit(['rev-parse', '--show-toplevel'], { directory, env });
  if (root === undefined || root === '') {
    throw new C3Error('USAGE_INVALID', `There is no git working tree at "${directory}"`, {
      hint: 'c3 run uses the files that git tracks or could add: run git init first',
    });
  }
  const plain = { directory: root, env };
  const paths = await runGit(
    ['rev-parse', '--show-object-format', '--git-path', 'config', '--git-path', 'objects'],
    plain,
  );
  const [format = '', config = '', objects = ''] = paths.split('\n');
  const scratch = await mkdtemp(join(tmpdir(), 'c3-run-'));
  // It knows the user's objects and remotes, and nothing of the user's work tree.
  const store: GitOptions = {
    directory: scratch,
    env: {
      ...env,
      GIT_DIR: scratch,
      GIT_WORK_TREE: undefined,
      GIT_INDEX_FILE: undefined,
      GIT_OBJECT_DIRECTORY: undefined,
    },
  };
  await runGit(['init', '-q', '--bare', '--template=', `--object-format=${format}`], store);
  await runGit(['config', 'include.path', resolve(root, config)], store);
  await mkdir(join(scratch, 'objects', 'info'), { recursive: true });
  await writeFile(join(scratch, 'objects', 'info', 'alternates'), `${resolve(root, objects)}\n`);
  const git: GitOptions = {
    directory: root,
    env: { ...env, GIT_INDEX_FILE: join(scratch, 'index'), GIT_OBJECT_DIRECTORY: join(scratch, 'objects') },
  };
  return {
    root,
    git,
    store,
    scope: toScope(await askGit(['remote', 'get-url', 'origin'], plain), root),
    takeSnapshot: () => takeSnapshot(plain, git),
    close: () => rm(scratch, { recursive: true, force: true }),
  };
}

async function takeSnapshot(plain: GitOptions, git: GitOptions): Promise<Snapshot> {
  const [head, branch, index] = await Promise.all([
    askGit(['rev-parse', '--quiet', '--verify', 'HEAD^{commit}'], plain),
    askGit(['symbolic-ref', '--quiet', '--short', 'HEAD'], plain),
    runGit(['rev-parse', '--git-path', 'index'], plain),
  ]);
  await copyIndex(resolve(plain.directory, index), git.env['GIT_INDEX_FILE'] ?? '');
  await runGit(['add', '--all', '--', '.'], git);
  const tree = await runGit(['write-tree'], git);
  const format = ['-1', '--no-show-signature', '--format=%s%n%an%n@%ct +0000%n%T'];
  const facts = head === undefined ? [] : (await runGit(['log', ...format, head], git)).split('\n');
  const [subject = 'Working tree', author = AUTHOR, date = '@0 +0000', headTree] = facts;
  if (head !== undefined && tree === headTree) return { sha: head, changedFiles: 0, branch, subject, author };
  const list = head === undefined ? ['ls-files'] : ['diff-index', '--cached', '--name-only', head];
  const changed = await runGit(list, git);
  const parents = head === undefined ? [] : ['-p', head];
  const message = head === undefined ? subject : `Working tree on: ${subject}`;
  // With the date of HEAD, the same files make the same commit, and nothing is sent twice.
  const env = {
    ...git.env,
    GIT_AUTHOR_NAME: AUTHOR,
    GIT_AUTHOR_EMAIL: EMAIL,
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_NAME: AUTHOR,
    GIT_COMMITTER_EMAIL: EMAIL,
    GIT_COMMITTER_DATE: date,
  };
  const sha = await runGit(['commit-tree', ...parents, '-m', message, tree], { ...git, env });
  return { sha, changedFiles: changed === '' ? 0 : changed.split('\n').length, branch, subject, author };
}

/**
 * Copies the user's index, which knows the checked files and the ignored files that are tracked. It keeps the time of
 * the index: git reads files again that are not older than the index, because they may have changed while it was
 * written.
 */
async function copyIndex(from: string, to: string): Promise<void> {
  await rm(to, { force: true });
  try {
    const { mtimeMs } = await stat(from);
    await copyFile(from, to);
    await utimes(to, Math.floor(mtimeMs / 1000), Math.floor(mtimeMs / 1000));
  } catch {
    // There is no index before the first `git add`.
    await rm(to, { force: true });
  }
}

/** `git@github.com:acme/shop.git` and `https://github.com/acme/shop.git` become `github.com/acme/shop`. */
function toScope(remote: string | undefined, root: string): Scope {
  const match = /^(?:[a-z+]+:\/\/)?(?:[^@/]*@)?([A-Za-z0-9.-]+)(?::\d+)?[:/]([\w./~-]+\/[\w.-]+?)(?:\.git)?\/*$/.exec(
    remote ?? '',
  );
  try {
    if (match?.[1] && match[2]) return parseScope(`${match[1]}/${match[2].replace(/^\/+/, '')}`);
  } catch {
    // c3 cannot read the address of the remote.
  }
  return { host: 'local', owner: 'local', name: basename(root).replaceAll(/[^\w.-]/g, '-') || 'tree' };
}

export interface GitOptions {
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Limits the output of one git command: lists of commits and of changed paths. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Settings for every git command. No hook runs because of c3. A split index would write a file into the user's
 * repository. Replaced objects would change what a commit contains.
 */
export const QUIET_ARGS: readonly string[] = [
  '--no-replace-objects',
  ...[
    'core.hooksPath=/dev/null',
    'core.fsmonitor=false',
    'core.splitIndex=false',
    'advice.addEmbeddedRepo=false',
  ].flatMap((setting) => ['-c', setting]),
];

/**
 * Runs git and returns its output, trimmed.
 *
 * @throws {C3Error} USAGE_INVALID with git's message
 */
export async function runGit(args: readonly string[], options: GitOptions): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('git', [...QUIET_ARGS, ...args], {
      cwd: options.directory,
      env: options.env,
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    return stdout.trim();
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') throw new C3Error('USAGE_INVALID', 'c3 run needs git, which is not installed');
    const words = stderr?.trim().replace(/^(?:fatal|error): /, '') || `it ended with ${String(code)}`;
    throw new C3Error('USAGE_INVALID', `git ${args[0] ?? ''}: ${words}`, { cause: error });
  }
}

/** Runs git like {@link runGit}. Returns undefined when git fails. */
async function askGit(args: readonly string[], options: GitOptions): Promise<string | undefined> {
  try {
    return await runGit(args, options);
  } catch {
    return undefined;
  }
}
