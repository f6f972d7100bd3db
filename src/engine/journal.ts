import type { BuildPhase, BuildState, Ending, StepPhase, StepState } from '../build/index.ts';
import { isJsonObject, parseJson, readInteger, readObject, readString } from '../json.ts';
import { yieldToEventLoop } from '../limiter.ts';
import { MAC_LENGTH, type Macs } from './macs.ts';

/**
 * The state of a build, for readers after the process that ran the build has ended. c3 appends lines to
 * `journal.CONTAINER` in the Pod, together with other commands. A line has complete values, each under a key, and the
 * newest value counts. So a line that is repeated, late or lost does little harm. Every program in the Pod can write and
 * delete lines. So each line has a MAC (threat model A3), and no line repeats data of c3.yaml or of a link.
 *
 * A line is in ASCII, without a blank: `{"e":7,"n":12,"v":{"step 3":{…}}}` and its MAC. `e` is the epoch of the c3 that
 * wrote it: a c3 that resumes a build has a greater one. `n` counts the lines of that c3.
 */
export interface Journal {
  /**
   * Returns the commands that record in a container the changes of a state since the last call. The caller sends them
   * before another command.
   */
  toCommands(container: string, state: BuildState): string;
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

/** Lines that are checked or parsed before other work runs. A tenant can write many lines and values (A12). */
const LINES_A_TURN = 16;

/** No honest build has more warnings. */
const MAX_WARNINGS = 20;

/** For a text in a line. The longest line has two texts and a name, and the agent sends 4000 bytes at most. */
const MAX_TEXT_BYTES = 1200;

/** c3.yaml allows far fewer. */
const MAX_ATTEMPT = 10_000;

/** The latest time of a Date, in epoch milliseconds. @see https://tc39.es/ecma262/#sec-time-values-and-time-range */
const MAX_TIME = 8.64e15;

export interface JournalOptions {
  readonly buildId: string;
  readonly epoch: number;
  readonly toMac: Macs['ofEntry'];
}

export function createJournal({ buildId, epoch, toMac }: JournalOptions): Journal {
  const containers = new Map<string, { readonly noted: Map<string, string>; bytes: number }>();
  let count = 0;
  return {
    toCommands(container, state): string {
      const kept = containers.get(container) ?? { noted: new Map<string, string>(), bytes: 0 };
      containers.set(container, kept);
      if (kept.bytes > MAX_NOTED_BYTES && state.phase.kind !== 'ended') return '';
      const lines: Record<string, unknown>[] = [];
      let line: Record<string, unknown> = {};
      let left = 0;
      for (const [key, value] of listValues(state)) {
        const text = toAscii(value);
        if (kept.noted.get(key) === text) continue;
        kept.noted.set(key, text);
        // As many values as fit go into one line.
        const bytes = key.length + text.length;
        if (bytes > left) {
          line = {};
          lines.push(line);
          left = LINE_BYTES;
        }
        line[key] = value;
        left -= bytes;
      }
      const texts = lines.map((v) => toAscii({ e: epoch, n: (count += 1), v }));
      const commands = texts.map((text) => `note ${buildId} ${text}${toMac(text)}\n`).join('');
      kept.bytes += commands.length;
      return commands;
    },
  };
}

/** Lists the recorded values of a state, by key. Readers get names and containers of steps from c3.yaml. */
function* listValues(state: BuildState): Generator<readonly [key: string, value: unknown]> {
  const { build, startedAt, isWarm, previous } = state;
  yield ['build', { startedAt, isWarm, previous }];
  yield ['commit', { subject: toText(build.commit.subject), author: toText(build.commit.author) }];
  for (const [index, warning] of state.warnings.slice(0, MAX_WARNINGS).entries())
    yield [`warning ${index}`, toText(warning)];
  for (const [index, step] of state.steps.entries()) {
    const noted = toNotedStep(step);
    if (noted) yield [`step ${index}`, noted];
  }
  // The ending is last, so that a reader that has it has all values.
  yield ['phase', toNotedPhase(state)];
}

/** Formats a value in ASCII, since some shells change other bytes, and without blanks, which separate words. */
function toAscii(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^!-~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Reads the state from journals. `lines` come from one or several containers, in any order. Lines with an invalid MAC
 * are ignored. So are invalid values: the owner of the kubeconfig can compute a MAC.
 *
 * @param known the state from c3.yaml and the link, which no journal may change; its steps have not started
 * @returns undefined when there is nothing
 */
export async function readJournal(
  lines: readonly string[],
  known: BuildState,
  { toMac }: Pick<JournalOptions, 'toMac'>,
): Promise<BuildState | undefined> {
  let state = known;
  let isTold = false;
  const warnings: string[] = [];
  for (const [count, text] of (await sortEntries(lines, toMac)).entries()) {
    if (count % LINES_A_TURN === 0) await yieldToEventLoop();
    const values = readObject(parseJson(text))['v'];
    isTold ||= isJsonObject(values);
    for (const [key, value] of Object.entries(readObject(values))) {
      const [kind = '', number] = key.split(' ');
      const index = Number(number);
      if (kind !== 'warning') state = withValue(state, { kind, index, value });
      else if (index < MAX_WARNINGS && typeof value === 'string') warnings[index] = toText(value);
    }
  }
  if (!isTold) return undefined;
  return withAllowed({ ...state, warnings: warnings.filter((warning) => warning !== undefined) });
}

/**
 * Drops the lines without a valid MAC, and sorts the others by the order in which c3 wrote them. Their values are parsed
 * later, one by one, because all values together need 20 times the memory.
 */
async function sortEntries(lines: readonly string[], toMac: JournalOptions['toMac']): Promise<readonly string[]> {
  const entries: { e: number; n: number; text: string }[] = [];
  let left = MAX_READ_BYTES;
  for (const [count, line] of lines.entries()) {
    if (count % LINES_A_TURN === 0) await yieldToEventLoop();
    left -= line.length;
    if (left < 0) break;
    // On a full disk a line may be cut, and the next one follows it directly.
    const text = line.slice(Math.max(0, line.lastIndexOf('{"e":')), -MAC_LENGTH);
    const [, e, n] = /^\{"e":(\d{1,15}),"n":(\d{1,15}),/.exec(text) ?? [];
    if (n !== undefined && line.endsWith(toMac(text))) entries.push({ e: Number(e), n: Number(n), text });
  }
  return entries.toSorted((one, other) => one.e - other.e || one.n - other.n).map(({ text }) => text);
}

function withValue(
  state: BuildState,
  { kind, index, value }: { readonly kind: string; readonly index: number; readonly value: unknown },
): BuildState {
  const { startedAt, isWarm, previous, subject, author } = readObject(value);
  switch (kind) {
    case 'build':
      return {
        ...state,
        // A c3 that resumed the build started later.
        startedAt: Math.min(state.startedAt, toTime(startedAt) ?? Number.POSITIVE_INFINITY),
        isWarm: typeof isWarm === 'boolean' ? isWarm : undefined,
        previous: previous === 'passed' || previous === 'failed' ? previous : undefined,
      };
    case 'commit':
      return { ...state, build: { ...state.build, commit: { subject: toWords(subject), author: toWords(author) } } };
    case 'phase':
      return { ...state, ...toNotedPhase(value) };
    case 'step': {
      const before = state.steps[index];
      const noted = before && toNotedStep(value);
      if (!noted) return state;
      return { ...state, steps: state.steps.with(index, { ...before, ...noted, ...keepTimes(before, noted) }) };
    }
    default:
      return state;
  }
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
    .filter(({ isAllowed, phase: { kind } }) => isAllowed && (kind === 'failed' || kind === 'timed-out'))
    .map(({ name }) => name);
  return { ...state, phase: { kind: 'ended', ending: { kind: 'passed', allowed } } };
}

/**
 * The fields of each kind, for writing and for reading. A journal has no lists: the steps have the names, and c3.yaml
 * has the problems.
 */
type KindFields<T extends { readonly kind: string }> = {
  readonly [K in T['kind']]: {
    readonly [F in Exclude<keyof Extract<T, { readonly kind: K }>, 'kind' | 'allowed' | 'problems'>]: (
      value: unknown,
    ) => Extract<T, { readonly kind: K }>[F];
  };
};

const MESSAGE = { message: toWords };

const ENDINGS: KindFields<Ending> = {
  passed: {},
  failed: { step: toWords, ...MESSAGE },
  'config-error': MESSAGE,
  // These two have no Pod, so no journal.
  skipped: { ...MESSAGE, by: () => undefined },
  'needs-approval': MESSAGE,
  'timed-out': MESSAGE,
  cancelled: MESSAGE,
  superseded: MESSAGE,
  refused: MESSAGE,
  'infrastructure-error': MESSAGE,
};

const BUILD_PHASES: KindFields<Exclude<BuildPhase, { readonly kind: 'ended' }>> = {
  queued: {},
  preparing: { detail: toWords },
  running: {},
};

/** A step that is pending is not noted. */
const STEP_PHASES: KindFields<Exclude<StepPhase, { readonly kind: 'pending' }>> = {
  running: {},
  passed: {},
  failed: { exitCode: (value) => readInteger(value, { min: 0, max: 255 }) },
  'timed-out': {},
  cancelled: {},
  lost: MESSAGE,
  skipped: { reason: (value) => (typeof value === 'string' ? toText(value) : undefined) },
};

/** Copies the fields of a kind from any value. Returns undefined for an unknown kind. */
function toKind<T extends { readonly kind: string }>(value: unknown, kinds: KindFields<T>): T | undefined {
  const object = readObject(value);
  const kind = readString(object['kind']) ?? '';
  if (!Object.hasOwn(kinds, kind)) return undefined;
  const fields = kinds[kind as T['kind']] as Readonly<Record<string, (value: unknown) => unknown>>;
  return { kind, ...Object.fromEntries(Object.entries(fields).map(([key, to]) => [key, to(object[key])])) } as T;
}

/** Copies what is noted of the phase of a build. Returns nothing when it makes no sense. */
function toNotedPhase(value: unknown): Partial<Pick<BuildState, 'phase' | 'endedAt'>> {
  const fields = readObject(value);
  const { kind, ending } = readObject(fields['phase']);
  const known = kind === 'ended' ? toKind(ending, ENDINGS) : undefined;
  const phase: BuildPhase | undefined = known
    ? { kind: 'ended', ending: known }
    : toKind(fields['phase'], BUILD_PHASES);
  return phase ? { phase, endedAt: toTime(fields['endedAt']) } : {};
}

/** Copies what is noted of a step. Returns undefined when it makes no sense. */
function toNotedStep(value: unknown): Pick<StepState, 'phase' | 'attempt' | 'startedAt' | 'endedAt'> | undefined {
  const fields = readObject(value);
  const phase = toKind(fields['phase'], STEP_PHASES);
  const attempt = readInteger(fields['attempt'], { min: 1, max: MAX_ATTEMPT });
  if (!phase || attempt === undefined) return undefined;
  return { phase, attempt, startedAt: toTime(fields['startedAt']), endedAt: toTime(fields['endedAt']) };
}

/** Cuts a text to what fits into a line of a journal. */
function toText(text: string): string {
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += /[!#-[\]-~]/.test(character) ? 1 : 6 * character.length;
    if (bytes > MAX_TEXT_BYTES) return `${text.slice(0, end)}…`;
    end += character.length;
  }
  return text;
}

function toWords(value: unknown): string {
  return toText(readString(value) ?? '');
}

function toTime(value: unknown): number | undefined {
  return readInteger(value, { min: 0, max: MAX_TIME });
}
