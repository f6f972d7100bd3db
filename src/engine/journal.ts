import type { BuildPhase, BuildState, Ending, StepPhase, StepState } from '../build/index.ts';
import { isJsonObject, parseJson, readObject, type UnknownObject } from '../json.ts';
import { parseBuildFacts, parseBuildPhase, parseStep, toText } from './journal-values.ts';
import { yieldToEventLoop } from './event-loop.ts';

/**
 * The state of a build, for readers after the process that ran the build has ended. c3 appends lines to
 * `journal.CONTAINER` in the Pod, together with other commands. A line has complete values, each under a key, and the
 * newest value counts. So a line that is repeated, late or lost does little harm. No line repeats data of c3.yaml or
 * of a link, because every program in the Pod can write lines.
 */
export interface Journal {
  /**
   * Returns the commands that record in a container the changes of a state since the last call. The caller sends them
   * before another command.
   */
  toCommands(container: string, state: BuildState): string;
}

/** A line of the journal: `{"e":7,"n":12,"v":{"step 3":{…}}}`, in ASCII and without a blank. */
interface Entry {
  /** The epoch of the c3 that wrote it. A c3 that resumes a build has a greater one. */
  readonly e: number;
  /** Counts the lines of that c3. */
  readonly n: number;
  readonly v: Readonly<Record<string, unknown>>;
}

/**
 * The limit of the values in one line. A longer value has a line of its own. Few lines are faster: a shell opens the
 * file for each line.
 */
const LINE_BYTES = 1000;

/**
 * The limit of a container's journal: enough for a hundred steps with twenty attempts each. Beyond it c3 records only
 * the ending. A shell writes a few megabytes a second, so a longer journal would delay the build.
 */
const MAX_NOTED_BYTES = 1024 * 1024;

/** The limit of a read. It covers the journals of several containers, because they may share a directory. */
const MAX_READ_BYTES = 8 * MAX_NOTED_BYTES;

/**
 * Lines that are parsed before the event loop runs other work. A tenant can write lines with hundreds of values
 * (A12).
 */
const LINES_A_TURN = 16;

/** No honest build has more warnings. */
const MAX_WARNINGS = 20;

export function createJournal({ buildId, epoch }: { readonly buildId: string; readonly epoch: number }): Journal {
  const containers = new Map<string, { readonly noted: Map<string, string>; bytes: number }>();
  let count = 0;
  return {
    toCommands(container, state): string {
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

/** Puts as many values into a line as fit. */
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

/**
 * Lists the values of a state that the journal records, by key. Readers get names and containers of steps from
 * c3.yaml.
 */
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
  // The ending is last, so that a reader that has it has all values.
  yield [
    'phase',
    { phase: phase.kind === 'ended' ? { ...phase, ending: toShort(phase.ending) } : toShort(phase), endedAt },
  ];
}

/**
 * Shortens texts so that they fit into a line. Leaves out lists: the steps have the names, and c3.yaml has the
 * problems.
 */
function toShort(value: BuildPhase | Ending | StepPhase): object {
  const parts = Object.entries(value).filter(([, part]) => !Array.isArray(part));
  return Object.fromEntries(
    parts.map(([key, part]: [string, unknown]) => [key, typeof part === 'string' ? toText(part) : part]),
  );
}

/**
 * Formats a value without blanks and line ends, which separate words and commands, and in ASCII, since some shells
 * change other bytes.
 */
function toAscii(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^!-~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Reads the state from journals. `lines` come from one or several containers, in any order. Every program in the Pod
 * can write them, so invalid values are ignored.
 *
 * @param known the state from c3.yaml and the link, which no journal may change; its steps have not started
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

/**
 * Sorts entries by the order in which c3 wrote them. Their values are parsed later, one by one, because all values
 * together need 20 times the memory.
 */
function sortEntries(lines: readonly string[]): readonly (Omit<Entry, 'v'> & { readonly text: string })[] {
  const entries: { e: number; n: number; text: string }[] = [];
  let left = MAX_READ_BYTES;
  for (const line of lines) {
    left -= line.length;
    if (left < 0) break;
    // On a full disk a line may be cut, and the next one follows it directly.
    const text = line.slice(Math.max(0, line.lastIndexOf('{"e":')));
    const [, e, n] = /^\{"e":(\d{1,15}),"n":(\d{1,15}),/.exec(text) ?? [];
    if (n !== undefined) entries.push({ e: Number(e), n: Number(n), text });
  }
  return entries.toSorted((one, other) => one.e - other.e || one.n - other.n);
}

function parseValues(text: string): UnknownObject | undefined {
  const values = readObject(parseJson(text))['v'];
  return isJsonObject(values) ? values : undefined;
}

function withFacts(state: BuildState, kind: string, value: unknown): BuildState {
  if (kind === 'phase') return { ...state, ...parseBuildPhase(value) };
  const { startedAt, commit, ...facts } = parseBuildFacts(kind, value);
  return {
    ...state,
    ...facts,
    ...(commit === undefined ? {} : { build: { ...state.build, commit } }),
    // A c3 that resumed the build started later.
    startedAt: Math.min(state.startedAt, startedAt ?? Number.POSITIVE_INFINITY),
  };
}

function withStep(state: BuildState, index: number, value: unknown): BuildState {
  const before = state.steps[index];
  const told = before && parseStep(value);
  if (!told) return state;
  return { ...state, steps: state.steps.with(index, { ...before, ...told, ...keepTimes(before, told) }) };
}

/** Keeps the first times of a step: a c3 that resumes a build reports what ran before as if it ran now. */
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
