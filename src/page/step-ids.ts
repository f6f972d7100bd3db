import { toOneLine } from '../terminal/index.ts';

/** Names longer than this make addresses that nobody can read. */
const MAX_LENGTH = 40;

/**
 * An id for each step, from its name: lower-case ASCII letters, digits, `_`, `.` and `-`, unique, the same as long as the plan is the
 * same. No capital letter is in it, so that `<id>-L12` is never the id of a step.
 */
export function toStepIds(names: readonly string[]): string[] {
  const taken = new Set<string>();
  const slugs = names.map(toSlug);
  // Names that are ids already keep theirs, whatever comes before them.
  const own = new Set(slugs.filter((slug, index) => slug === names[index]));
  /** By the slug: the number from which on its ids may be free. */
  const next = new Map<string, number>();
  return slugs.map((slug, index) => {
    let id = slug;
    if (taken.has(slug) || (slug !== names[index] && own.has(slug))) {
      let number = next.get(slug) ?? 2;
      while (taken.has(`${slug}-${number}`) || own.has(`${slug}-${number}`)) number += 1;
      next.set(slug, number + 1);
      id = `${slug}-${number}`;
    }
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
