import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real repository with one empty commit on `main`: what builds check out. */
export interface SourceRepository {
  readonly path: string;
  readonly sha: string;
  remove(): void;
}

export function createSourceRepository(): SourceRepository {
  const path = mkdtempSync(join(tmpdir(), 'c3-source-'));
  function git(...args: string[]): string {
    const identity = ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.com'];
    return execFileSync('git', ['-C', path, ...identity, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
  }
  git('init', '-q', '-b', 'main');
  git('commit', '-q', '--allow-empty', '-m', 'first');
  return { path, sha: git('rev-parse', 'HEAD'), remove: () => rmSync(path, { recursive: true, force: true }) };
}
