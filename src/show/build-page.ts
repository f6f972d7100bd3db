import type { BuildLook, BuildOutcome, BuildView } from '../logs/build-view.ts';
import {
  renderControls,
  renderDetail,
  renderEarlier,
  renderParts,
  renderSummary,
  renderSymbol,
  toIcon,
  toTitle,
  type PageOrder,
} from './build-parts.ts';
import { escapeHtml, readBrowserFiles, toDataElement, toSecurityPolicy } from './html.ts';
import { CHUNK_LINES, formatPalette, type LinePlace, type LogChunk } from './log-html.ts';
import { toLogAddress, toPageSteps, type PageStep } from './page-steps.ts';
import { toBuildWords, toOutcomeWords, type Tone, type Words } from './words.ts';

const script = readBrowserFiles('build-page.js');
const style = readBrowserFiles('page.css', 'build-page.css', 'log.css') + formatPalette();

export const buildPagePolicy: string = toSecurityPolicy(script, style, { isInteractive: true });

/** Without a script a running build is loaded again so often. */
const REFRESH_SECONDS = 5;

/** From the beginning of the page to the first step. */
export function renderOpening(view: Pick<BuildView, 'state' | 'isLed'>, order: PageOrder): string {
  const { state } = view;
  const words = toBuildWords(state);
  const parts = renderParts(view, order);
  const isLive = state.phase.kind !== 'ended';
  const log = `${escapeHtml(order.sealed)}/log`;
  return `${renderHead(words, toTitle(words, state.build), isLive)}
<div class="top"><div id="summary">${parts.get('summary')}</div><div id="controls">${parts.get('controls')}</div></div>
<div id="notices">${parts.get('notices')}</div>
<section aria-labelledby="steps-title">
<div class="bar"><h2 id="steps-title">Steps</h2><label><input type="checkbox" id="times"> Times</label>
<button type="button" id="fold" hidden>Open all</button><a href="${log}">Raw log</a></div>
<div id="steps">`;
}

/** A step up to its log, with its log to be written, or to come. */
export function renderStepOpening(step: PageStep, { sealed }: Pick<PageOrder, 'sealed'>, summary: string): string {
  const { id, title, fold, state } = step;
  const { attempt, group, phase } = state;
  const log = toLogAddress(id, sealed);
  const classes = group === undefined ? 'step' : 'step parallel';
  return [
    `<details class="${classes}" id="step-${id}" data-phase="${phase.kind}" data-attempt="${attempt}"${fold === 'open' ? ' open' : ''}>`,
    `<summary id="sum-${id}">${summary}</summary>`,
    `<div class="panel"><div class="tools"><span class="earlier" id="earlier-${id}">${renderEarlier(step, sealed)}</span><button type="button" class="copy" hidden>Copy</button>`,
    `<a href="${log}" aria-label="Raw log of ${escapeHtml(title)}">Raw log</a></div>`,
    `<div class="log" id="log-${id}">`,
  ].join('');
}

export const STEP_CLOSING = '</div></div></details>\n';

/** Steps as the page has them when their logs are still empty. */
export function renderEmptySteps(view: Pick<BuildView, 'state' | 'isLed'>, order: PageOrder): string[] {
  const parts = renderParts(view, order);
  return toPageSteps(view.state.steps).map(
    (step) => renderStepOpening(step, order, parts.get(`sum-${step.id}`) ?? '') + STEP_CLOSING,
  );
}

/** A log's lists, in which each piece continues where the one before it ended. */
export function renderChunks(chunks: readonly LogChunk[]): string {
  return chunks
    .map(({ first, html }) => {
      const begins = first % CHUNK_LINES === 1;
      return `${begins ? `${first === 1 ? '' : '</ol>'}<ol start=${first}>` : ''}${html}`;
    })
    .join('');
}

/** A sentence in the place of lines. */
export function renderLogNote(sentence: string): string {
  return `<p class="cut">${escapeHtml(sentence)}</p>`;
}

/** Between two lists, where a part of a huge log is left out; the second goes on with the numbers of the lines that are shown. */
export function renderCut(bytes: number, { line }: LinePlace): string {
  const goesOn = line % CHUNK_LINES === 0 ? '' : `<ol start=${line + 1}>`;
  return `${line === 0 ? '' : '</ol>'}${renderLogNote(toCutSentence(bytes))}${goesOn}`;
}

export function toCutSentence(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB are left out here. They are in the raw log.`;
}

export function toFailureSentence(message: string): string {
  return `The log could not be read to its end: ${message}`;
}

/** After the last step. `live`: where the page goes on from, of a build of which more is to come. */
export function renderClosing(live: { readonly from: string; readonly now: number } | undefined): string {
  return `</div>
</section>
</main>
${live === undefined ? '' : toDataElement('live', live)}${FOOT}`;
}

/** The page of a build of which only the forge knows, or nobody. */
export function renderShortPage(look: Exclude<BuildLook, { kind: 'seen' }>, order: PageOrder): string {
  const words: Words =
    look.kind === 'outcome' ? toOutcomeWords(look.outcome.status) : { tone: 'warned', word: 'Cannot be shown now' };
  const outcome = look.kind === 'outcome' ? look.outcome : undefined;
  const summary = outcome
    ? renderSummary(words, outcome, [])
    : `<h1>${renderSymbol(words.tone)}<span>${words.word}</span></h1>`;
  const controls = renderControls(undefined, { ...order, isLed: false });
  return `${renderHead(words, toTitle(words, outcome?.build), false)}
<div class="top"><div id="summary">${summary}</div><div id="controls">${controls}</div></div>
<div id="notices">${look.kind === 'outcome' ? renderOutcome(look.outcome) : `<p class="sentence">${escapeHtml(look.message)}</p>`}</div>
</main>
${FOOT}`;
}

function renderOutcome({ status, message, detail }: BuildOutcome): string {
  const told = status?.text ?? '';
  return [
    told === '' ? '' : `<p class="sentence">${escapeHtml(told)}</p>`,
    detail === undefined ? '' : renderDetail(detail),
    `<p class="quiet">There is no more to see: ${escapeHtml(message)}</p>`,
  ].join('');
}

function renderHead({ tone }: { tone: Tone }, title: string, isLive: boolean): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<link rel="icon" id="icon" href="${toIcon(tone)}">
${isLive ? `<noscript><meta http-equiv="refresh" content="${REFRESH_SECONDS}"></noscript>\n` : ''}<style>${style}</style>
</head>
<body>
<main>
<p id="spoken" class="spoken" role="status"></p>
<p id="connection" role="status" hidden></p>
`;
}

const FOOT = `<button type="button" id="jump" hidden>Jump to end</button>
<script type="module">${script}</script>
</body>
</html>
`;
