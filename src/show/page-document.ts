import { describeBuild, type Build, type Words } from '../build/index.ts';
import type { BuildLook, BuildOutcome, BuildView } from '../logs/build-view.ts';
import { closeDocument, escapeHtml, openDocument, readBrowserFiles, toDataElement, toSecurityPolicy } from './html.ts';
import { CHUNK_LINES, formatPalette, type LinePosition, type LogChunk } from './log-html.ts';
import {
  renderControls,
  renderEarlier,
  renderParts,
  renderProblems,
  renderSentence,
  renderSummary,
  toIcon,
  toTitle,
  type PageOptions,
  type PageParts,
} from './page-parts.ts';
import { toLogAddress, toPageSteps, type PageStep } from './page-steps.ts';
import { toPlainText } from '../terminal/text.ts';

const script = readBrowserFiles('build-page.js');
const style = readBrowserFiles('page.css', 'build-page.css') + formatPalette();

export const buildPagePolicy: string = toSecurityPolicy(script, style, { isInteractive: true });

/** How often a browser without a script reloads the page of a running build. */
const REFRESH_SECONDS = 5;

/** Renders the page from its beginning to the first step. */
export function renderOpening(view: Pick<BuildView, 'state' | 'isLed'>, options: PageOptions): string {
  const { build, phase } = view.state;
  const top = { parts: renderParts(view, options), isLive: phase.kind !== 'ended' };
  return `${renderTop(describeBuild(view.state), build, top)}
<section aria-labelledby="steps-title">
<div class="bar"><h2 id="steps-title">Steps</h2><label><input type="checkbox" id="times"> Times</label>
<button type="button" id="fold" hidden>Open all</button><a href="${escapeHtml(options.sealed)}/log">Raw log</a></div>
<div id="steps">`;
}

/** Renders a step up to its log. The log follows now or later. */
export function renderStepOpening(step: PageStep, { sealed }: Pick<PageOptions, 'sealed'>, summary: string): string {
  const { id, title, fold, state } = step;
  const { attempt, group, phase } = state;
  const log = toLogAddress(id, sealed);
  const classes = group === undefined ? 'step' : 'step parallel';
  return [
    `<details class="${classes}" id="step-${id}" data-phase="${phase.kind}" data-attempt="${attempt}"${fold === 'open' ? ' open' : ''}>`,
    `<summary id="sum-${id}">${summary}</summary>`,
    '<div class="panel">',
    renderCommand(step),
    `<div class="tools"><span class="earlier" id="earlier-${id}">${renderEarlier(step, sealed)}</span><button type="button" class="copy" hidden>Copy</button>`,
    `<a href="${log}" aria-label="Raw log of ${escapeHtml(title)}">Raw log</a></div>`,
    `<div class="log" id="log-${id}">`,
  ].join('');
}

/** Renders what the step runs. Its box scrolls, so it must have the focus for the arrow keys. */
function renderCommand({ title, state: { command = '' } }: PageStep): string {
  const text = toPlainText(command);
  if (text === '') return '';
  return `<pre class="command" tabindex="0" role="region" aria-label="Command of ${escapeHtml(title)}"><code>${escapeHtml(text)}</code></pre>`;
}

export const STEP_CLOSING = '</div></div></details>\n';

/** Renders the steps without their logs. */
export function renderEmptySteps(view: Pick<BuildView, 'state' | 'isLed'>, options: PageOptions): string[] {
  const parts = renderParts(view, options);
  return toPageSteps(view.state.steps).map(
    (step) => renderStepOpening(step, options, parts.get(`sum-${step.id}`) ?? '') + STEP_CLOSING,
  );
}

/** Renders the lists of a log. Each piece continues where the previous one ended. */
export function renderChunks(chunks: readonly LogChunk[]): string {
  const toTag = (first: number): string => `${first === 1 ? '' : '</ol>'}<ol start=${first}>`;
  return chunks.map(({ first, html }) => (first % CHUNK_LINES === 1 ? toTag(first) + html : html)).join('');
}

