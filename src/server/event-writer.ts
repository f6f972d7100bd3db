import { setTimeout as sleep } from 'node:timers/promises';
import { type BuildLink, type BuildState, capitalize, describeBuild } from '../build/index.ts';
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
import { formatPositions, type LogPositions, type StepPosition } from './log-positions.ts';
import type { Write } from './stream-text.ts';

/** The least time between two events about the state. States that come meanwhile are skipped, except the last. */
const STATE_PAUSE_MS = 150;

/** The data of a `log` event, beside its step. */
interface LogData {
  /** Lines, and sentences between them. */
  readonly pieces?: readonly (LogChunk | { readonly note: string })[];
  /** The beginning of the next line, as HTML. */
  readonly partial?: string;
}

export interface EventWriterOptions {
  readonly link: BuildLink;
  readonly page: PageOptions;
  /** What the browser has. */
  readonly known: LogPositions;
  /** Aborts when nobody reads any more. */
  readonly signal: AbortSignal;
}

/** Writes what happens to a build as server-sent events. Waits for the reader after each event. */
export class EventWriter implements BuildFollower {
  readonly #view: BuildView;
  readonly #write: Write;
  readonly #options: EventWriterOptions;
  /** What the browser has once it has received all events up to now. */
  readonly #positions: Map<number, StepPosition>;
  /** The parts of the page as they were sent last, by the id of their element. */
  readonly #parts = new Map<string, string>();
  #stepCount = -1;

  constructor(view: BuildView, write: Write, options: EventWriterOptions) {
    this.#view = view;
    this.#write = write;
    this.#options = options;
    this.#positions = new Map(options.known);
  }

  /** Tells whether each log that was followed was read to its end. */
  get isWhole(): boolean {
    return [...this.#positions.values()].every(({ kind }) => kind === 'whole');
  }

  from(run: StepRun): LogPosition | 'whole' {
    const position = this.#positions.get(run.index);
    return position?.kind === 'whole' && position.attempt === run.attempt ? 'whole' : this.#findPart(run).log;
  }

  async onState(state: BuildState): Promise<void> {
    await this.#send('state', this.#renderState(state));
    if (state.phase.kind === 'ended') return;
    await sleep(STATE_PAUSE_MS, undefined, { signal: this.#options.signal }).catch(() => {});
  }

  onLines(run: StepRun, lines: readonly LogLine[], log: LogPosition): Promise<void> {
    const from = this.#findPart(run).lines;
    const { chunks, end } = renderLines(lines, { id: this.#toId(run), from });
    return this.#sendLog(run, { pieces: chunks }, { kind: 'part', attempt: run.attempt, log, lines: end });
  }

  onPartial(run: StepRun, text: string): Promise<void> {
    return this.#sendLog(run, { partial: renderPartial(text, this.#findPart(run).lines) });
  }

  onCut(run: StepRun, bytes: number): void {
    void this.#sendLog(run, { pieces: [{ note: toCutSentence(bytes) }] });
  }

  onRead(run: StepRun, reading: LogReading): void {
    if (reading.kind === 'whole') void this.#sendLog(run, {}, { kind: 'whole', attempt: run.attempt });
    if (reading.kind === 'failed') void this.#sendLog(run, { pieces: [{ note: toFailureSentence(reading.message) }] });
  }

  #findPart({ index, attempt }: StepRun): Extract<StepPosition, { kind: 'part' }> {
    const position = this.#positions.get(index);
    if (position?.kind === 'part' && position.attempt === attempt) return position;
    return { kind: 'part', attempt, log: { offset: 0, pieces: 0 }, lines: FIRST_LINE };
  }

  #toId({ index }: StepRun): string {
    return toPageSteps(this.#view.state.steps)[index]?.id ?? '';
  }

  /** `end`: the position after the event, if the event changes it. */
  #sendLog(run: StepRun, { pieces = [], partial = '' }: LogData, end?: StepPosition): Promise<void> {
    // The browser then removes the lines that it has.
    const isFirst = this.#findPart(run).lines.line === 0;
    if (end) this.#positions.set(run.index, end);
    return this.#send('log', { step: this.#toId(run), attempt: run.attempt, isFirst, pieces, partial });
  }

  async #send(name: string, data: object): Promise<void> {
    const id = formatPositions(this.#positions, this.#options.link);
    // It fails only when the reader has left. The signal then ends the reading.
    await this.#write(formatEvent(name, data, id)).catch(() => {});
  }

  /** Returns the parts that have changed, and all steps if there are new ones. */
  #renderState(state: BuildState): object {
    const seen = { state, isLed: this.#view.isLed };
    const parts = [...renderParts(seen, this.#options.page)].filter(([id, html]) => this.#parts.get(id) !== html);
    for (const [id, html] of parts) this.#parts.set(id, html);
    const steps = state.steps.length === this.#stepCount ? [] : renderEmptySteps(seen, this.#options.page);
    this.#stepCount = state.steps.length;
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
  }
}

/** @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
export function formatEvent(name: string, data: object, id?: string): string {
  return `event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
}
