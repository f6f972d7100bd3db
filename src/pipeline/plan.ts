import type { Build, EventKind } from '../build/index.ts';
import type { Work } from './glob.ts';
import { createMatcher } from './glob.ts';
import type { Condition, Pipeline, Stage, Step } from './pipeline.ts';
import { EVENTS } from './step-language.ts';

/** The event that conditions are checked against. */
export interface PipelineEvent extends Pick<Build, 'event' | 'ref' | 'pull'> {
  /**
   * The paths that the push or the pull request changed, from the root of the repository. Undefined: unknown; every condition on paths
   * holds.
   */
  readonly paths?: readonly string[];
}

/** The part of a pipeline that runs for an event. */
export type Plan =
  /** `reason` is a clause: `branch "dev" does not match when.branch`. `by: 'paths'`: it would run for other paths. */
  | { readonly kind: 'skipped'; readonly reason: string; readonly by: 'event' | 'paths' }
  | { readonly kind: 'run'; readonly steps: readonly PlannedStage[]; readonly finally: readonly PlannedStage[] };

/** One step, or several that start together. Includes the steps that do not run: they are `skipped`. */
export interface PlannedStage {
  readonly steps: readonly PlannedStep[];
}

export interface PlannedStep {
  readonly step: Step;
  /** Why its condition does not hold; a clause like the reason of a {@link Plan}. */
  readonly skipped?: string;
  /**
   * Runs when all earlier steps passed (`success`), when one failed that is not allowed to (`failure`), or for both.
   */
  readonly runsAfter: readonly ('success' | 'failure')[];
}

/**
 * Limits the work of all globs of a file to about 20 ms, in which other builds wait. The reader limits the globs for
 * branches and tags to half of this for a name of 255 characters. A push can change any number of paths: when the
 * work is used up, they count as unknown.
 */
export const MAX_WORK = 2_000_000;

/** Evaluates every condition except `status`, which depends on the run. Pure. */
export function planPipeline(pipeline: Pipeline, event: PipelineEvent, work: Work = { left: MAX_WORK }): Plan {
  const { ref, pull } = event;
  const facts: Facts = { ...event, matchesName: createListMatcher([pull?.base ?? ref.name], work) };
  const plan = planFor(pipeline, facts);
  if (work.left < 0)
    return {
      kind: 'skipped',
      reason: `the name of the ${ref.kind === 'tag' ? 'tag' : 'branch'} is too long for the globs`,
      by: 'event',
    };
  if (event.paths === undefined || plan.kind === 'skipped') return plan;
  const exact = planFor(pipeline, { ...facts, matchesPath: createListMatcher(event.paths, work) });
  if (work.left < 0 || exact.kind === 'run') return work.left < 0 ? plan : exact;
  // Without its paths, the event has a plan.
  return { kind: 'skipped', reason: 'nothing to do for these paths', by: 'paths' };
}

/** Returns whether a condition needs the changed paths, which cost a request to the forge. */
export function needsPaths(pipeline: Pipeline): boolean {
  const steps = [...pipeline.steps, ...pipeline.finally].flatMap(stepsOf);
  return [pipeline.when, ...steps.map((step) => step.when)].some((condition) => condition?.path !== undefined);
}

export function stepsOf(stage: Stage): readonly Step[] {
  return stage.kind === 'step' ? [stage.step] : stage.steps;
}

/** An event, and which globs match it. */
interface Facts extends Pick<Build, 'event' | 'ref' | 'pull'> {
  /** Matches the name of the ref, or of a pull request's base. */
  matchesName(globs: readonly string[]): boolean;
  /** Undefined: the paths are unknown. */
  matchesPath?(globs: readonly string[]): boolean;
}

/**
 * Matches lists of globs against any of the texts. Returns false when no work is left. Equal lists cost once, however
 * many conditions have them: aliases can repeat one list a thousand times.
 */
function createListMatcher(texts: readonly string[], work: Work): (globs: readonly string[]) => boolean {
  const results = new Map<string, boolean>();
  return (globs) => {
    const key = JSON.stringify(globs);
    const known = results.get(key);
    if (known !== undefined || work.left < 0) return known ?? false;
    const matches = createMatcher(globs, work);
    const result = texts.some((text) => work.left >= 0 && matches(text));
    results.set(key, result);
    return result;
  };
}

function planFor(pipeline: Pipeline, facts: Facts): Plan {
  const reason = findReason(pipeline.when ?? {}, facts, ['push', 'tag']);
  if (reason !== undefined) return { kind: 'skipped', reason, by: 'event' };
  const steps = pipeline.steps.map((stage) => planStage(stage, facts, ['success']));
  // A step must run before the first failure, or there is never a failure to run after.
  const canStart = steps
    .flatMap((stage) => stage.steps)
    .some(({ skipped, runsAfter }) => skipped === undefined && runsAfter.includes('success'));
  if (!canStart) return { kind: 'skipped', reason: 'no step runs for this event', by: 'event' };
  return {
    kind: 'run',
    steps,
    finally: pipeline.finally.map((stage) => planStage(stage, facts, ['success', 'failure'])),
  };
}

function planStage(stage: Stage, facts: Facts, runsAfter: PlannedStep['runsAfter']): PlannedStage {
  return {
    steps: stepsOf(stage).map((step) => {
      const skipped = step.when && findReason(step.when, facts, EVENTS);
      return { step, ...(skipped === undefined ? {} : { skipped }), runsAfter: step.when?.status ?? runsAfter };
    }),
  };
}

const EVENT_WORDS: Readonly<Record<EventKind, string>> = {
  push: 'a push to a branch',
  tag: 'a tag',
  pull_request: 'a pull request',
};

/** The key of a condition with globs for the names of an event. */
const NAME_KEYS = { push: 'branch', tag: 'tag', pull_request: 'base' } as const;

/**
 * Returns why the condition does not hold, or undefined when it holds.
 *
 * @param defaults the events for which a condition holds that names none
 */
function findReason(condition: Condition, facts: Facts, defaults: readonly EventKind[]): string | undefined {
  const { event, ref, pull } = facts;
  const events = toEventKinds(condition, defaults);
  if (!events.includes(event)) {
    const keys = ['event', 'branch', 'tag', 'base', 'draft'] as const;
    const key = keys.find((one) => condition[one] !== undefined) ?? 'event';
    return `${EVENT_WORDS[event]} does not match when.${key}`;
  }
  const key = NAME_KEYS[event];
  const { [key]: names, draft } = condition;
  if (names !== undefined && !facts.matchesName(names)) {
    return `${key === 'tag' ? key : 'branch'} ${JSON.stringify(pull?.base ?? ref.name)} does not match when.${key}`;
  }
  if (pull && draft !== undefined && draft !== pull.isDraft) {
    return `the pull request is ${draft ? 'not a' : 'a'} draft, which does not match when.draft`;
  }
  const isOtherPath = condition.path !== undefined && facts.matchesPath?.(condition.path) === false;
  return isOtherPath ? 'no changed path matches when.path' : undefined;
}

/** A condition with branches means pushes, one with tags means tags, one with a base or a draft means pull requests. */
function toEventKinds(
  { event, branch, tag, base, draft }: Condition,
  defaults: readonly EventKind[],
): readonly EventKind[] {
  if (event !== undefined) return event;
  const meant: EventKind[] = [];
  if (branch !== undefined) meant.push('push');
  if (tag !== undefined) meant.push('tag');
  if (base !== undefined || draft !== undefined) meant.push('pull_request');
  return meant.length === 0 ? defaults : meant;
}
