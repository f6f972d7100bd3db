import { toOneLine } from '../terminal/index.ts';

/** Names longer than this make addresses that nobody can read. */
const MAX_LENGTH = 40;

/**
 * An id for each step, from its name: lower-case ASCII letters, digits, `_`, `.` and `-`, unique, the same as long as the plan is the
 * same. No capital letter is in it, so that `<id>-L12` is never the id of a step.
 */
export function toStepIds(names: readonly string[]): string[] {
  const taken = new Set<string>();
  // Names that are ids already keep theirs, whatever comes before them.
  const own = new Set(names.filter((name) => toSlug(name) === name));
  return names.map((name) => {
    const slug = toSlug(name);
    let id = slug;
    for (let number = 2; taken.has(id) || (id !== name && own.has(id)); number++) id = `${slug}-${number}`;
    taken.add(id);
    return id;
  });
}

function toSlug(name: string): string {
  const slug = toOneLine(name.normalize('NFKD'), MAX_LENGTH)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  return slug === '' ? 'step' : slug;
}
