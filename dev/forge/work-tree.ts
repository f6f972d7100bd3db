import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { createGitDirectory, GIT_ENVIRONMENT } from './git.ts';

const execute = promisify(execFile);

/** The time limit of a git command. */
const TIMEOUT_MS = 120_000;

/** A user's work tree with the real git, without the machine's configuration. */
export interface WorkTree {
  readonly path: string;
  /** Runs git here and returns its trimmed output. Rejects with git's message when git fails. */
  git(...args: string[]): Promise<string>;
  /** Writes the files, commits all changes and returns the commit's sha. */
  commit(files: Readonly<Record<string, string>>, message: string): Promise<string>;
}

export interface WorkTreeOptions {
  /** The password for the forge. Default: no credentials. */
  readonly token?: string;
  /** Default: a new temporary directory. */
  readonly path?: string;
}

/** Creates an empty work tree on the branch `main`. The caller removes its directory. */
export async function createWorkTree(options: WorkTreeOptions = {}): Promise<WorkTree> {
  const path = options.path ?? (await mkdtemp(join(tmpdir(), 'c3-work-tree-')));
  const env = { ...GIT_ENVIRONMENT, ...toCredentials(options.token) };
  const git = async (...args: string[]): Promise<string> => {
    const { stdout } = await execute('git', args, { cwd: path, env, timeout: TIMEOUT_MS });
    return stdout.trim();
  };
  await createGitDirectory(join(path, '.git'), { branch: 'main', isBare: false, config: '' });
  return {
    path,
    git,
    async commit(files, message) {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(dirname(join(path, name)), { recursive: true });
        await writeFile(join(path, name), text);
      }
      await git('add', '--all');
      await git('commit', '--quiet', '--allow-empty', '--message', message);
      const head = (await readFile(join(path, '.git', 'HEAD'), 'utf8')).trim();
      const ref = /^ref: (.*)$/.exec(head)?.[1];
      return ref === undefined ? head : (await readFile(join(path, '.git', ref), 'utf8')).trim();
    },
  };
}

/** Returns the credentials as environment variables: the list of processes shows arguments and URLs. */
function toCredentials(token: string | undefined): Record<string, string> {
  if (token === undefined) {
    return {};
  }
  const credentials = Buffer.from(`x-access-token:${token}`).toString('base64');
  return {
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'http.extraHeader',
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${credentials}`,
  };
}
