import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { createGitDirectory, GIT_ENVIRONMENT } from './git.ts';

const execute = promisify(execFile);

/** Of one git command of a test. */
const TIMEOUT_MS = 30_000;

/** A work tree of a user with the real git, away from any configuration of the machine. */
export interface WorkTree {
  readonly path: string;
  /** Runs git here; its trimmed standard output. Rejects, with what git says in the message, when it fails. */
  git(...args: string[]): Promise<string>;
  /** Writes the files and commits everything; the commit's sha. */
  commit(files: Readonly<Record<string, string>>, message: string): Promise<string>;
}

export interface WorkTreeOptions {
  /** Sent to the forge as the password; none: no credentials. */
  readonly token?: string;
  /** Default a new temporary directory. */
  readonly path?: string;
}

/** An empty work tree on the branch `main`. The caller removes its directory. */
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

/** In the environment: an argument or a URL would show in the list of processes. */
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
