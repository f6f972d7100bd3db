/** Numbers by their keys. */
export interface Tally {
  get(key: string): number;
  add(key: string, count: number): void;
}

/** Of a number that is 0 the key is not kept. */
export function createTally(): Tally {
  const counts = new Map<string, number>();
  return {
    get: (key) => counts.get(key) ?? 0,
    add(key, count) {
      const sum = (counts.get(key) ?? 0) + count;
      if (sum > 0) counts.set(key, sum);
      else counts.delete(key);
    },
  };
}

/** `host/owner` of `host/owner/name`; of a group within groups, the outermost. */
export function ownerOf(repository: string): string {
  return repository.split('/', 2).join('/');
}
