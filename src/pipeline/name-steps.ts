import type { Stage, Step } from './pipeline.ts';
import { stepsOf } from './plan.ts';

/** Characters of a command in the name of a step. */
const MAX_COMMAND_LENGTH = 60;

/**
 * Names the steps without a name: after the container, or after the command if several of these steps run in the
 * container.
 */
export function nameSteps(stages: readonly Stage[]): Stage[] {
  const unnamed = stages.flatMap(stepsOf).filter(({ name }) => name === '');
  const counts = new Map<string, number>();
  for (const { container } of unnamed) counts.set(container, (counts.get(container) ?? 0) + 1);
  const toNamed = (step: Step): Step => {
    if (step.name !== '') return step;
    return { ...step, name: counts.get(step.container) === 1 ? step.container : toCommandName(step) };
  };
  return stages.map((stage) => {
    if (stage.kind === 'step') return { kind: 'step', step: toNamed(stage.step) };
    const [first, ...rest] = stage.steps;
    return { kind: 'parallel', steps: [toNamed(first), ...rest.map(toNamed)] };
  });
}

/** Returns the first line of the command that says what it does, with at most {@link MAX_COMMAND_LENGTH} characters. */
function toCommandName({ container, run }: Step): string {
  const lines = run.kind === 'argv' ? [run.argv.join(' ')] : run.text.split(/[\r\n]+/);
  const plain = lines.map((line) => line.replace(/[\p{Cc}\s]+/gu, ' ').trim()).filter((line) => line !== '');
  const line = plain.find((each) => !/^(?:#|set [-+]|set$)/.test(each)) ?? plain[0] ?? container;
  const characters = Array.from(line);
  return characters.length <= MAX_COMMAND_LENGTH ? line : `${characters.slice(0, MAX_COMMAND_LENGTH - 1).join('')}…`;
}
