import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onWorkerEnd } from '../worker.ts';

/** A real repository with one empty commit on `main`. Builds check it out, and no test changes it. */
export interface SourceRepository {
  readonly path: string;
  readonly sha: string;
}

let made: SourceRepository | undefined;

/** Returns the repository of this worker. */
export function getSourceRepository(): SourceRepository {
  if (made !== undefined) return made;
  const path = mkdtempSync(join(tmpdir(), 'c3-source-'));
  onWorkerEnd(() => rmSync(path, { recursive: true, force: true }));
  function git(...args: string[]): string {
    const identity = ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.com'];
    return execFileSync('git', ['-C', path, ...identity, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
  }
  git('init', '-q', '-b', 'main');
  git('commit', '-q', '--allow-empty', '-m', 'first');
  made = { path, sha: git('rev-parse', 'HEAD') };
  return made;
}
