import type { Stage, Step } from './pipeline.ts';

export function stepsOf(stage: Stage): readonly Step[] {
  return stage.kind === 'step' ? [stage.step] : stage.steps;
}
