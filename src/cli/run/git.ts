import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { C3Error } from '../../errors.ts';

export interface GitOptions {
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Limits the output of one git command: lists of commits and of changed paths. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Settings for every git command. No hook runs because of c3. A split index would write a file into the user's repository. Replaced
 * objects would change what a commit contains.
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
export async function askGit(args: readonly string[], options: GitOptions): Promise<string | undefined> {
  try {
    return await runGit(args, options);
  } catch {
    return undefined;
  }
}
