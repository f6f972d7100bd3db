import type { BuildPhase, BuildState, Ending, StepPhase, StepState } from '../build/index.ts';
import { parseBuildFacts, parseBuildPhase, parseStep, toText } from './journal-values.ts';
import { yieldToEventLoop } from './event-loop.ts';

/**
 * The state of a build for whoever looks when no process leads it any more: lines that c3 has appended to `journal.CONTAINER` in the
 * Pod, with what it sends there anyway. A line has values, whole, each under a key: the newest counts, so that lines which come
 * twice, late or never change little. What c3.yaml and a link tell of a build is in none: whoever is in the Pod could write it.
 */
export interface Journal {
  /** Commands for an agent into a container, to go before another command: what is not noted there yet of a state. Empty: nothing. */
  take(container: string, state: BuildState): string;
}

/** A line of it: `{"e":7,"n":12,"v":{"step 3":{…}}}`, in ASCII and without a blank. */
interface Entry {
  /** Epoch of the c3 that wrote it: who took the build up again has the greater one. */
  readonly e: number;
  /** Counts the lines of that c3. */
  readonly n: number;
  readonly v: Readonly<Record<string, unknown>>;
}

/** Of what one line has; a longer value has one alone. A shell opens the file for each line, and reads each byte by itself. */
const LINE_BYTES = 1000;

/**
 * In one container: a hundred steps, each tried twenty times. Beyond it only the end is noted: a shell reads and writes some
 * megabytes a second, and that is the time of the build.
 */
const MAX_NOTED_BYTES = 1024 * 1024;

/** Of what is read: some containers' worth, since they may share a directory. */
const MAX_READ_BYTES = 8 * MAX_NOTED_BYTES;

/** Lines that are read in a turn of the event loop: what is read may not be ours, and a line may have some hundred values. */
const LINES_A_TURN = 16;

/** A build has more than so many warnings only to annoy. */
const MAX_WARNINGS = 20;

export function createJournal({ buildId, epoch }: { readonly buildId: string; readonly epoch: number }): Journal {
  const containers = new Map<string, { readonly noted: Map<string, string>; bytes: number }>();
  let count = 0;
  return {
    take(container, state): string {
      const kept = containers.get(container) ?? { noted: new Map<string, string>(), bytes: 0 };
      containers.set(container, kept);
      if (kept.bytes > MAX_NOTED_BYTES && state.phase.kind !== 'ended') return '';
      const changed: [key: string, value: unknown, bytes: number][] = [];
      for (const [key, value] of listValues(state)) {
        const text = toAscii(value);
        if (kept.noted.get(key) !== text) changed.push([key, value, key.length + text.length]);
        kept.noted.set(key, text);
      }
      const lines = toLines(changed).map((v): Entry => ({ e: epoch, n: (count += 1), v }));
      const commands = lines.map((entry) => `note ${buildId} ${toAscii(entry)}\n`).join('');
      kept.bytes += commands.length;
      return commands;
    },
  };
}

/** As many values together as a line may have. */
function toLines(
  values: readonly (readonly [key: string, value: unknown, bytes: number])[],
): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  let left = 0;
  for (const [key, value, bytes] of values) {
    const line = lines.at(-1);
    if (line && bytes <= left) line[key] = value;
    else lines.push({ [key]: value });
    left = (line && bytes <= left ? left : LINE_BYTES) - bytes;
  }
  return lines;
}

/** What is noted of a state, by key. Who reads it has the steps' names and places from c3.yaml. */
function* listValues(state: BuildState): Generator<readonly [key: string, value: unknown]> {
  const { build, phase, endedAt } = state;
  yield ['build', { startedAt: state.startedAt, isWarm: state.isWarm, previous: state.previous }];
  yield ['commit', { subject: toText(build.commit.subject), author: toText(build.commit.author) }];
  for (const [index, warning] of state.warnings.slice(0, MAX_WARNINGS).entries())
    yield [`warning ${index}`, toText(warning)];
  for (const [index, step] of state.steps.entries()) {
    const { attempt, startedAt } = step;
    if (step.phase.kind === 'pending') continue;
    yield [`step ${index}`, { phase: toShort(step.phase), attempt, startedAt, endedAt: step.endedAt }];
  }
  // Last, so that whoever has the end has all.
  yield [
    'phase',
    { phase: phase.kind === 'ended' ? { ...phase, ending: toShort(phase.ending) } : toShort(phase), endedAt },
  ];
}

