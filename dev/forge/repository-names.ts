import type { Repository } from './repositories.ts';

/** The repositories by their names, in lower case. */
export interface RepositoryNames {
  /** @throws {Error} if the name is bad or taken */
  add(repository: Repository): void;
  /** Ignores case. */
  find(owner: string, name: string): Repository | undefined;
  /** Finds a repository by a name that it had before. */
  findMoved(owner: string, name: string): Repository | undefined;
  findById(id: number): Repository | undefined;
  /** Gives a repository another name. {@link findMoved} has the former one. */
  rename(repository: Repository, name: string): void;
  /** Deletes a repository: it is no longer found. Its directory stays until the forge is removed. */
  delete(repository: Repository): void;
}

export function createRepositoryNames(): RepositoryNames {
  const repositories = new Map<string, Repository>();
  const moved = new Map<string, Repository>();

  function add(repository: Repository): void {
    const key = repository.fullName.toLowerCase();
    if (!/^[\w-][\w.-]*(?:\/[\w-][\w.-]*)+$/.test(key) || key.startsWith('spool/') || repositories.has(key)) {
      throw new Error(`cannot create the repository ${repository.fullName}: the name is bad or taken`);
    }
    repositories.set(key, repository);
    moved.delete(key);
  }

  return {
    add,
    find: (owner, name) => repositories.get(`${owner}/${name}`.toLowerCase()),
    findMoved: (owner, name) => moved.get(`${owner}/${name}`.toLowerCase()),
    findById: (id) => [...repositories.values()].find((repository) => repository.id === id),
    rename(repository, name) {
      const before = repository.fullName.toLowerCase();
      Object.assign(repository, { name, fullName: `${repository.owner}/${name}` });
      add(repository);
      repositories.delete(before);
      moved.set(before, repository);
    },
    delete(repository) {
      repositories.delete(repository.fullName.toLowerCase());
    },
  };
}
