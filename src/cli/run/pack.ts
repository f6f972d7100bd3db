import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { askGit, QUIET_ARGS, runGit, type GitOptions } from './git.ts';

/** What a container already has from earlier runs. */
export interface Stock {
  /** Commits that are complete. */
  readonly commits: readonly string[];
  /** Commits whose parents are missing. */
  readonly shallow: readonly string[];
}

export interface Pack {
  /** Commits at which the history is cut, for the container's `shallow` file. */
  readonly shallow: readonly string[];
  /** Opens the pack, in git's format. It may refer to objects that the container has. */
  open(): PackStream;
}

export interface PackStream {
  readonly bytes: Readable;
  /** Rejects when git failed. The bytes are then incomplete. */
  readonly done: Promise<void>;
  close(): void;
}

/** Plans a pack of the commit and its newest `depth` commits, without what the container has. */
export async function planPack(
  git: GitOptions,
  { sha, depth, stock }: { sha: string; depth: number; stock: Stock },
): Promise<Pack> {
  const [history, ownShallow, common] = await Promise.all([
    runGit(['rev-list', '--parents', `--max-count=${depth}`, sha], git),
    readShallow(git),
    findCommon(git, stock.commits),
  ]);
  const commits = history.split('\n').map((line) => line.split(' '));
  const included = new Set(commits.map(([commit]) => commit));
  const isCut = ([commit = '', ...parents]: readonly string[]): boolean =>
    ownShallow.includes(commit) || parents.some((parent) => !included.has(parent));
  const cut = commits.filter(isCut).map(([commit = '']) => commit);
  const shallow = [...new Set([...cut, ...stock.shallow.filter((commit) => included.has(commit))])];
  // The order of upload-pack: shallow commits, known commits, wanted commits.
  const wants = [
    ...[...shallow, ...stock.shallow, ...ownShallow].map((commit) => `--shallow ${commit}`),
    ...common.map((commit) => `^${commit}`),
    sha,
  ];
  return { shallow, open: () => openPack(git, `${wants.join('\n')}\n`) };
}

function openPack(git: GitOptions, wants: string): PackStream {
  const args = ['--shallow-file', '', 'pack-objects', '--revs', '--stdout', '--thin', '--delta-base-offset', '-q'];
  const child = spawn('git', [...QUIET_ARGS, ...args], {
    cwd: git.directory,
    env: git.env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-1000);
  });
  child.stdin.on('error', () => {}); // `done` reports it
  child.stdin.end(wants);
  const done = new Promise<void>((resolvePack, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolvePack() : reject(new Error(`git pack-objects: ${words.trim() || `it ended with ${code}`}`)),
    );
  });
  done.catch(() => {}); // the reader of the bytes awaits it
  return { bytes: child.stdout, done, close: () => void child.kill() };
}

/** Returns the commits that exist here. A snapshot of an earlier process does not. */
async function findCommon(git: GitOptions, commits: readonly string[]): Promise<string[]> {
  const answers = await Promise.all(
    commits.map((commit) => askGit(['rev-parse', '--quiet', '--verify', `${commit}^{commit}`], git)),
  );
  return answers.filter((commit) => commit !== undefined);
}

/** Reads where the user's own repository is shallow. */
async function readShallow(git: GitOptions): Promise<string[]> {
  const path = await runGit(['rev-parse', '--git-path', 'shallow'], git);
  const text = await readFile(resolve(git.directory, path), 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean);
}
