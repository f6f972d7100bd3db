import { C3Error } from '../../errors.ts';
import { suggest, type Pipeline, type Stage, type Step } from '../../pipeline/index.ts';

/**
 * The pipeline with the steps of these names alone, in its own order. Those of `finally` are steps like the others.
 *
 * @throws {C3Error} USAGE_INVALID naming the first name that no step has
 */
export function chooseSteps(pipeline: Pipeline, names: readonly string[]): Pipeline {
  if (names.length === 0) return pipeline;
  const stages = [...pipeline.steps, ...pipeline.finally];
  const known = new Set(stages.flatMap(stepsOf).map(({ name }) => name));
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined) {
    const near = suggest(unknown, known);
    throw new C3Error('USAGE_INVALID', `No step is called "${unknown}"`, {
      hint:
        near === undefined
          ? `the steps are ${[...known].map((name) => `"${name}"`).join(', ')}`
          : `did you mean "${near}"?`,
    });
  }
  const [first, ...rest] = choose(pipeline.steps, names);
  const last = choose(pipeline.finally, names);
  // A pipeline has at least one step: where only steps of `finally` are chosen, they are the steps.
  if (first) return { ...pipeline, steps: [first, ...rest], finally: last };
  const [lastFirst, ...lastRest] = last;
  return lastFirst ? { ...pipeline, steps: [lastFirst, ...lastRest], finally: [] } : pipeline;
}

function choose(stages: readonly Stage[], names: readonly string[]): Stage[] {
  return stages.flatMap((stage): Stage[] => {
    const [first, ...rest] = stepsOf(stage).filter(({ name }) => names.includes(name));
    if (!first) return [];
    return [rest.length === 0 ? { kind: 'step', step: first } : { kind: 'parallel', steps: [first, ...rest] }];
  });
}

function stepsOf(stage: Stage): readonly Step[] {
  return stage.kind === 'step' ? [stage.step] : stage.steps;
}
