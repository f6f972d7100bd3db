import type { PageOptions } from '../show/index.ts';
import { toPageOptions, type BuildPageDependencies } from './build-page.ts';
import { writeLiveText } from './build-text.ts';
import { responseHeaders } from './responses.ts';
import { Outbox } from './event-outbox.ts';
import { followBuild } from './follow-build.ts';
import { formatPositions, parsePositions, type LogPositions } from './log-positions.ts';
import { streamText, type Write } from './stream-text.ts';
import type { OpenedView } from './open-views.ts';

/** What comes within this time is sent together, unless it is too much to wait. */
const BATCH_MS = 150;
/** Proxies close what is silent, most of them after a minute. */
const HEARTBEAT_MS = 15_000;
/** The state of a build that nobody leads here does not change by itself: the browser comes again, and gets a fresh look. */
const LOOK_AGAIN_MS = 10_000;

/**
 * `GET /b/<sealed>/events`: what happens after the page, or after `Last-Event-ID`, as server-sent events (HTML Standard §9.2); with
 * `Accept: text/plain` the live log as text.
 *
 * `state`: title, icon, the parts that changed by their element's id, and the steps when there are new ones. `log`: lines of a step,
 * as `LogEvent` tells. `trouble`: a sentence, and the stream ends for now; `again`: it ends, for a fresh look. `end`: there is nothing more. An event's id is a position:
 * who comes back with it gets what follows, no line lost or doubled, from any c3.
 */
export async function handleBuildEvents(
  request: Request,
  sealed: string,
  { openView, now, closing }: BuildPageDependencies,
): Promise<Response> {
  const opened = await openView(sealed, request.signal);
  const isText = (request.headers.get('accept') ?? '').includes('text/plain');
  const headers = {
    ...responseHeaders(isText ? 'text/plain; charset=utf-8' : 'text/event-stream'),
    // nginx would keep back what is to be seen at once.
    'x-accel-buffering': 'no',
  };
  if (request.method === 'HEAD') {
    opened.release();
    return new Response(null, { headers });
  }
  const position = request.headers.get('last-event-id') ?? new URL(request.url).searchParams.get('from') ?? '';
  const order = toPageOptions(sealed, opened.link, now());
  const body = streamText({
    signals: [request.signal, closing],
    produce: (write, signal) =>
      isText ? writeLiveText(write, opened.found, signal) : writeEvents(write, { opened, order, position, signal }),
    onEnd: opened.release,
  });
  return new Response(body, { headers });
}

interface EventsOrder {
  readonly opened: OpenedView;
  readonly order: PageOptions;
  readonly position: string;
  readonly signal: AbortSignal;
}

async function writeEvents(write: Write, { opened, order, position, signal }: EventsOrder): Promise<void> {
  const { found: look, link } = opened;
  if (look.kind === 'failed') return write(formatEvent('trouble', { message: look.message }));
  if (look.kind === 'outcome') return write(formatEvent('end', { message: look.outcome.message }));
  const { view } = look;
  const outbox = new Outbox(view, { order, known: parsePositions(position, link) ?? new Map(), signal });
  const ended = new AbortController();
  const format = (positions: LogPositions): string => formatPositions(positions, link);
  const sending = sendAll(write, { outbox, format, ended: ended.signal, signal });
  // It fails only when the reader has gone; then the following ends too.
  sending.catch(() => {});
  try {
    await followBuild(view, outbox, { from: (run) => outbox.from(run), signal });
  } finally {
    ended.abort();
    await sending;
  }
  const hasEnded = view.state.phase.kind === 'ended';
  if (hasEnded && outbox.isWhole) return write(formatEvent('end', {}));
  if (hasEnded) return write(formatEvent('trouble', { message: 'A log could not be read to its end' }));
  await pause(LOOK_AGAIN_MS, [signal]);
  await write(formatEvent('again', {}));
}

interface SendOrder {
  readonly outbox: Outbox;
  format(positions: LogPositions): string;
  /** Aborts when nothing more will come. */
  readonly ended: AbortSignal;
  readonly signal: AbortSignal;
}

/** Sends what comes, at most every {@link BATCH_MS}, and a sign of life when nothing does. */
async function sendAll(write: Write, { outbox, format, ended, signal }: SendOrder): Promise<void> {
  while (!signal.aborted) {
    await pause(HEARTBEAT_MS, [ended, signal], outbox.filled);
    const events = outbox.take();
    for (const { name, data, positions } of events) await write(formatEvent(name, data, format(positions)));
    if (ended.aborted && events.length === 0) return;
    if (events.length === 0) await write(':\n\n');
    else await pause(BATCH_MS, [ended, signal], outbox.full);
  }
}

/** Resolves after the time, or when one of them happens before. */
function pause(ms: number, signals: readonly AbortSignal[], happens?: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const signal = AbortSignal.any([...signals]);
    const timer = setTimeout(resolve, ms);
    function end(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    }
    if (signal.aborted) return end();
    signal.addEventListener('abort', end);
    void happens?.then(end);
  });
}

function formatEvent(name: string, data: object, id?: string): string {
  return `event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
}
