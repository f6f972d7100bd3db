import type { Build, BuildState } from '../build/index.ts';
import type { BuildView } from '../logs/build-view.ts';
import { formatDuration } from './duration.ts';
import { escapeHtml } from './html.ts';
import { toLogAddress, toPageSteps, type PageStep } from './page-steps.ts';
import { toOneLine, toPlainText } from './plain-text.ts';
import { TITLE_SYMBOLS, toBuildSentence, toBuildWords, toStepWords, type Tone, type Words } from './words.ts';

/** What a page of a build is made with, besides the build. */
export interface PageOrder {
  /** The last segment of the page's address; its links and forms are relative to it. */
  readonly sealed: string;
  /** Whether the link has the right to cancel and to run again. */
  readonly canControl: boolean;
  /** Goes back with the forms; of one rendering of the page. */
  readonly nonce: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** What changes while a build runs, each part the inside of an element of the page, by the element's id. */
export type PageParts = ReadonlyMap<string, string>;

const MAX_NAME_LENGTH = 200;
const MAX_SUBJECT_LENGTH = 300;
const MAX_DETAIL_LENGTH = 20_000;

/** Of the steps everything but their logs. */
export function renderParts({ state, isLed }: Pick<BuildView, 'state' | 'isLed'>, order: PageOrder): PageParts {
  const words = toBuildWords(state);
  return new Map([
    ['summary', renderSummary(words, state, renderFacts(state, order.now))],
    ['notices', renderNotices(state, isLed)],
    ['controls', renderControls(state, { ...order, isLed })],
    ...toPageSteps(state.steps).flatMap((step) => [
      [`sum-${step.id}`, renderStepSummary(step, order.now)] as const,
      [`earlier-${step.id}`, renderEarlier(step, order.sealed)] as const,
    ]),
  ]);
}

export function toTitle({ tone, word }: Words, build: Build | undefined): string {
  const where = build === undefined ? ['c3'] : [toRepository(build), toOneLine(build.ref.name, MAX_NAME_LENGTH)];
  return [`${TITLE_SYMBOLS[tone]} ${word}`, ...where.filter((text) => text !== '')].join(' · ');
}

/** A disc in the colour of the state, as a data URI; as the symbols, it says the state by its shape too. */
export function toIcon(tone: Tone): string {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="${ICON_COLOURS[tone]}"/><path d="${SYMBOLS[tone]}" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

export function renderSymbol(tone: Tone): string {
  return `<svg class="symbol ${tone}" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="8"/><path d="${SYMBOLS[tone]}"/></svg>`;
}

/** What stands over everything: the state, what was pushed, how long it took. */
export function renderSummary(
  words: Words,
  { build, urls }: Pick<BuildState, 'build' | 'urls'>,
  facts: readonly string[],
): string {
  const ref = toOneLine(build.ref.name, MAX_NAME_LENGTH);
  const subject = toOneLine(build.commit.subject, MAX_SUBJECT_LENGTH);
  const author = toOneLine(build.commit.author, MAX_NAME_LENGTH);
  return [
    `<h1>${renderSymbol(words.tone)}<span>${escapeHtml(words.word)}</span></h1>`,
    `<p class="push">${renderLink(urls.repository, escapeHtml(toRepository(build)))}`,
    // Unknown where a link had no room for it.
    ref === '' ? '' : ` <span class="ref">${build.ref.kind === 'tag' ? 'tag ' : ''}${escapeHtml(ref)}</span>`,
    ` ${renderLink(urls.commit, `<code>${escapeHtml(build.sha.slice(0, 7))}</code>`)}</p>`,
    subject === '' ? '' : `<p class="subject">${escapeHtml(subject)}`,
    subject !== '' && author !== '' ? ` <span class="quiet">by ${escapeHtml(author)}</span>` : '',
    subject === '' ? '' : '</p>',
    facts.length === 0 ? '' : `<p class="facts quiet">${facts.join('<span aria-hidden="true"> · </span>')}</p>`,
  ].join('');
}

/** Addresses come from the forge's settings and the repository's name; none but the web's becomes a link all the same. */
function renderLink(address: string, inner: string): string {
  if (!/^https?:\/\//i.test(address)) return inner;
  return `<a href="${escapeHtml(address)}" rel="noopener noreferrer">${inner}</a>`;
}

function toRepository({ scope }: Build): string {
  return `${scope.owner}/${scope.name}`;
}

function renderFacts({ startedAt, endedAt, isWarm, phase, previous }: BuildState, now: number): string[] {
  const began = new Date(startedAt).toISOString();
  const isOver = phase.kind === 'ended';
  return [
    renderTime({ startedAt, endedAt, isRunning: !isOver }, now),
    ...(isWarm === undefined ? [] : [isWarm ? 'warm Pod' : 'cold Pod']),
    ...(isOver && previous === 'failed' && toBuildWords({ phase, previous }).tone === 'failed'
      ? ['failed before too']
      : []),
    `<time datetime="${began}">${began.slice(0, 16).replace('T', ' ')} UTC</time>`,
  ];
}

/** A running time is kept going by the page's script; `data-since` says from when. */
function renderTime(
  { startedAt, endedAt, isRunning }: { startedAt: number; endedAt: number | undefined; isRunning: boolean },
  now: number,
): string {
  if (!isRunning) return endedAt === undefined ? '' : `<span>${formatDuration(endedAt - startedAt)}</span>`;
  return `<span data-since="${startedAt}">${formatDuration(now - startedAt)}</span>`;
}

function renderNotices({ phase, warnings }: BuildState, isLed: boolean): string {
  const sentence = toBuildSentence(phase);
  const detail = phase.kind === 'ended' && phase.ending.kind === 'config-error' ? phase.ending.detail : undefined;
  const isOver = phase.kind === 'ended';
  return [
    sentence === undefined ? '' : `<p class="sentence">${escapeHtml(sentence)}</p>`,
    detail === undefined ? '' : renderDetail(detail),
    ...warnings.map((warning) => `<div class="warning">${renderDetail(warning)}</div>`),
    isOver || isLed
      ? ''
      : '<p class="warning">No c3 that is known here leads this build now. This is what its Pod shows.</p>',
  ].join('');
}

/** Lines as they are, carets and all. */
export function renderDetail(detail: string): string {
  const text = toPlainText(detail).slice(0, MAX_DETAIL_LENGTH);
  return text === '' ? '' : `<pre tabindex="0">${escapeHtml(text)}</pre>`;
}

/** Forms for whoever may: each asks before it does anything, with or without a script. */
export function renderControls(
  state: Pick<BuildState, 'phase'> | undefined,
  { sealed, canControl, nonce, isLed }: PageOrder & { isLed: boolean },
): string {
  if (!canControl) return '';
  const isRunning = state !== undefined && state.phase.kind !== 'ended' && isLed;
  const [action, label, question, word] = isRunning
    ? ['cancel', 'Cancel', 'Its steps are stopped; what stands in “finally” still runs.', 'Cancel this build']
    : ['rerun', 'Re-run', 'The same commit is built again, as a new build.', 'Run it again'];
  return [
    `<details class="confirm"><summary class="button">${label}</summary>`,
    `<form method="post" action="${escapeHtml(`${sealed}/${action}`)}"><p>${question}</p>`,
    `<input type="hidden" name="nonce" value="${escapeHtml(nonce)}">`,
    `<button class="${isRunning ? 'danger' : 'go'}">${word}</button></form></details>`,
  ].join('');
}

function renderStepSummary({ title, state }: PageStep, now: number): string {
  const { tone, word, note } = toStepWords(state);
  const { startedAt, endedAt, phase, attempt, group } = state;
  const notes = [
    ...(group === undefined ? [] : ['in parallel']),
    ...(attempt > 1 ? [`attempt ${attempt}`] : []),
    ...(note === undefined ? [] : [note]),
  ];
  const time =
    startedAt === undefined ? '' : renderTime({ startedAt, endedAt, isRunning: phase.kind === 'running' }, now);
  return [
    renderSymbol(tone),
    `<h3>${escapeHtml(title)}<span class="spoken"> ${word}</span></h3>`,
    notes.length === 0 ? '' : `<span class="note">${escapeHtml(notes.join(' · '))}</span>`,
    time === '' ? '' : `<span class="time">${time}</span>`,
  ].join('');
}

/** Links to the raw logs of the attempts before the newest. */
export function renderEarlier({ id, state: { attempt } }: PageStep, sealed: string): string {
  const attempts = Array.from({ length: Math.min(attempt - 1, MAX_EARLIER) }, (_, index) => attempt - 1 - index);
  const log = toLogAddress(id, sealed);
  return attempts.map((earlier) => `<a href="${log}&amp;attempt=${earlier}">Attempt ${earlier}</a>`).join('');
}

/** More attempts than c3.yaml allows to retry. */
const MAX_EARLIER = 20;

/** Of a 16 by 16 square, drawn with round strokes on a disc. */
const SYMBOLS: Readonly<Record<Tone, string>> = {
  waiting: 'M8 4.5V8l2.3 1.6',
  running: 'M8 1A7 7 0 0 1 15 8',
  passed: 'M4.7 8.4l2.2 2.2 4.4-5',
  warned: 'M8 4v4.4M8 11.6v.1',
  failed: 'M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4',
  stopped: 'M4.7 8h6.6',
  skipped: 'M5 5l3 3-3 3M8.6 5l3 3-3 3',
};

const ICON_COLOURS: Readonly<Record<Tone, string>> = {
  waiting: '#6e7781',
  running: '#0969da',
  passed: '#1a7f37',
  warned: '#9a6700',
  failed: '#cf222e',
  stopped: '#6e7781',
  skipped: '#6e7781',
};
