import { randomBytes } from 'node:crypto';
import type { BuildLink } from '../build/index.ts';
import type { BuildLook, BuildView, LogPosition, LogReading, StepRun } from '../logs/index.ts';
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
import { responseHeaders, textResponse } from './responses.ts';
import { formatPositions, type LogPositions, type StepPosition } from './log-positions.ts';
import { streamText, type Write } from './stream-text.ts';
import type { OpenedView } from './open-views.ts';

export interface BuildPageDependencies {
  /** As `OpenViews.open`. @throws {C3Error} SEALED_INVALID, RATE_LIMITED */
  openView(sealed: string, signal: AbortSignal, weight?: number): Promise<OpenedView>;
  /** Epoch milliseconds. */
  now(): number;
  /** Aborts when this c3 ends: what would go on for ever ends. */
  readonly closing: AbortSignal;
}

/** Logs of one page, in UTF-16 units of HTML, and what a line costs a browser beside that. Beyond it becomes slow; the raw log has everything. */
const MAX_PAGE_LOGS = 32 * 1024 * 1024;
const LINE_COST = 80;
/** A log that is still written is shown as far as it comes: its first line in this time, each next in that, all in the third; then the page's script goes on. */
const FIRST_LINE_MS = 1_000;
const QUIET_MS = 200;
const CATCH_UP_MS = 2_000;
/** Of a log that is whole, the next lines are waited for so long: a page that does not end is worse than one that is completed by its script. */
const PATIENCE_MS = 5_000;

/** `GET /b/<sealed>`: the page of a build, streamed, with all that its logs hold by now. */
export async function handleBuildPage(
  request: Request,
  sealed: string,
  { openView, now }: BuildPageDependencies,
): Promise<Response> {
  const opened = await openView(sealed, request.signal);
  const order = toPageOptions(sealed, opened.link, now());
  const headers = {
    ...responseHeaders('text/html; charset=utf-8'),
    'content-security-policy': buildPagePolicy,
    // With "no-referrer" a browser would send the page's own forms with the origin "null".
    'referrer-policy': 'same-origin',
  };
  const { found: seen, link } = opened;
  if (seen.kind !== 'seen' || request.method === 'HEAD') {
    opened.release();
    return new Response(seen.kind === 'seen' ? null : renderShortPage(seen, order), { headers });
  }
  const body = streamText({
    signals: [request.signal],
    produce: (write, signal) => writePage(write, { view: seen.view, order, link, signal }),
    onEnd: opened.release,
  });
  return new Response(body, { headers });
}

/** One rendering of the page, or of what changes in it. */
export function toPageOptions(sealed: string, { right }: BuildLink, now: number): PageOptions {
  return { sealed, canControl: right === 'control', nonce: randomBytes(16).toString('base64url'), now };
}

interface PageSource {
  readonly view: BuildView;
  readonly order: PageOptions;
  readonly link: BuildLink;
  readonly signal: AbortSignal;
}

async function writePage(write: Write, { view, order, link, signal }: PageSource): Promise<void> {
  // As it is now: what changes meanwhile comes with the first event.
  const { state, isLed } = view;
  const parts = renderParts({ state, isLed }, order);
  const positions = new Map<number, StepPosition>();
  let room = MAX_PAGE_LOGS;
  await write(renderOpening({ state, isLed }, order));
  for (const [index, step] of toPageSteps(state.steps).entries()) {
    await write(renderStepOpening(step, order, parts.get(`sum-${step.id}`) ?? ''));
    if (step.hasLog) {
      const written = await writeLog(write, { view, index, step, room, signal });
      positions.set(index, written.position);
      room = written.room;
    }
    await write(STEP_CLOSING);
  }
  const isLive = state.phase.kind !== 'ended' || hasMore(positions);
  await write(renderClosing(isLive ? { from: formatPositions(positions, link), now: order.now } : undefined));
}

function hasMore(positions: LogPositions): boolean {
  return [...positions.values()].some(({ kind }) => kind === 'part');
}

interface LogSource {
  readonly view: BuildView;
  readonly index: number;
  readonly step: PageStep;
  /** How much the page still takes. */
  readonly room: number;
  readonly signal: AbortSignal;
}

