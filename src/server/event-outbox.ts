import { capitalize, describeBuild, type BuildState } from '../build/index.ts';
import type { BuildView, LogLine, LogPosition, LogReading, StepRun } from '../logs/index.ts';
import {
  FIRST_LINE,
  renderEmptySteps,
  renderLines,
  renderPartial,
  renderParts,
  toCutSentence,
  toFailureSentence,
  toIcon,
  toPageSteps,
  toTitle,
  type LogChunk,
  type PageOptions,
} from '../show/index.ts';
import type { BuildFollower } from './follow-build.ts';
import type { LogPositions, StepPosition } from './log-positions.ts';

export interface OutboxEvent {
  readonly name: 'state' | 'log';
  readonly data: object;
  /** How far the browser has the logs once it has this event, and those before it. */
  readonly positions: LogPositions;
}

/** What a `log` event says. */
interface LogEvent {
  /** Of the page. */
  readonly step: string;
  readonly attempt: number;
  /** The log begins: lines that are there go. */
  readonly isFirst: boolean;
  /** Lines, and sentences in the place of lines. */
  readonly pieces: readonly (LogChunk | { readonly note: string })[];
  /** What there is of the next line, as HTML. */
  readonly partial: string;
}

interface Waiting {
  readonly index: number;
  /** Where its lines lead to. */
  position: StepPosition;
  readonly event: { -readonly [Key in keyof LogEvent]: LogEvent[Key] } & { pieces: (LogChunk | { note: string })[] };
}

/** UTF-16 units of HTML: so much is not kept waiting, and no more is read before it is taken. */
const FULL_LENGTH = 64 * 1024;

export interface OutboxOrder {
  readonly order: PageOptions;
  /** What the browser has. */
  readonly known: LogPositions;
  /** Aborts when nobody takes any more. */
  readonly signal: AbortSignal;
}

/** What waits to be sent as events: as much as is read, which is as much as is taken. */
export class Outbox implements BuildFollower {
  readonly #view: BuildView;
  readonly #signal: AbortSignal;
  /** How far the logs are read, and how far they are taken. */
  readonly #read: Map<number, StepPosition>;
  readonly #taken: Map<number, StepPosition>;
  readonly #logs = new Map<string, Waiting>();
  readonly #toStateEvent: (state: BuildState) => object;
  #state: BuildState | undefined;
  #length = 0;
  #filled = createGate();
  #full = createGate();
  #emptied = createGate();

