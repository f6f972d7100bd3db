import { setTimeout as sleep } from 'node:timers/promises';
import { capitalize, describeBuild, describeStep, toBuildSentence } from '../build/index.ts';
import type { BuildLook, StepRun } from '../logs/index.ts';
import { toCutSentence, toFailureSentence, toPageSteps, type PageOptions } from '../show/index.ts';
import { readLine, toOneLine } from '../terminal/text.ts';
import { toPageOptions, type BuildPageDependencies } from './build-page.ts';
import { EventWriter, formatEvent } from './event-writer.ts';
import { followBuild } from './follow-build.ts';
import { parsePositions } from './log-positions.ts';
import type { OpenedView } from './open-views.ts';
import { responseHeaders } from './responses.ts';
import { streamText, type Write } from './stream-text.ts';

/** Proxies close a silent connection, most of them after a minute. */
const HEARTBEAT_MS = 15_000;
/** The view of a build that runs elsewhere does not change. The browser reconnects and gets a new view. */
const RENEW_VIEW_MS = 10_000;
const MAX_SENTENCE_LENGTH = 1_000;

/**
 * Handles `GET /b/<sealed>/events`: sends what happens after the page, or after `Last-Event-ID`, as server-sent
 * events; with `Accept: text/plain`, the live log as text.
 *
 * - `state`: title, icon, the parts of the page that have changed by their element's id, and new steps
 * - `log`: lines of a step
 * - `trouble`: a sentence; the stream ends, and the browser retries
 * - `again`: the stream ends, and the browser reconnects
 * - `end`: nothing will follow
 *
 * The id of an event is a position. From it any c3 continues, without lost or repeated lines.
 */
export async function handleBuildEvents(
  request: Request,
  sealed: string,
  dependencies: BuildPageDependencies,
): Promise<Response> {
  const opened = await dependencies.openView(sealed, request.signal);
  const isText = (request.headers.get('accept') ?? '').includes('text/plain');
  const headers = {
    ...responseHeaders(isText ? 'text/plain; charset=utf-8' : 'text/event-stream'),
    // nginx must not buffer the stream.
    'x-accel-buffering': 'no',
  };
  if (request.method === 'HEAD') {
    opened.release();
    return new Response(null, { headers });
  }
  const position = request.headers.get('last-event-id') ?? new URL(request.url).searchParams.get('from') ?? '';
  const page = toPageOptions(sealed, opened.link, dependencies);
  const body = streamText({
    signals: [request.signal, dependencies.closing],
    produce: (write, signal) =>
      isText ? writeLiveText(write, opened.found, signal) : writeEvents(write, { opened, page, position, signal }),
    onEnd: opened.release,
  });
  return new Response(body, { headers });
}

interface EventsOptions {
  readonly opened: OpenedView;
  readonly page: PageOptions;
  readonly position: string;
  readonly signal: AbortSignal;
}

async function writeEvents(write: Write, { opened, page, position, signal }: EventsOptions): Promise<void> {
  const { found, link } = opened;
  if (found.kind === 'failed') return write(formatEvent('trouble', { message: found.message }));
  if (found.kind === 'outcome') return write(formatEvent('end', { message: found.outcome.message }));
  const { view } = found;
  const heartbeat = setInterval(() => void write(':\n\n').catch(() => {}), HEARTBEAT_MS);
  try {
    const known = parsePositions(position, link) ?? new Map();
    const writer = new EventWriter(view, write, { link, page, known, signal });
    await followBuild(view, writer, signal);
    const hasEnded = view.state.phase.kind === 'ended';
    if (hasEnded && writer.isWhole) return await write(formatEvent('end', {}));
    if (hasEnded) return await write(formatEvent('trouble', { message: 'A log could not be read to its end' }));
    await sleep(RENEW_VIEW_MS, undefined, { signal });
    await write(formatEvent('again', {}));
  } finally {
    clearInterval(heartbeat);
  }
}

/**
 * Writes the live log for a terminal, `curl -N -H 'Accept: text/plain' …/events`: each line after the name of its
 * step, without colours.
 */
async function writeLiveText(write: Write, found: BuildLook, signal: AbortSignal): Promise<void> {
  if (found.kind !== 'seen') return write(`== ${found.kind === 'failed' ? found.message : found.outcome.message} ==\n`);
  const { view } = found;
  /** The newest sentence about each thing. It is written when it changes. */
  const sentences = new Map<string, string>();

  async function say(text: string): Promise<void> {
    // It fails only when the reader has left. The signal then ends the reading.
    await write(text).catch(() => {});
  }
  async function sayOnce(key: string, parts: readonly (string | undefined)[]): Promise<void> {
    const text = toOneLine(parts.filter(Boolean).join(': '), MAX_SENTENCE_LENGTH);
    if (sentences.get(key) === text) return;
    sentences.set(key, text);
    await say(`== ${text} ==\n`);
  }
  function toPrefix({ index }: StepRun): string {
    return `[${toPageSteps(view.state.steps)[index]?.title ?? ''}] `;
  }

  await followBuild(
    view,
    {
      from: () => ({ offset: 0, pieces: 0 }),
      async onState(state) {
        await sayOnce('build', [capitalize(describeBuild(state).word), toBuildSentence(state.phase)]);
        for (const warning of state.warnings) await sayOnce(`! ${warning}`, ['Warning', warning]);
        for (const { id, title, state: step } of toPageSteps(state.steps)) {
          if (step.phase.kind === 'pending') continue;
          const { word, note } = describeStep(step);
          await sayOnce(id, [title, note?.startsWith(word) ? note : [word, note].filter(Boolean).join(', ')]);
        }
      },
      onLines: (run, lines) => say(lines.map(({ text }) => `${toPrefix(run)}${readLine(text)}\n`).join('')),
      onPartial: () => Promise.resolve(),
      onCut: (run, bytes) => void say(`${toPrefix(run)}${toCutSentence(bytes)}\n`),
      onRead(run, reading) {
        if (reading.kind === 'failed') void say(`${toPrefix(run)}${toFailureSentence(reading.message)}\n`);
      },
    },
    signal,
  );
}
