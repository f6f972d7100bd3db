import { createMatcher } from './match.ts';
import { stepsOf } from './stage.ts';
import type { Condition, EventKind, Pipeline, Stage, Step } from './pipeline.ts';

/** What a condition is asked about. */
export interface PipelineEvent {
  readonly kind: EventKind;
  /** Without `refs/heads/`; of a push. */
  readonly branch?: string;
  /** Without `refs/tags/`; of a tag. */
  readonly tag?: string;
  /** What the push changed, from the root of the repository. Undefined: not known; a condition on paths then holds. */
  readonly paths?: readonly string[];
}

/** What of a pipeline runs for an event. */
export type Plan =
  /** `reason` is a clause: `branch "dev" does not match when.branch`. */
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'run'; readonly steps: readonly PlannedStage[]; readonly finally: readonly PlannedStage[] };

/** One step, or several that start together. None is left out: those that do not run are `skipped`. */
export interface PlannedStage {
  readonly steps: readonly PlannedStep[];
}

export interface PlannedStep {
  readonly step: Step;
  /** Why `when` leaves it out; a clause as {@link Plan}'s. */
  readonly skipped?: string;
  /** After what it runs: when all steps so far passed (`success`), when one failed that may not (`failure`), or both. */
  readonly runsAfter: readonly ('success' | 'failure')[];
}

/**
 * Characters of all path globs times those of all changed paths, beyond which the paths count as not known: a match costs no
 * more than that, and what a stranger's file and push may cost must end somewhere (about a second).
 */
const MAX_PATH_WORK = 10_000_000;

/** Decides every condition but `status`, which only the run can. Pure. */
export function planPipeline(pipeline: Pipeline, event: PipelineEvent): Plan {
  const known = boundPaths(pipeline, event);
  const reason = findReason(pipeline.when, known);
  if (reason !== undefined) return { kind: 'skipped', reason };
  const steps = pipeline.steps.map((stage) => planStage(stage, known, ['success']));
  const canStart = steps.flatMap((stage) => stage.steps).some(isFirst);
  if (!canStart) return { kind: 'skipped', reason: 'no step runs for this event' };
  return {
    kind: 'run',
    steps,
    finally: pipeline.finally.map((stage) => planStage(stage, known, ['success', 'failure'])),
  };
}

/** Whether a condition asks for changed paths, so that they are worth a request to the forge. */
export function needsPaths(pipeline: Pipeline): boolean {
  return findConditions(pipeline).some((condition) => condition.path !== undefined);
}

/** Something must run while nothing has failed yet, or nothing ever does. */
function isFirst({ skipped, runsAfter }: PlannedStep): boolean {
  return skipped === undefined && runsAfter.includes('success');
}

function planStage(stage: Stage, event: PipelineEvent, runsAfter: PlannedStep['runsAfter']): PlannedStage {
  return {
    steps: stepsOf(stage).map((step) => {
      const skipped = findReason(step.when, event);
      return {
        step,
        ...(skipped === undefined ? {} : { skipped }),
        runsAfter: step.when?.status ?? runsAfter,
      };
    }),
  };
}

/** Why the condition does not hold, or undefined when it does. */
function findReason(condition: Condition | undefined, event: PipelineEvent): string | undefined {
  if (condition === undefined) return undefined;
  const kinds = toEventKinds(condition);
  if (!kinds.includes(event.kind)) {
    const actual = event.kind === 'tag' ? 'a tag' : 'a push to a branch';
    return condition.event === undefined
      ? `${actual} does not match when.${event.kind === 'tag' ? 'branch' : 'tag'}`
      : `${actual} does not match when.event`;
  }
  const { branch, tag, path } = condition;
  if (event.kind === 'push' && branch !== undefined && !createMatcher(branch)(event.branch ?? '')) {
    return `branch ${JSON.stringify(event.branch ?? '')} does not match when.branch`;
  }
  if (event.kind === 'tag' && tag !== undefined && !createMatcher(tag)(event.tag ?? '')) {
    return `tag ${JSON.stringify(event.tag ?? '')} does not match when.tag`;
  }
  if (path !== undefined && event.paths !== undefined && !event.paths.some(createMatcher(path))) {
    return 'no changed path matches when.path';
  }
  return undefined;
}

/** Who names only branches means pushes, who names only tags means tags. */
function toEventKinds({ event, branch, tag }: Condition): readonly EventKind[] {
  if (event !== undefined) return event;
  if ((branch === undefined) === (tag === undefined)) return ['push', 'tag'];
  return branch === undefined ? ['tag'] : ['push'];
}

function boundPaths(pipeline: Pipeline, event: PipelineEvent): PipelineEvent {
  if (event.paths === undefined) return event;
  const globs = findConditions(pipeline).flatMap((condition) => condition.path ?? []);
  if (countCharacters(globs) * countCharacters(event.paths) <= MAX_PATH_WORK) return event;
  const { paths: _paths, ...rest } = event;
  return rest;
}

function countCharacters(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.length, 0);
}

function findConditions(pipeline: Pipeline): readonly Condition[] {
  const steps = [...pipeline.steps, ...pipeline.finally].flatMap(stepsOf);
  return [pipeline.when, ...steps.map((step) => step.when)].filter((condition) => condition !== undefined);
}