/** Shortens texts so that they fit into a line. Leaves out lists: the steps have the names, and c3.yaml has the problems. */
function toShort(value: BuildPhase | Ending | StepPhase): object {
  const parts = Object.entries(value).filter(([, part]) => !Array.isArray(part));
  return Object.fromEntries(
    parts.map(([key, part]: [string, unknown]) => [key, typeof part === 'string' ? toText(part) : part]),
  );
}

/** A shell cuts at blanks and ends at a line's end; some of them change bytes beyond ASCII. */
function toAscii(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^!-~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * The state that journals tell. `lines` of one container or several, in any order, written by whoever was in the Pod: what makes no
 * sense is passed over.
 *
 * @param known what c3.yaml and the link say, which no journal may change; the steps are as before their start
 * @returns undefined when there is nothing
 */
export async function readJournal(lines: readonly string[], known: BuildState): Promise<BuildState | undefined> {
  let state = known;
  let isTold = false;
  const warnings: string[] = [];
  for (const [count, { text }] of sortEntries(lines).entries()) {
    if (count % LINES_A_TURN === 0) await yieldToEventLoop();
    const values = parseValues(text);
    isTold ||= values !== undefined;
    for (const [key, value] of Object.entries(values ?? {})) {
      const [kind, number] = key.split(' ');
      const index = Number(number);
      if (kind === 'step') state = withStep(state, index, value);
      else if (kind === 'warning' && index < MAX_WARNINGS && typeof value === 'string') warnings[index] = toText(value);
      else state = withFacts(state, key, value);
    }
  }
  if (!isTold) return undefined;
  return withAllowed({ ...state, warnings: warnings.filter((warning) => warning !== undefined) });
}

/** In the order in which they were meant. Their values are parsed one by one: those of all at once could take twenty times the room. */
function sortEntries(lines: readonly string[]): readonly (Omit<Entry, 'v'> & { readonly text: string })[] {
  const entries: { e: number; n: number; text: string }[] = [];
  let left = MAX_READ_BYTES;
  for (const line of lines) {
    left -= line.length;
    if (left < 0) break;
    // What a full disk has cut stands before what came next.
    const text = line.slice(Math.max(0, line.lastIndexOf('{"e":')));
    const [, e, n] = /^\{"e":(\d{1,15}),"n":(\d{1,15}),/.exec(text) ?? [];
    if (n !== undefined) entries.push({ e: Number(e), n: Number(n), text });
  }
  return entries.toSorted((one, other) => one.e - other.e || one.n - other.n);
}

function parseValues(text: string): object | undefined {
  try {
    const { v } = JSON.parse(text) as Partial<Entry>;
    return typeof v === 'object' && v !== null ? v : undefined;
  } catch {
    return undefined;
  }
}

function withFacts(state: BuildState, kind: string, value: unknown): BuildState {
  if (kind === 'phase') return { ...state, ...parseBuildPhase(value) };
  const { startedAt, commit, ...facts } = parseBuildFacts(kind, value);
  return {
    ...state,
    ...facts,
    ...(commit === undefined ? {} : { build: { ...state.build, commit } }),
    // Who took the build up again began later.
    startedAt: Math.min(state.startedAt, startedAt ?? Number.POSITIVE_INFINITY),
  };
}

function withStep(state: BuildState, index: number, value: unknown): BuildState {
  const before = state.steps[index];
  const told = before && parseStep(value);
  if (!told) return state;
  return { ...state, steps: state.steps.with(index, { ...before, ...told, ...keepTimes(before, told) }) };
}

/** Who takes a build up again comes upon what ran before as if it ran now: the first times are true. */
function keepTimes(before: StepState, now: Pick<StepState, 'phase' | 'attempt'>): Partial<StepState> {
  if (before.attempt !== now.attempt || before.startedAt === undefined) return {};
  const isSameEnd = before.endedAt !== undefined && before.phase.kind === now.phase.kind;
  return isSameEnd ? { startedAt: before.startedAt, endedAt: before.endedAt } : { startedAt: before.startedAt };
}

function withAllowed(state: BuildState): BuildState {
  if (state.phase.kind !== 'ended' || state.phase.ending.kind !== 'passed') return state;
  const allowed = state.steps
    .filter(({ isAllowed, phase }) => isAllowed && isFailure(phase.kind))
    .map(({ name }) => name);
  return { ...state, phase: { kind: 'ended', ending: { kind: 'passed', allowed } } };
}

function isFailure(kind: StepState['phase']['kind']): boolean {
  return kind === 'failed' || kind === 'timed-out';
}