/** Renders a sentence instead of lines. */
export function renderLogNote(sentence: string): string {
  return `<p class="cut">${escapeHtml(sentence)}</p>`;
}

/**
 * Renders the note between two lists where a part of a huge log is omitted. The second list continues the line
 * numbers.
 */
export function renderCut(bytes: number, { line }: LinePosition): string {
  const nextList = line % CHUNK_LINES === 0 ? '' : `<ol start=${line + 1}>`;
  return `${line === 0 ? '' : '</ol>'}${renderLogNote(toCutSentence(bytes))}${nextList}`;
}

export function toCutSentence(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB are omitted here. The raw log contains them.`;
}

export function toFailureSentence(message: string): string {
  return `c3 could not read the log to its end: ${message}`;
}

/** Renders the page after the last step. `live`: where the updates of a page that is not complete begin. */
export function renderClosing(live: { readonly from: string; readonly now: number } | undefined): string {
  return `</div>
</section>
</main>
${live === undefined ? '' : toDataElement('live', live)}${FOOT}`;
}

/** Renders the page of a build that only the forge knows, or that c3 cannot show now. */
export function renderShortPage(look: Exclude<BuildLook, { kind: 'seen' }>, options: PageOptions): string {
  const outcome = look.kind === 'outcome' ? look.outcome : undefined;
  const words = outcome ? describeOutcome(outcome) : CANNOT_BE_SHOWN;
  const parts = new Map([
    ['summary', renderSummary(words, outcome, [])],
    ['controls', renderControls(options, outcome?.status?.ending?.kind === 'needs-approval' ? 'approve' : 'rerun')],
    ['notices', look.kind === 'outcome' ? renderOutcome(look.outcome) : renderSentence(look.message)],
  ]);
  return `${renderTop(words, outcome?.build, { parts, isLive: false })}
</main>
${FOOT}`;
}

const CANNOT_BE_SHOWN: Words = { word: 'cannot be shown now', symbol: '⚠️', tone: 'warned' };
const NOT_ENDED: Words = { word: 'not ended', symbol: '⏳', tone: 'waiting' };
const UNKNOWN: Words = { word: 'unknown', symbol: '❔', tone: 'skipped' };

function describeOutcome({ status }: BuildOutcome): Words {
  if (status?.ending === undefined) return status?.state === 'pending' ? NOT_ENDED : UNKNOWN;
  return describeBuild({ phase: { kind: 'ended', ending: status.ending }, previous: undefined });
}

/** Shows an error of c3.yaml once: the commit status, the message and the problems all contain it. */
function renderOutcome({ status, message, problems }: BuildOutcome): string {
  if (problems.length > 0) return renderProblems(problems);
  if (status?.ending?.kind === 'config-error') return renderSentence(message);
  return `${renderSentence(status?.text ?? '')}<p class="quiet">c3 can show no more: ${escapeHtml(message)}</p>`;
}

/** Renders the page up to its notices. */
function renderTop(
  words: Words,
  build: Build | undefined,
  { parts, isLive }: { parts: PageParts; isLive: boolean },
): string {
  const refresh = `<noscript><meta http-equiv="refresh" content="${REFRESH_SECONDS}"></noscript>\n`;
  const head = `<link rel="icon" id="icon" href="${toIcon(words.tone)}">\n${isLive ? refresh : ''}`;
  const [summary, controls, notices] = ['summary', 'controls', 'notices'].map((id) => parts.get(id) ?? '');
  return `${openDocument({ title: toTitle(words, build), style, head })}<main>
<p id="spoken" class="spoken" role="status"></p>
<p id="connection" role="status" hidden></p>
<div class="top"><div id="summary">${summary}</div><div id="controls">${controls}</div></div>
<div id="notices">${notices}</div>`;
}

const FOOT = `<button type="button" id="jump" hidden>Jump to end</button>\n${closeDocument(script)}`;
