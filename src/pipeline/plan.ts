import type { Work } from './glob.ts';
import { createListMatcher } from './match.ts';
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
 * What all globs of a file may cost together, about 20 ms: others' builds wait meanwhile. Those of branches and tags take up to
 * half of it, by a limit of their reader's, for a name of 255 characters. Of the paths of a push there may be any number: when
 * nothing is left for them, they count as not known.
 */
const MAX_WORK = 2_000_000;

/** Decides every condition but `status`, which only the run can. Pure. */
export function planPipeline(pipeline: Pipeline, event: PipelineEvent, work: Work = { left: MAX_WORK }): Plan {
  const { kind } = event;
  const name = (kind === 'tag' ? event.tag : event.branch) ?? '';
  const question: Question = { kind, name, matchesName: createListMatcher([name], work) };
  const plan = planFor(pipeline, question);
  if (work.left < 0) return { kind: 'skipped', reason: `the name of the ${toRefKey(kind)} is too long for the globs` };
  if (event.paths === undefined || plan.kind === 'skipped') return plan;
  const exact = planFor(pipeline, { ...question, matchesPath: createListMatcher(event.paths, work) });
  return work.left < 0 ? plan : exact;
}

/** An event, and what of it globs match. */
interface Question {
  readonly kind: EventKind;
  /** Of the branch or tag. */
  readonly name: string;
  matchesName(globs: readonly string[]): boolean;
  /** Undefined: the paths are not known. */
  matchesPath?(globs: readonly string[]): boolean;
}

function planFor(pipeline: Pipeline, question: Question): Plan {
  const reason = findReason(pipeline.when, question);
  if (reason !== undefined) return { kind: 'skipped', reason };
  const steps = pipeline.steps.map((stage) => planStage(stage, question, ['success']));
  const canStart = steps.flatMap((stage) => stage.steps).some(isFirst);
  if (!canStart) return { kind: 'skipped', reason: 'no step runs for this event' };
  return {
    kind: 'run',
    steps,
    finally: pipeline.finally.map((stage) => planStage(stage, question, ['success', 'failure'])),
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

function planStage(stage: Stage, question: Question, runsAfter: PlannedStep['runsAfter']): PlannedStage {
  return {
    steps: stepsOf(stage).map((step) => {
      const skipped = findReason(step.when, question);
      return {
        step,
        ...(skipped === undefined ? {} : { skipped }),
        runsAfter: step.when?.status ?? runsAfter,
      };
    }),
  };
}

/** Why the condition does not hold, or undefined when it does. */
function findReason(condition: Condition | undefined, question: Question): string | undefined {
  if (condition === undefined) return undefined;
  const { kind, name } = question;
  if (!toEventKinds(condition).includes(kind)) {
    const actual = kind === 'tag' ? 'a tag' : 'a push to a branch';
    return condition.event === undefined
      ? `${actual} does not match when.${kind === 'tag' ? 'branch' : 'tag'}`
      : `${actual} does not match when.event`;
  }
  const ref = toRefKey(kind);
  const names = condition[ref];
  if (names !== undefined && !question.matchesName(names)) {
    return `${ref} ${JSON.stringify(name)} does not match when.${ref}`;
  }
  if (condition.path !== undefined && question.matchesPath?.(condition.path) === false) {
    return 'no changed path matches when.path';
  }
  return undefined;
}

function toRefKey(kind: EventKind): 'branch' | 'tag' {
  return kind === 'tag' ? 'tag' : 'branch';
}

/** Who names only branches means pushes, who names only tags means tags. */
function toEventKinds({ event, branch, tag }: Condition): readonly EventKind[] {
  if (event !== undefined) return event;
  if ((branch === undefined) === (tag === undefined)) return ['push', 'tag'];
  return branch === undefined ? ['tag'] : ['push'];
}

function findConditions(pipeline: Pipeline): readonly Condition[] {
  const steps = [...pipeline.steps, ...pipeline.finally].flatMap(stepsOf);
  return [pipeline.when, ...steps.map((step) => step.when)].filter((condition) => condition !== undefined);
}
