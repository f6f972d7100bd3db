import type { StepPhase, StepState } from '../engine/build-state.ts';
import { escapeHtml } from './html.ts';
import { toOneLine } from './plain-text.ts';

/** A step as the page has it. */
export interface PageStep {
  /** Of its lines, `<id>-L12`, and in `log?step=<id>`; its element is `step-<id>`. */
  readonly id: string;
  /** Its name in one short line. */
  readonly title: string;
  readonly state: StepState;
  /** Whether there is, or may soon be, a log. */
  readonly hasLog: boolean;
}

const MAX_NAME_LENGTH = 200;
/** Names longer than this make addresses that nobody can read. */
const MAX_LENGTH = 40;

/** Everything that is told of a log needs them, to every reader, and states do not change. */
const known = new WeakMap<readonly StepState[], readonly PageStep[]>();

export function toPageSteps(steps: readonly StepState[]): readonly PageStep[] {
  const made = known.get(steps);
  if (made) return made;
  const ids = toStepIds(steps.map(({ name }) => name));
  const pageSteps = steps.map((state, index) => ({
    id: ids[index] ?? '',
    title: toOneLine(state.name, MAX_NAME_LENGTH),
    state,
    hasLog: state.startedAt !== undefined && !isSilent(state.phase),
  }));
  known.set(steps, pageSteps);
  return pageSteps;
}

/** Whether nothing of it ever ran; a step that failed without an exit code could not even start. */
function isSilent(phase: StepPhase): boolean {
  const isStillborn = phase.kind === 'failed' && phase.exitCode === undefined;
  return phase.kind === 'pending' || phase.kind === 'skipped' || isStillborn;
}

/** Escaped, for an attribute. */
export function toLogAddress(id: string, sealed: string): string {
  return `${escapeHtml(sealed)}/log?step=${encodeURIComponent(id)}`;
}

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
