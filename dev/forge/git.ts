import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readObject } from './object-reader.ts';

const execute = promisify(execFile);

/** The maximum output of a command: a payload or a file, never a pack. */
const MAX_OUTPUT_BYTES = 32 * 1024 * 1024;
/** Ends a command that hangs, also on a busy machine. */
const TIMEOUT_MS = 120_000;

/** The environment of git, without the machine's and the user's configuration. */
export const GIT_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: devNull,
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'forge',
  GIT_AUTHOR_EMAIL: 'forge@example.invalid',
  GIT_COMMITTER_NAME: 'forge',
  GIT_COMMITTER_EMAIL: 'forge@example.invalid',
  LC_ALL: 'C.UTF-8',
};

/** Creates a git directory as `git init` does, without a process for it and for each setting. */
export async function createGitDirectory(
  path: string,
  { branch, isBare, config }: { readonly branch: string; readonly isBare: boolean; readonly config: string },
): Promise<void> {
  for (const part of ['objects/info', 'objects/pack', 'refs/heads', 'refs/tags'])
    await mkdir(join(path, part), { recursive: true });
  await writeFile(join(path, 'HEAD'), `ref: refs/heads/${branch}\n`);
  const core = `[core]\n  repositoryformatversion = 0\n  bare = ${isBare}\n  logAllRefUpdates = false\n`;
  await writeFile(join(path, 'config'), `${core}[gc]\n  auto = 0\n[maintenance]\n  auto = false\n${config}`);
}

/** Runs git in a bare repository and returns its output. Rejects when git fails. */
export async function runGit(
  directory: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Buffer> {
  const { stdout } = await execute('git', ['--git-dir', directory, ...args], {
    encoding: 'buffer',
    // A relative path must never mean the directory of this process.
    cwd: directory,
    env: { ...GIT_ENVIRONMENT, ...environment },
    maxBuffer: MAX_OUTPUT_BYTES,
    timeout: TIMEOUT_MS,
  });
  return stdout;
}

/** Returns the trimmed output, or `undefined` when git fails because there is no such object. */
export async function tryGit(directory: string, args: readonly string[]): Promise<string | undefined> {
  try {
    return (await runGit(directory, args)).toString('utf8').trim();
  } catch {
    return undefined;
  }
}

/** Returns the object that an exact ref or a sha names, peeled to `type`. */
export async function resolveObject(
  directory: string,
  name: string,
  type: 'commit' | 'object',
): Promise<string | undefined> {
  return (await readObject(directory, `${name}^{${type}}`, GIT_ENVIRONMENT))?.sha;
}

/** Resolves a branch, a tag or a full sha to a commit's sha, as GitHub resolves `:ref`. */
export async function resolveCommit(directory: string, ref: string): Promise<string | undefined> {
  if (/^[0-9a-f]{40}$/.test(ref)) {
    // The sha of a tag object does not stand for its commit.
    return (await readObject(directory, ref, GIT_ENVIRONMENT))?.type === 'commit' ? ref : undefined;
  }
  const names = [`refs/heads/${ref}`, `refs/tags/${ref}`, `refs/${ref}`];
  for (const name of names) {
    const sha = await resolveObject(directory, name, 'commit');
    if (sha !== undefined) {
      return sha;
    }
  }
  return undefined;
}

export interface Commit {
  readonly sha: string;
  readonly tree: string;
  readonly message: string;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly author: { readonly name: string; readonly email: string };
  readonly committer: { readonly name: string; readonly email: string };
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly modified: readonly string[];
}

const COMMIT_FORMAT = ['%H', '%T', '%cI', '%an', '%ae', '%cn', '%ce', '%B'].join('%x00');
/** A file can have the name U+0001, but no two names follow each other: a status is between them. */
const COMMIT_START = '\0\u0001\0\u0001\0';

export async function readCommit(directory: string, sha: string): Promise<Commit> {
  const [commit] = await readLog(directory, ['--no-walk', sha]);
  if (commit === undefined) throw new Error(`there is no commit ${sha}`);
  return commit;
}

/** Reads the newest commits of a range, the oldest first, with one process. */
export async function readCommits(directory: string, range: string, max: number): Promise<Commit[]> {
  return (await readLog(directory, [`--max-count=${max}`, range])).toReversed();
}

async function readLog(directory: string, selection: readonly string[]): Promise<Commit[]> {
  const options = ['log', '--diff-merges=off', '--name-status', '--no-renames', '-z'];
  const format = `--format=%x00%x01%x00%x01%x00${COMMIT_FORMAT}%x00`;
  const output = await runGit(directory, [...options, format, ...selection, '--']);
  return output.toString('utf8').split(COMMIT_START).slice(1).map(parseCommit);
}

function parseCommit(text: string): Commit {
  const [id = '', tree = '', timestamp = '', authorName = '', authorEmail = '', ...rest] = text.split('\0');
  const [committerName = '', committerEmail = '', message = '', ...changes] = rest;
  // The first change follows empty fields and a line end.
  const fields = changes.map((field) => field.replace(/^\n/, '')).filter((field) => field !== '');
  const withStatus = (status: RegExp): string[] =>
    fields.filter((_, index) => index % 2 === 1 && status.test(fields[index - 1] ?? ''));
  return {
    sha: id,
    tree,
    timestamp,
    message: message.trimEnd(),
    author: { name: authorName, email: authorEmail },
    committer: { name: committerName, email: committerEmail },
    added: withStatus(/^A/),
    removed: withStatus(/^D/),
    modified: withStatus(/^[MT]/),
  };
}

export async function isAncestor(directory: string, ancestor: string, descendant: string): Promise<boolean> {
  return (await tryGit(directory, ['merge-base', '--is-ancestor', ancestor, descendant])) !== undefined;
}

export async function countCommits(directory: string, range: string): Promise<number> {
  return Number(await runGit(directory, ['rev-list', '--count', range, '--']));
}
