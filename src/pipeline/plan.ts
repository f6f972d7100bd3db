import type { Build, EventKind } from '../build/index.ts';
import type { Work } from './glob.ts';
import { createMatcher } from './glob.ts';
import type { Condition, Pipeline, Stage, Step } from './pipeline.ts';

/** The event that conditions are checked against. */
export interface PipelineEvent extends Pick<Build, 'event' | 'ref'> {
  /**
   * The paths that the push changed, from the root of the repository. Undefined: unknown; every condition on paths
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
  const { ref } = event;
  const facts: Facts = { ...event, matchesName: createListMatcher([ref.name], work) };
  const plan = planFor(pipeline, facts);
  if (work.left < 0)
    return { kind: 'skipped', reason: `the name of the ${ref.kind} is too long for the globs`, by: 'event' };
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
interface Facts extends Pick<Build, 'event' | 'ref'> {
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
  const reason = findReason(pipeline.when, facts);
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
      const skipped = findReason(step.when, facts);
      return { step, ...(skipped === undefined ? {} : { skipped }), runsAfter: step.when?.status ?? runsAfter };
    }),
  };
}

const EVENT_WORDS: Readonly<Record<EventKind, string>> = { push: 'a push to a branch', tag: 'a tag' };

/** Returns why the condition does not hold, or undefined when it holds. */
function findReason(condition: Condition | undefined, facts: Facts): string | undefined {
  if (condition === undefined) return undefined;
  const { event, ref } = facts;
  if (!toEventKinds(condition).includes(event)) {
    const key = condition.event !== undefined ? 'event' : condition.branch === undefined ? 'tag' : 'branch';
    return `${EVENT_WORDS[event]} does not match when.${key}`;
  }
  const names = condition[ref.kind];
  if (names !== undefined && !facts.matchesName(names)) {
    return `${ref.kind} ${JSON.stringify(ref.name)} does not match when.${ref.kind}`;
  }
  const isOtherPath = condition.path !== undefined && facts.matchesPath?.(condition.path) === false;
  return isOtherPath ? 'no changed path matches when.path' : undefined;
}

/** A condition with only branches means pushes, one with only tags means tags. */
function toEventKinds({ event, branch, tag }: Condition): readonly EventKind[] {
  if (event !== undefined) return event;
  if ((branch === undefined) === (tag === undefined)) return ['push', 'tag'];
  return branch === undefined ? ['tag'] : ['push'];
}
