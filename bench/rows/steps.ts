/** Steps of c3.yaml for the rows. */
export const TRUE_STEP = '- main: "true"';

/** A step that writes the time of its first byte, by the clock of the machine. */
export const STAMP_STEP = '- main: date +%s%N > /c3/stamp';

export function repeat(count: number, toStep: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => toStep(index)).join('\n');
}
