import {
  capitalize,
  describeBuild,
  describeRef,
  describeStep,
  formatDuration,
  toBuildSentence,
  type Build,
  type BuildPhase,
  type BuildState,
  type ConfigProblem,
  type StepState,
  type Tone,
  type Words,
} from '../build/index.ts';
import type { BuildView } from '../logs/build-view.ts';
import { escapeHtml } from './html.ts';
import { toLogAddress, toPageSteps, type PageStep } from './page-steps.ts';
import { toOneLine, toPlainText } from '../terminal/text.ts';

/** What a page needs besides the build. */
export interface PageOptions {
  /** The last segment of the page's address. Links and forms are relative to it. */
  readonly sealed: string;
  /** The page's public address. */
  readonly address: string;
  /** Whether the link grants the right to cancel and to run again. */
  readonly canControl: boolean;
  /** The forms send it back. Each rendering of the page has its own. */
  readonly nonce: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** The parts of a page that change while a build runs: the content of an element by the element's id. */
export type PageParts = ReadonlyMap<string, string>;

const MAX_NAME_LENGTH = 200;
const MAX_SUBJECT_LENGTH = 300;
const MAX_SENTENCE_LENGTH = 1_000;
const MAX_WARNING_LENGTH = 20_000;
/** More than the retries that c3.yaml allows. */
const MAX_EARLIER_ATTEMPTS = 20;

/** Renders everything except the logs. */
export function renderParts({ state, isLed }: Pick<BuildView, 'state' | 'isLed'>, options: PageOptions): PageParts {
  const isOver = state.phase.kind === 'ended';
  return new Map([
    ['summary', renderSummary(describeBuild(state), state, renderFacts(state, options.now))],
    ['notices', renderNotices(state, isLed)],
    [
      'controls',
      renderControls(options, !isOver && isLed ? 'cancel' : needsApproval(state.phase) ? 'approve' : 'rerun'),
    ],
    ...toPageSteps(state.steps).flatMap((step) => [
      [`sum-${step.id}`, renderStepSummary(step, options.now)] as const,
      [`earlier-${step.id}`, renderEarlier(step, options.sealed)] as const,
    ]),
  ]);
}

export function toTitle({ symbol, word }: Words, build: Build | undefined): string {
  const where = build === undefined ? ['c3'] : [toRepository(build), toOneLine(toRefText(build), MAX_NAME_LENGTH)];
  return [`${symbol} ${capitalize(word)}`, ...where.filter((text) => text !== '')].join(' · ');
}

/** Returns a disc in the colour of the state, as a data URI. Its shape also shows the state. */
export function toIcon(tone: Tone): string {
  const { path, colour } = SHAPES[tone];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="${colour}"/><path d="${path}" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

/** The colour is that of page.css with the name of the tone, if it has one. */
function renderSymbol(tone: Tone): string {
  return `<svg class="symbol ${tone}" color="var(--${tone}, var(--quiet))" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="8"/><path d="${SHAPES[tone].path}"/></svg>`;
}

/** Lines in a square of 16 by 16, drawn on a disc, and the colour of the disc in the icon. */
const SHAPES: Readonly<Record<Tone, { readonly path: string; readonly colour: string }>> = {
  waiting: { path: 'M8 4.5V8l2.3 1.6', colour: '#6e7781' },
  running: { path: 'M8 1A7 7 0 0 1 15 8', colour: '#0969da' },
  passed: { path: 'M4.7 8.4l2.2 2.2 4.4-5', colour: '#1a7f37' },
  warned: { path: 'M8 4v4.4M8 11.6v.1', colour: '#9a6700' },
  failed: { path: 'M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4', colour: '#cf222e' },
  stopped: { path: 'M4.7 8h6.6', colour: '#6e7781' },
  skipped: { path: 'M5 5l3 3-3 3M8.6 5l3 3-3 3', colour: '#6e7781' },
};

/** Renders the top of the page: the state, and if it is known, the commit. */
export function renderSummary(
  { tone, word }: Words,
  subject: Pick<BuildState, 'build' | 'urls'> | undefined,
  facts: readonly string[],
): string {
  const heading = `<h1>${renderSymbol(tone)}<span>${escapeHtml(capitalize(word))}</span></h1>`;
  if (subject === undefined) return heading;
  const line = facts.filter((fact) => fact !== '').join('<span aria-hidden="true"> · </span>');
  return heading + renderCommit(subject) + (line === '' ? '' : `<p class="facts quiet">${line}</p>`);
}

function renderCommit({ build, urls }: Pick<BuildState, 'build' | 'urls'>): string {
  // Empty where the link had no room for them.
  const ref = toOneLine(toRefText(build), MAX_NAME_LENGTH);
  const subject = toOneLine(build.commit.subject, MAX_SUBJECT_LENGTH);
  const author = toOneLine(build.commit.author, MAX_NAME_LENGTH);
  const by = author === '' ? '' : ` <span class="quiet">by ${escapeHtml(author)}</span>`;
  return [
    `<p class="push">${renderLink(urls.repository, escapeHtml(toRepository(build)))}`,
    ref === '' ? '' : ` <span class="ref">${escapeHtml(ref)}</span>`,
    ` ${renderLink(urls.commit, `<code>${escapeHtml(build.sha.slice(0, 7))}</code>`)}</p>`,
    subject === '' ? '' : `<p>${escapeHtml(subject)}${by}</p>`,
  ].join('');
}

/** Links to a web address. Renders `inner` alone for any other address. */
function renderLink(address: string, inner: string): string {
  if (!/^https?:\/\//i.test(address)) return inner;
  return `<a href="${escapeHtml(address)}" rel="noopener noreferrer">${inner}</a>`;
}

function toRefText(build: Build): string {
  const { mark, name } = describeRef(build);
  return mark === '' || name === '' ? name : `${mark} ${name}`;
}

function toRepository({ scope }: Build): string {
  return `${scope.owner}/${scope.name}`;
}

function renderFacts(state: BuildState, now: number): string[] {
  const { startedAt, isWarm, phase, previous } = state;
  const started = new Date(startedAt).toISOString();
  const isFailure = phase.kind === 'ended' && describeBuild(state).tone === 'failed';
  return [
    renderTime(state, now),
    isWarm === undefined ? '' : isWarm ? 'warm Pod' : 'cold Pod',
    isFailure && previous === 'failed' ? 'the previous build failed too' : '',
    `<time datetime="${started}">${started.slice(0, 16).replace('T', ' ')} UTC</time>`,
  ];
}

const RUNNING: ReadonlySet<string> = new Set<BuildPhase['kind']>(['queued', 'preparing', 'running']);

/** Renders a duration. The page's script updates a running one, which starts at `data-since`. */
function renderTime({ startedAt, endedAt, phase }: BuildState | StepState, now: number): string {
  if (startedAt === undefined) return '';
  if (RUNNING.has(phase.kind)) return `<span data-since="${startedAt}">${formatDuration(now - startedAt)}</span>`;
  return endedAt === undefined ? '' : `<span>${formatDuration(endedAt - startedAt)}</span>`;
}

function renderNotices({ phase, warnings }: BuildState, isLed: boolean): string {
  // The first problem of c3.yaml is the sentence of its ending.
  const problems = phase.kind === 'ended' && phase.ending.kind === 'config-error' ? (phase.ending.problems ?? []) : [];
  return [
    problems.length > 0 ? renderProblems(problems) : renderSentence(toBuildSentence(phase) ?? ''),
    ...warnings.map(renderWarning),
    phase.kind === 'ended' || isLed ? '' : LED_BY_ANOTHER,
  ].join('');
}

const LED_BY_ANOTHER =
  '<p class="warning">This c3 does not run this build, and knows no other c3 that does. The page shows what the Pod contains.</p>';

export function renderSentence(text: string): string {
  const line = toOneLine(text, MAX_SENTENCE_LENGTH);
  return line === '' ? '' : `<p class="sentence">${escapeHtml(line)}</p>`;
}

/** Renders the problems of c3.yaml, each with a link to its line at the forge. */
export function renderProblems(problems: readonly ConfigProblem[]): string {
  const items = problems.map(({ location, url = '', message, hint }) => {
    const line = location === undefined ? '' : `${renderLink(url, `<code>${escapeHtml(location)}</code>`)} error: `;
    const help = hint === undefined ? '' : `<p class="quiet">${escapeHtml(toOneLine(hint, MAX_SENTENCE_LENGTH))}</p>`;
    return `<li>${line}${escapeHtml(toOneLine(message, MAX_SENTENCE_LENGTH))}${help}</li>`;
  });
  return `<ul>${items.join('')}</ul>`;
}

/** Renders the lines of a warning unchanged. */
function renderWarning(warning: string): string {
  const text = toPlainText(warning).slice(0, MAX_WARNING_LENGTH);
  return text === '' ? '' : `<pre class="warning">${escapeHtml(text)}</pre>`;
}

function needsApproval(phase: BuildPhase): boolean {
  return phase.kind === 'ended' && phase.ending.kind === 'needs-approval';
}

const CONTROLS = {
  cancel: {
    label: 'Cancel',
    question: 'c3 stops the steps of this build. The steps in “finally” still run.',
    button: 'Cancel this build',
  },
  rerun: { label: 'Re-run', question: 'c3 builds the same commit again, as a new build.', button: 'Run it again' },
  approve: {
    label: 'Approve',
    question: 'c3 runs the code of this commit, which is from a fork, in your cluster. Read it first.',
    button: 'Run this commit',
  },
} as const;

/**
 * Renders the form to cancel, to run again or to approve. It asks for confirmation, with and without a script. With a link to view,
 * renders how to get the right.
 */
export function renderControls(
  { sealed, address, canControl, nonce }: PageOptions,
  control: keyof typeof CONTROLS,
): string {
  const { label, question, button } = CONTROLS[control];
  const action = control === 'cancel' ? control : 'rerun';
  const opening = `<details class="confirm"><summary class="button">${label}</summary>`;
  if (!canControl) {
    const command = `gh auth token | c3 link ${address}`;
    return `${opening}<div class="box"><p>This link only shows the build. Open its control link instead: the buttons in Telegram have it. Or get it with an access token that may push:</p><pre><code>${escapeHtml(command)}</code></pre></div></details>`;
  }
  return [
    opening,
    `<form method="post" action="${escapeHtml(`${sealed}/${action}`)}"><p>${question}</p>`,
    `<input type="hidden" name="nonce" value="${escapeHtml(nonce)}">`,
    `<button${control === 'cancel' ? ' class="danger"' : ''}>${button}</button></form></details>`,
  ].join('');
}

function renderStepSummary({ title, state }: PageStep, now: number): string {
  const { tone, word, note } = describeStep(state);
  const { attempt, group } = state;
  const notes = [
    group === undefined ? '' : 'in parallel',
    attempt > 1 ? `attempt ${attempt}` : '',
    toOneLine(note ?? '', MAX_SENTENCE_LENGTH),
  ].filter((text) => text !== '');
  const time = renderTime(state, now);
  return [
    renderSymbol(tone),
    `<h3>${escapeHtml(title)}<span class="spoken"> ${word}</span></h3>`,
    notes.length === 0 ? '' : `<span class="note">${escapeHtml(notes.join(' · '))}</span>`,
    time === '' ? '' : `<span class="time">${time}</span>`,
  ].join('');
}

/** Renders links to the raw logs of earlier attempts. */
export function renderEarlier({ id, state: { attempt } }: PageStep, sealed: string): string {
  const count = Math.min(attempt - 1, MAX_EARLIER_ATTEMPTS);
  const log = toLogAddress(id, sealed);
  return Array.from({ length: count }, (_, index) => attempt - 1 - index)
    .map((earlier) => `<a href="${log}&amp;attempt=${earlier}">Attempt ${earlier}</a>`)
    .join('');
}