/** Writes a log to its end; of one that is still written what there is. */
async function writeLog(
  write: Write,
  { view, index, step, room, signal }: LogSource,
): Promise<{ position: StepPosition; room: number }> {
  const { attempt, phase } = step.state;
  const enough = new AbortController();
  let [place, end, left]: [LinePosition, LogPosition, number] = [FIRST_LINE, { offset: 0, pieces: 0 }, room];
  let quiet: NodeJS.Timeout | undefined;
  function waitForMore(): void {
    clearTimeout(quiet);
    const runningMs = place.line === 0 ? FIRST_LINE_MS : QUIET_MS;
    quiet = setTimeout(() => enough.abort(), phase.kind === 'running' ? runningMs : PATIENCE_MS);
  }
  const last = phase.kind === 'running' ? setTimeout(() => enough.abort(), CATCH_UP_MS) : undefined;
  waitForMore();
  const reading = await view.readLog(
    { index, attempt, from: end },
    {
      signal: AbortSignal.any([signal, enough.signal]),
      async onLines(lines, next): Promise<void> {
        if (enough.signal.aborted || signal.aborted) return;
        clearTimeout(quiet);
        const rendered = renderLines(lines, { id: step.id, from: place });
        [place, end] = [rendered.end, next];
        left -= rendered.length + lines.length * LINE_COST;
        // A reader that goes ends the reading by the signal.
        await write(renderChunks(rendered.chunks)).catch(() => {});
        if (left <= 0) enough.abort();
        else waitForMore();
      },
      onPartial: () => {},
      onCut: (bytes) => void write(renderCut(bytes, place)).catch(() => {}),
    },
  );
  clearTimeout(quiet);
  clearTimeout(last);
  signal.throwIfAborted();
  // What is written from now on comes all the same; the page's script lets the oldest lines go.
  const isTooLong = left <= 0 && phase.kind !== 'running';
  await write(`${place.line === 0 ? '' : '</ol>'}${renderLogEnd(reading, isTooLong)}`);
  const isWhole = reading.kind === 'whole' || isTooLong;
  return {
    position: isWhole ? { kind: 'whole', attempt } : { kind: 'part', attempt, log: end, lines: place },
    room: left,
  };
}

function renderLogEnd(reading: LogReading, isTooLong: boolean): string {
  if (isTooLong)
    return renderLogNote('The page ends here, with all that a browser shows well. The rest is in the raw log.');
  return reading.kind === 'failed' ? renderLogNote(toFailureSentence(reading.message)) : '';
}

/** A raw log is read in parts of 1 MiB. */
const RAW_LOG_WEIGHT = 4;

/** `GET /b/<sealed>/log`: `?step=` its name or its id, `&attempt=` the newest by default; without them all steps, each with a heading. */
export async function handleBuildLog(
  request: Request,
  sealed: string,
  { openView, closing }: BuildPageDependencies,
): Promise<Response> {
  const opened = await openView(sealed, request.signal, RAW_LOG_WEIGHT);
  const found = findRuns(opened.found, new URL(request.url).searchParams);
  if (found.kind === 'none' || opened.found.kind !== 'seen' || request.method === 'HEAD') {
    opened.release();
    return found.kind === 'none' ? textResponse(found.status, found.message) : textResponse(200, '');
  }
  const { view } = opened.found;
  const body = streamText({
    signals: [request.signal, closing],
    produce: (write, signal) => copyLogs(write, { view, signal, ...found }),
    onEnd: opened.release,
  });
  const headers = {
    ...responseHeaders('text/plain; charset=utf-8'),
    'x-accel-buffering': 'no',
    'content-disposition': `inline; filename="${opened.link.build.id}.log"`,
  };
  return new Response(body, { headers });
}

interface FoundRuns {
  readonly kind: 'some';
  readonly runs: readonly StepRun[];
  readonly hasHeadings: boolean;
}

function findRuns(
  look: BuildLook,
  query: URLSearchParams,
): FoundRuns | { readonly kind: 'none'; readonly status: number; readonly message: string } {
  if (look.kind === 'failed') return { kind: 'none', status: 503, message: look.message };
  if (look.kind === 'outcome')
    return { kind: 'none', status: 404, message: `There is no log: ${look.outcome.message}` };
  const steps = toPageSteps(look.view.state.steps);
  const wanted = query.get('step');
  if (wanted === null) {
    const all = [...steps.entries()].filter(([, { hasLog }]) => hasLog);
    return {
      kind: 'some',
      runs: all.map(([index, step]) => ({ index, attempt: step.state.attempt })),
      hasHeadings: true,
    };
  }
  const index = steps.findIndex(({ id, state }) => id === wanted || state.name === wanted);
  const step = steps[index];
  if (!step) return { kind: 'none', status: 404, message: 'The build has no such step' };
  const newest = step.state.attempt;
  const attempt = Number(query.get('attempt') ?? newest);
  if (!step.hasLog || !Number.isInteger(attempt) || attempt < 1 || attempt > newest)
    return { kind: 'none', status: 404, message: 'The step has no such log, or not yet' };
  return { kind: 'some', runs: [{ index, attempt }], hasHeadings: false };
}

async function copyLogs(
  write: Write,
  { view, runs, hasHeadings, signal }: FoundRuns & { view: BuildView; signal: AbortSignal },
): Promise<void> {
  const titles = toPageSteps(view.state.steps).map((step) => step.title);
  for (const run of runs) {
    const title = titles[run.index] ?? '';
    if (hasHeadings) await write(`== ${title}${run.attempt > 1 ? `, attempt ${run.attempt}` : ''} ==\n`);
    const reading = await view.copyLog(run, { signal, onBytes: (bytes) => write(bytes).catch(() => {}) });
    if (reading.kind === 'failed') await write(`\n== ${toFailureSentence(reading.message)} ==\n`);
  }
}
