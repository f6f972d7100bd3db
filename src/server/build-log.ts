import type { BuildLook, BuildView, StepRun } from '../logs/index.ts';
import { toFailureSentence, toPageSteps } from '../show/index.ts';
import type { BuildPageDependencies } from './build-page.ts';
import { responseHeaders, textResponse } from './responses.ts';
import { streamText, type Write } from './stream-text.ts';

/** A reader of a raw log counts as several, because its parts have 1 MiB (A12). */
const RAW_LOG_WEIGHT = 4;

/**
 * Handles `GET /b/<sealed>/log`: the raw log of a step. `?step=` is its name or id, `&attempt=` by default the
 * newest. Without them: the logs of all steps, each with a heading.
 */
export async function handleBuildLog(
  request: Request,
  sealed: string,
  { openView, closing }: BuildPageDependencies,
): Promise<Response> {
  const { found, link, release } = await openView(sealed, request.signal, RAW_LOG_WEIGHT);
  const selected = selectLogs(found, new URL(request.url).searchParams);
  if (selected instanceof Response || request.method === 'HEAD') {
    release();
    return selected instanceof Response ? selected : textResponse(200, '');
  }
  const body = streamText({
    signals: [request.signal, closing],
    produce: (write, signal) => copyLogs(write, selected, signal),
    onEnd: release,
  });
  const headers = {
    ...responseHeaders('text/plain; charset=utf-8'),
    'x-accel-buffering': 'no',
    'content-disposition': `inline; filename="${link.build.id}.log"`,
  };
  return new Response(body, { headers });
}

interface SelectedLogs {
  readonly view: BuildView;
  readonly runs: readonly StepRun[];
  readonly hasHeadings: boolean;
}

/** Returns a response if there is no such log. */
function selectLogs(found: BuildLook, query: URLSearchParams): SelectedLogs | Response {
  if (found.kind === 'failed') return textResponse(503, found.message);
  if (found.kind === 'outcome') {
    return textResponse(404, `There is no log: ${found.outcome.message}`);
  }
  const { view } = found;
  const steps = toPageSteps(view.state.steps);
  const wanted = query.get('step');
  if (wanted === null) {
    const runs = [...steps.entries()].flatMap(([index, { hasLog, state }]) => {
      return hasLog ? [{ index, attempt: state.attempt }] : [];
    });
    return { view, runs, hasHeadings: true };
  }
  const index = steps.findIndex(({ id, state }) => id === wanted || state.name === wanted);
  const step = steps[index];
  if (!step) return textResponse(404, 'The build has no such step');
  const newest = step.state.attempt;
  const attempt = Number(query.get('attempt') ?? newest);
  if (!step.hasLog || !Number.isInteger(attempt) || attempt < 1 || attempt > newest) {
    return textResponse(404, 'The step does not have this log, or not yet');
  }
  return { view, runs: [{ index, attempt }], hasHeadings: false };
}

async function copyLogs(write: Write, { view, runs, hasHeadings }: SelectedLogs, signal: AbortSignal): Promise<void> {
  const steps = toPageSteps(view.state.steps);
  for (const run of runs) {
    const title = steps[run.index]?.title ?? '';
    if (hasHeadings) await write(`== ${title}${run.attempt > 1 ? `, attempt ${run.attempt}` : ''} ==\n`);
    const reading = await view.copyLog(run, { signal, onBytes: (bytes) => write(bytes).catch(() => {}) });
    if (reading.kind === 'failed') await write(`\n== ${toFailureSentence(reading.message)} ==\n`);
  }
}