  constructor(view: BuildView, { order, known, signal }: OutboxOrder) {
    this.#view = view;
    this.#signal = signal;
    this.#read = new Map(known);
    this.#taken = new Map(known);
    this.#toStateEvent = createStateEvents(view, order);
    signal.addEventListener('abort', () => this.#emptied.resolve(), { once: true });
  }

  /** Resolves when there is something to take. */
  get filled(): Promise<void> {
    return this.#filled.promise;
  }

  /** Resolves when it should be taken at once. */
  get full(): Promise<void> {
    return this.#full.promise;
  }

  /** Whether every log that was followed was read to its end. */
  get isWhole(): boolean {
    return [...this.#read.values()].every(({ kind }) => kind === 'whole');
  }

  /** Where the reading of a log begins. */
  from(run: StepRun): LogPosition | 'whole' {
    const position = this.#read.get(run.index);
    return position?.kind === 'whole' && position.attempt === run.attempt ? 'whole' : this.#at(run).log;
  }

  /** What came since the last time. */
  take(): readonly OutboxEvent[] {
    const events: OutboxEvent[] = [];
    if (this.#state) {
      events.push({ name: 'state', data: this.#toStateEvent(this.#state), positions: new Map(this.#taken) });
    }
    for (const { index, position, event } of this.#logs.values()) {
      this.#taken.set(index, position);
      events.push({ name: 'log', data: event, positions: new Map(this.#taken) });
    }
    this.#state = undefined;
    this.#logs.clear();
    this.#length = 0;
    this.#emptied.resolve();
    [this.#filled, this.#full, this.#emptied] = [createGate(), createGate(), createGate()];
    return events;
  }

  onState(newest: BuildState): void {
    this.#state = newest;
    this.#filled.resolve();
  }

  onLines(run: StepRun, lines: readonly LogLine[], end: LogPosition): Promise<void> | void {
    if (this.#signal.aborted) return undefined;
    // Another log has filled it, and may do so again.
    if (this.#isFull) return this.#emptied.promise.then(() => this.onLines(run, lines, end));
    const waiting = this.#wait(run);
    const { event } = waiting;
    const rendered = renderLines(lines, { id: event.step, from: this.#at(run).lines });
    event.pieces.push(...rendered.chunks);
    this.#setPartial(event, '');
    this.#advance(waiting, { kind: 'part', attempt: run.attempt, log: end, lines: rendered.end });
    this.#add(rendered.length);
    return this.#isFull ? this.#emptied.promise : undefined;
  }

  onPartial(run: StepRun, text: string): void {
    this.#setPartial(this.#wait(run).event, renderPartial(text, this.#at(run).lines));
  }

  onCut(run: StepRun, bytes: number): void {
    this.#wait(run).event.pieces.push({ note: toCutSentence(bytes) });
  }

  onRead(run: StepRun, reading: LogReading): void {
    if (reading.kind === 'whole') this.#advance(this.#wait(run), { kind: 'whole', attempt: run.attempt });
    if (reading.kind === 'failed') this.#wait(run).event.pieces.push({ note: toFailureSentence(reading.message) });
  }

  #at({ index, attempt }: StepRun): Extract<StepPosition, { kind: 'part' }> {
    const position = this.#read.get(index);
    if (position?.kind === 'part' && position.attempt === attempt) return position;
    return { kind: 'part', attempt, log: { offset: 0, pieces: 0 }, lines: FIRST_LINE };
  }

  #wait(run: StepRun): Waiting {
    const key = `${run.index}.${run.attempt}`;
    const step = toPageSteps(this.#view.state.steps)[run.index]?.id ?? '';
    const position = this.#at(run);
    const waiting = this.#logs.get(key) ?? {
      index: run.index,
      position,
      event: { step, attempt: run.attempt, isFirst: position.lines.line === 0, pieces: [], partial: '' },
    };
    this.#logs.set(key, waiting);
    this.#filled.resolve();
    return waiting;
  }

  get #isFull(): boolean {
    return this.#length >= FULL_LENGTH;
  }

  #setPartial(event: Waiting['event'], html: string): void {
    this.#add(html.length - event.partial.length);
    event.partial = html;
  }

  #add(length: number): void {
    this.#length += length;
    if (this.#isFull) this.#full.resolve();
  }

  #advance(waiting: Waiting, position: StepPosition): void {
    waiting.position = position;
    this.#read.set(waiting.index, position);
  }
}

function createGate(): PromiseWithResolvers<void> {
  return Promise.withResolvers();
}

/** What a `state` event says: title and icon, the parts that are not as they were sent last, the steps when there are others, how each stands. */
function createStateEvents(view: BuildView, order: PageOptions): (state: BuildState) => object {
  const sent = new Map<string, string>();
  let stepCount = -1;
  return (state) => {
    const seen = { state, isLed: view.isLed };
    const parts = [...renderParts(seen, order)].filter(([id, html]) => sent.get(id) !== html);
    for (const [id, html] of parts) sent.set(id, html);
    const steps = state.steps.length === stepCount ? [] : renderEmptySteps(seen, order);
    stepCount = state.steps.length;
    const words = describeBuild(state);
    return {
      title: toTitle(words, state.build),
      icon: toIcon(words.tone),
      word: capitalize(words.word),
      parts: Object.fromEntries(parts),
      steps,
      phases: Object.fromEntries(
        toPageSteps(state.steps).map((step) => [step.id, { kind: step.state.phase.kind, fold: step.fold }]),
      ),
    };
  };
}
