import type { BuildState } from '../build/index.ts';
import { parseExitNote, toProvenResult, type PartReader, type FileLines } from '../agent/index.ts';
import { readJournal } from './journal.ts';
import type { Macs } from './macs.ts';
import { toStepId } from './tasks.ts';
import { toPhase } from './verdict.ts';

export type NotedState =
  | { readonly kind: 'found'; readonly state: BuildState }
  /** The Pod has nothing of the build. */
  | { readonly kind: 'none' }
  /** The Pod cannot be read. */
  | { readonly kind: 'failed'; readonly message: string };

/**
 * Reads the state of a build from the journals in its Pod. When the build has ended, one container has all of it.
 * Else each container that was used may have something that the others do not have. What has no valid MAC is not
 * believed.
 *
 * @param known as for {@link readJournal}
 */
export async function readNotedState(
  reader: PartReader,
  known: BuildState,
  { macs }: { readonly macs: Macs },
): Promise<NotedState> {
  const [first = '', ...rest] = new Set(known.steps.map(({ container }) => container));
  const journals = [await readContainer(reader, first)];
  const state = await toState(journals, known, macs);
  if (state?.phase.kind === 'ended') return { kind: 'found', state };
  journals.push(...(await Promise.all(rest.map(async (container) => await readContainer(reader, container)))));
  const whole = await toState(journals, known, macs);
  if (whole) return { kind: 'found', state: await withExits(reader, whole, macs) };
  const message = journals.find(({ failure }) => failure !== undefined)?.failure;
  return message === undefined ? { kind: 'none' } : { kind: 'failed', message };
}

/** Adds the ends of steps that ended after the last note. */
async function withExits(reader: PartReader, state: BuildState, macs: Macs): Promise<BuildState> {
  if (state.phase.kind === 'ended') return state;
  const steps = state.steps.map(async (step, index) => {
    if (step.phase.kind !== 'running') return step;
    const stepId = toStepId(index, step.attempt);
    const told = await reader.readFiles(step.container, `${stepId}.exit`);
    const note = told.kind === 'answered' ? parseExitNote(told.value.lines[0] ?? '') : undefined;
    return note ? { ...step, phase: toPhase(toProvenResult(note, macs.ofStep(stepId))) } : step;
  });
  return { ...state, steps: await Promise.all(steps) };
}

interface ContainerJournal extends FileLines {
  /** Why the container could not be read. */
  readonly failure?: string;
}

async function readContainer(reader: PartReader, container: string): Promise<ContainerJournal> {
  const told = await reader.readFiles(container, 'journal.');
  if (told.kind === 'answered') return told.value;
  return { begunAtMs: 0, lines: [], ...(told.isShellMissing ? {} : { failure: told.message }) };
}

/** Returns undefined when the build was never in the containers, or is not there any more. */
async function toState(
  journals: readonly ContainerJournal[],
  known: BuildState,
  macs: Macs,
): Promise<BuildState | undefined> {
  const begun = journals.filter(({ begunAtMs }) => begunAtMs !== 0);
  if (begun.length === 0) return undefined;
  const state = { ...known, startedAt: Math.min(...begun.map(({ begunAtMs }) => begunAtMs)) };
  const lines = begun.flatMap((journal) => journal.lines);
  return (await readJournal(lines, state, { toMac: macs.ofEntry })) ?? state;
}
