import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { watch } from 'node:fs';
import { join } from 'node:path';
import { createGitDirectory, runGit } from './git.ts';
import { createRepositoryNames, type RepositoryNames } from './repository-names.ts';

export interface Repository {
  readonly id: number;
  readonly owner: string;
  readonly name: string;
  /** `owner/name`, at GitLab `group/subgroup/name`; as it was created; compared in lower case. */
  readonly fullName: string;
  readonly isPrivate: boolean;
  readonly defaultBranch: string;
  /** The bare repository's directory. Pushing to this path counts as a push too. */
  readonly path: string;
  readonly isFork: boolean;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly protectedBranches: Set<string>;
  /** Every change of a branch, the oldest first. */
  readonly pushLog: PushLogEntry[];
}

export interface PushLogEntry {
  readonly before: string;
  readonly after: string;
  readonly ref: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly pusher: string | undefined;
}

export interface NewRepository {
  readonly owner: string;
  readonly name: string;
  /** Default false. */
  readonly isPrivate?: boolean;
  /** Default `main`. */
  readonly defaultBranch?: string;
}

/** A push as its post-receive hook received it. */
export interface ReceivedPush {
  readonly repository: Repository;
  /** The user who pushed over HTTP; `undefined` for a push to the path. */
  readonly pusher: string | undefined;
  /** When the hook ran, epoch milliseconds. */
  readonly receivedAt: number;
  readonly changes: readonly { readonly before: string; readonly after: string; readonly ref: string }[];
}

export interface Repositories extends Omit<RepositoryNames, 'add'> {
  create(options: NewRepository): Promise<Repository>;
  /** Creates a fork. As on GitHub, the parent also serves the fork's objects by sha, and lists none of its refs. */
  createFork(parent: Repository, owner: string): Promise<Repository>;
  /** Resolves when all received pushes are processed. */
  close(): Promise<void>;
}

/** The refs with which a parent keeps the objects of its forks. Clients do not see them. */
const FORK_NAMESPACE = 'refs/forks';

/**
 * Creates bare repositories below `root`. A post-receive hook writes each push, over HTTP or to the path, into a
 * spool directory, which this process watches.
 */
export async function createRepositories(
  root: string,
  onPush: (push: ReceivedPush) => Promise<void>,
): Promise<Repositories> {
  const spool = join(root, 'spool');
  await mkdir(spool, { recursive: true });
  const { add, ...names } = createRepositoryNames();
  const byId = new Map<number, Repository>();
  let nextId = 0;
  let working: Promise<void> = Promise.resolve();

  async function takeSpooled(): Promise<void> {
    for (const { name, mtimeMs } of await listSpooled(spool)) {
      const text = await readFile(join(spool, name), 'utf8');
      await rm(join(spool, name));
      const repository = byId.get(Number(name.split('-')[0]));
      if (repository !== undefined) {
        const push = { repository, receivedAt: mtimeMs, ...parseSpooled(text) };
        repository.pushLog.push(...toLogEntries(push));
        await onPush(push);
      }
    }
  }

  const watcher = watch(spool, () => {
    working = working.then(takeSpooled).catch((error: unknown) => {
      process.emitWarning(error instanceof Error ? error : String(error));
    });
  });

  async function create(options: NewRepository, parent?: Repository): Promise<Repository> {
    nextId += 1;
    const isReused = names.findMoved(options.owner, options.name) !== undefined;
    const directory = isReused ? join(root, `again-${nextId}`) : root;
    const repository = toRepository(options, { id: nextId, root: directory, isFork: parent !== undefined });
    add(repository);
    byId.set(repository.id, repository);
    await initialize(repository, { spool, parent });
    return repository;
  }

  return {
    create,
    async createFork(parent, owner) {
      const { name, isPrivate, defaultBranch } = parent;
      const fork = await create({ owner, name, isPrivate, defaultBranch }, parent);
      await runGit(fork.path, [
        'fetch',
        '--quiet',
        parent.path,
        '+refs/heads/*:refs/heads/*',
        '+refs/tags/*:refs/tags/*',
      ]);
      return fork;
    },
    ...names,
    async close() {
      watcher.close();
      await working;
    },
  };
}

function toRepository(
  { owner, name, isPrivate = false, defaultBranch = 'main' }: NewRepository,
  { id, root, isFork }: { readonly id: number; readonly root: string; readonly isFork: boolean },
): Repository {
  return {
    id,
    owner,
    name,
    fullName: `${owner}/${name}`,
    isPrivate,
    defaultBranch,
    path: join(root, owner.toLowerCase(), `${name.toLowerCase()}.git`),
    isFork,
    createdAt: Date.now(),
    protectedBranches: new Set(),
    pushLog: [],
  };
}

/** The pushes that are complete, in order. */
async function listSpooled(spool: string): Promise<{ name: string; mtimeMs: number }[]> {
  const names = (await readdir(spool)).filter((name) => name.endsWith('.push'));
  const files = names.map(async (name) => ({ name, mtimeMs: (await stat(join(spool, name))).mtimeMs }));
  return (await Promise.all(files)).toSorted((one, other) => one.mtimeMs - other.mtimeMs);
}

/** GitHub serves any commit of the network by its sha. No forge lets clients push to the refs of pull requests. */
const CONFIG = `[uploadpack]
  allowAnySHA1InWant = true
  allowFilter = true
[transfer]
  hideRefs = ${FORK_NAMESPACE}
[receive]
  denyDeleteCurrent = ignore
  hideRefs = refs/pull
  hideRefs = refs/merge-requests
  autogc = false
`;

async function initialize(
  repository: Repository,
  options: { readonly spool: string; readonly parent: Repository | undefined },
): Promise<void> {
  const { path, defaultBranch } = repository;
  await createGitDirectory(path, { branch: defaultBranch, isBare: true, config: CONFIG });
  await mkdir(join(path, 'hooks'));
  await writeFile(join(path, 'hooks', 'post-receive'), toHook(repository, options), { mode: 0o755 });
}

/** Writes a file and gives it its final name when it is complete: the watcher never sees half of one. */
function toHook(
  repository: Repository,
  options: { readonly spool: string; readonly parent: Repository | undefined },
): string {
  const share = options.parent
    ? `env -u GIT_DIR git --git-dir=${quote(options.parent.path)} fetch --quiet --no-tags ${quote(repository.path)} ${quote(`+refs/heads/*:${FORK_NAMESPACE}/${repository.id}/*`)}`
    : ':';
  return `#!/bin/sh
set -e
name=${quote(options.spool)}/${repository.id}-$$
{
  printf 'pusher %s\\n' "$REMOTE_USER"
  while read -r change; do printf '%s\\n' "$change"; done
} > "$name.part"
${share}
mv "$name.part" "$name.push"
`;
}

function toLogEntries({ changes, receivedAt: at, pusher }: ReceivedPush): PushLogEntry[] {
  return changes.filter(({ ref }) => ref.startsWith('refs/heads/')).map((change) => ({ ...change, at, pusher }));
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function parseSpooled(text: string): Pick<ReceivedPush, 'pusher' | 'changes'> {
  const [first = '', ...lines] = text.trimEnd().split('\n');
  const pusher = first.slice('pusher '.length);
  const changes = lines.map((line) => {
    const [before = '', after = '', ...ref] = line.split(' ');
    return { before, after, ref: ref.join(' ') };
  });
  return { pusher: pusher === '' ? undefined : pusher, changes };
}
