import type { StepPhase, StepState } from '../build/index.ts';
import { escapeHtml } from './html.ts';
import { toOneLine } from '../terminal/text.ts';

/** A step as the page shows it. */
export interface PageStep {
  /** Identifies the step in `log?step=<id>`, and its lines as `<id>-L12`. Its element is `step-<id>`. */
  readonly id: string;
  /** The step's name, in one short line. */
  readonly title: string;
  readonly state: StepState;
  /** Whether a log exists, or may exist soon. */
  readonly hasLog: boolean;
  /** Whether the page opens or closes the step when it enters its phase. */
  readonly fold: 'open' | 'close' | 'keep';
}

const MAX_TITLE_LENGTH = 200;
/** A longer id makes an address that nobody can read. */
const MAX_ID_LENGTH = 40;

/** Each reader of each log needs the steps. States are immutable, so their steps are computed once. */
const cache = new WeakMap<readonly StepState[], readonly PageStep[]>();

export function toPageSteps(steps: readonly StepState[]): readonly PageStep[] {
  const cached = cache.get(steps);
  if (cached) return cached;
  const ids = toStepIds(steps.map(({ name }) => name));
  const pageSteps = steps.map((state, index) => ({
    id: ids[index] ?? '',
    title: toOneLine(state.name, MAX_TITLE_LENGTH),
    state,
    hasLog: state.startedAt !== undefined && hasRun(state.phase),
    fold: toFold(state.phase),
  }));
  cache.set(steps, pageSteps);
  return pageSteps;
}

/** A step that failed without an exit code could not start. */
function hasRun(phase: StepPhase): boolean {
  const couldNotStart = phase.kind === 'failed' && phase.exitCode === undefined;
  return phase.kind !== 'pending' && phase.kind !== 'skipped' && !couldNotStart;
}

/** People come for what runs and for what failed. */
function toFold({ kind }: StepPhase): PageStep['fold'] {
  if (kind === 'running' || kind === 'failed' || kind === 'timed-out' || kind === 'lost') return 'open';
  return kind === 'passed' ? 'close' : 'keep';
}

/** Returns the address of a step's raw log, escaped for an attribute. */
export function toLogAddress(id: string, sealed: string): string {
  return `${escapeHtml(sealed)}/log?step=${encodeURIComponent(id)}`;
}

/**
 * Makes a unique id from each step's name: lower-case ASCII letters, digits, `_`, `.` and `-`. The same names always
 * give the same ids. Without capital letters, `<id>-L12` is never the id of a step.
 */
export function toStepIds(names: readonly string[]): string[] {
  const taken = new Set<string>();
  const slugs = names.map(toSlug);
  // A name that is a valid id keeps it, whatever precedes it.
  const own = new Set(slugs.filter((slug, index) => slug === names[index]));
  /** For each slug, the next number to try. */
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
  const slug = toOneLine(name.normalize('NFKD'), MAX_ID_LENGTH)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  return slug === '' ? 'step' : slug;
}
