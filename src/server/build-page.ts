import { randomBytes } from 'node:crypto';
import type { BuildLink } from '../build/index.ts';
import type { BuildView, LogPosition, LogReading } from '../logs/index.ts';
import {
  buildPagePolicy,
  FIRST_LINE,
  renderChunks,
  renderClosing,
  renderCut,
  renderLines,
  renderLogNote,
  renderOpening,
  renderParts,
  renderShortPage,
  renderStepOpening,
  STEP_CLOSING,
  toFailureSentence,
  toPageSteps,
  type LinePosition,
  type PageOptions,
  type PageStep,
} from '../show/index.ts';
import { formatPositions, type StepPosition } from './log-positions.ts';
import type { OpenedView } from './open-views.ts';
import { responseHeaders } from './responses.ts';
import { streamText, type Write } from './stream-text.ts';

/** What the page of a build, its events and its raw logs need. */
export interface BuildPageDependencies {
  /** As `OpenViews.open`. @throws {C3Error} SEALED_INVALID, RATE_LIMITED */
  openView(sealed: string, signal: AbortSignal, weight?: number): Promise<OpenedView>;
  /** c3's public base URL, without a slash at its end. */
  baseUrl(): string;
  /** Epoch milliseconds. */
  now(): number;
  /** Aborts when c3 shuts down, to end endless streams. */
  readonly closing: AbortSignal;
}

/** The logs of a page, in UTF-16 units of HTML (A12). A browser becomes slow beyond it. The raw log has no limit. */
const MAX_PAGE_LOGS = 32 * 1024 * 1024;
/** What a line costs a browser, in the same units, beside its HTML. */
const LINE_COST = 80;

/**
 * How long the page waits for the log of a running step: for the first line, for each further line, and in all. The
 * script of the page then loads the rest.
 */
const FIRST_LINE_MS = 1_000;
const NEXT_LINE_MS = 200;
const RUNNING_LOG_MS = 2_000;
/** How long the page waits for the next lines of an ended step. The script can load the rest. */
const ENDED_LOG_MS = 5_000;

/** Handles `GET /b/<sealed>`: the page of a build, streamed, with its logs so far. */
export async function handleBuildPage(
  request: Request,
  sealed: string,
  dependencies: BuildPageDependencies,
): Promise<Response> {
  const { found, link, release } = await dependencies.openView(sealed, request.signal);
  const page = toPageOptions(sealed, link, dependencies);
  const headers = {
    ...responseHeaders('text/html; charset=utf-8'),
    'content-security-policy': buildPagePolicy,
    // With "no-referrer", browsers send the page's own forms with the origin "null".
    'referrer-policy': 'same-origin',
  };
  if (found.kind !== 'seen' || request.method === 'HEAD') {
    release();
    return new Response(found.kind === 'seen' ? null : renderShortPage(found, page), { headers });
  }
  const body = streamText({
    signals: [request.signal],
    produce: (write, signal) => writePage(write, { view: found.view, page, link, signal }),
    onEnd: release,
  });
  return new Response(body, { headers });
}

/** Returns the options of one rendering of the page, or of its changes. */
export function toPageOptions(
  sealed: string,
  { right }: BuildLink,
  { baseUrl, now }: Pick<BuildPageDependencies, 'baseUrl' | 'now'>,
): PageOptions {
  const nonce = randomBytes(16).toString('base64url');
  return { sealed, address: `${baseUrl()}/b/${sealed}`, canControl: right === 'control', nonce, now: now() };
}

interface PageSource {
  readonly view: BuildView;
  readonly page: PageOptions;
  readonly link: BuildLink;
  readonly signal: AbortSignal;
}

async function writePage(write: Write, { view, page, link, signal }: PageSource): Promise<void> {
  // The page shows this state. The first event brings later changes.
  const { state, isLed } = view;
  const parts = renderParts({ state, isLed }, page);
  const positions = new Map<number, StepPosition>();
  let room = MAX_PAGE_LOGS;
  await write(renderOpening({ state, isLed }, page));
  for (const [index, step] of toPageSteps(state.steps).entries()) {
    await write(renderStepOpening(step, page, parts.get(`sum-${step.id}`) ?? ''));
    if (step.hasLog) {
      const written = await writeLog(write, { view, index, step, room, signal });
      positions.set(index, written.position);
      room = written.room;
    }
    await write(STEP_CLOSING);
  }
  const isLive = state.phase.kind !== 'ended' || [...positions.values()].some(({ kind }) => kind === 'part');
  await write(renderClosing(isLive ? { from: formatPositions(positions, link), now: page.now } : undefined));
}

interface LogSource {
  readonly view: BuildView;
  readonly index: number;
  readonly step: PageStep;
  /** What is left of {@link MAX_PAGE_LOGS}. */
  readonly room: number;
  readonly signal: AbortSignal;
}

/** Writes the log of a step: to its end, or what there is so far. */
async function writeLog(
  write: Write,
  { view, index, step, room, signal }: LogSource,
): Promise<{ readonly position: StepPosition; readonly room: number }> {
  const { attempt, phase } = step.state;
  const isRunning = phase.kind === 'running';
  const enough = new AbortController();
  const stop = (): void => enough.abort();
  let [lines, log, left]: [LinePosition, LogPosition, number] = [FIRST_LINE, { offset: 0, pieces: 0 }, room];
  const all = isRunning ? setTimeout(stop, RUNNING_LOG_MS) : undefined;
  let next = setTimeout(stop, isRunning ? FIRST_LINE_MS : ENDED_LOG_MS);
  const reading = await view.readLog(
    { index, attempt, from: log },
    {
      signal: AbortSignal.any([signal, enough.signal]),
      async onLines(some, end): Promise<void> {
        if (enough.signal.aborted || signal.aborted) return;
        clearTimeout(next);
        const rendered = renderLines(some, { id: step.id, from: lines });
        [lines, log] = [rendered.end, end];
        left -= rendered.length + some.length * LINE_COST;
        // It fails only when the reader has left. The signal then ends the reading.
        await write(renderChunks(rendered.chunks)).catch(() => {});
        if (left <= 0) stop();
        else next = setTimeout(stop, isRunning ? NEXT_LINE_MS : ENDED_LOG_MS);
      },
      onPartial: () => {},
      onCut: (bytes) => void write(renderCut(bytes, lines)).catch(() => {}),
    },
  );
  clearTimeout(next);
  clearTimeout(all);
  signal.throwIfAborted();
  // The log of a running step continues all the same: the script removes the oldest lines.
  const isTooLong = left <= 0 && !isRunning;
  await write(`${lines.line === 0 ? '' : '</ol>'}${renderLogEnd(reading, isTooLong)}`);
  const isWhole = reading.kind === 'whole' || isTooLong;
  return { position: isWhole ? { kind: 'whole', attempt } : { kind: 'part', attempt, log, lines }, room: left };
}

function renderLogEnd(reading: LogReading, isTooLong: boolean): string {
  if (isTooLong) return renderLogNote('This page ends here, because browsers become slow. The raw log has the rest.');
  return reading.kind === 'failed' ? renderLogNote(toFailureSentence(reading.message)) : '';
}
