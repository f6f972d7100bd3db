import { styleText } from 'node:util';
import { describeStep, ENDING_WORDS, formatDuration, type StepPhase, type Tone } from '../../build/index.ts';
import { toVisible } from '../../pipeline/index.ts';
import { toShownLine } from './output-lines.ts';
import type { PlannedName, RunEvent, StepEnded } from './run-event.ts';

export interface Formatter {
  /** The lines that tell an event; none for what is not worth one. */
  format(event: RunEvent): string[];
}

type Style = Parameters<typeof styleText>[0];

/** One for each step in turn: those that are readable on dark and on light. */
const PREFIX_STYLES: readonly Style[] = ['cyan', 'magenta', 'blue', 'yellow', 'green'];

/** Of names in front of output; a longer one pushes its own lines to the right. */
const MAX_PREFIX_WIDTH = 24;

/** Marks that every terminal font contains, unlike emojis. */
const MARKS: Readonly<Record<Tone, { mark: string; style: Style }>> = {
  waiting: { mark: ' ', style: 'gray' },
  running: { mark: ' ', style: 'gray' },
  passed: { mark: '✔', style: 'green' },
  warned: { mark: '✘', style: 'yellow' },
  failed: { mark: '✘', style: 'red' },
  stopped: { mark: '■', style: 'yellow' },
  skipped: { mark: '–', style: 'gray' },
};

/** Events as lines for people, with a summary at the end. It remembers names and ends: one formatter for one run. */
export function createFormatter({ hasColours }: { hasColours: boolean }): Formatter {
  let steps: readonly PlannedName[] = [];
  const ends = new Map<number, StepEnded>();

  function paint(style: Style, text: string): string {
    return hasColours ? styleText(style, text, { validateStream: false }) : text;
  }
  function toPrefix(step: number, name: string): string {
    const width = Math.min(MAX_PREFIX_WIDTH, Math.max(0, ...steps.map((planned) => planned.name.length)));
    return paint(PREFIX_STYLES[step % PREFIX_STYLES.length] ?? 'cyan', `${name.padEnd(width)} │`);
  }
  function toEndLine(ended: StepEnded): string {
    const { tone, note } = describeStep({ phase: toPhase(ended), isAllowed: ended.isAllowed });
    const { mark, style } = MARKS[tone];
    const duration = ended.outcome === 'skipped' ? '' : `  ${formatDuration(ended.durationMs)}`;
    return `${paint(style, `${mark} ${ended.name}`)}${paint('gray', duration)}${note === undefined ? '' : `  ${note}`}`;
  }

  return {
    format(event): string[] {
      switch (event.kind) {
        case 'started': {
          const changed = event.changedFiles === 0 ? '' : `, ${count(event.changedFiles, 'file')} changed`;
          const ref = toVisible(event.ref.replace(/^refs\/(?:heads|tags)\//, ''));
          return [`c3: ${ref} at ${event.sha.slice(0, 7)}${changed}, on ${event.cluster}`];
        }
        case 'warning':
          return [`c3: ${paint('yellow', 'warning')}: ${event.message}`];
        case 'waiting':
          return [paint('gray', `c3: ${event.reason}`)];
        case 'planned':
          ({ steps } = event);
          return [];
        case 'step-started':
          return event.attempt === 1
            ? []
            : [`${toPrefix(event.step, event.name)} ${paint('yellow', `attempt ${event.attempt}`)}`];
        case 'output':
          return [
            `${toPrefix(event.step, event.name)} ${toShownLine(event.text, { keepsColours: hasColours })}`.trimEnd(),
          ];
        case 'step-ended':
          ends.set(event.step, event);
          // The summary shows skipped steps.
          return event.outcome === 'skipped' ? [] : [toEndLine(event)];
        case 'ended': {
          const { word, tone } = ENDING_WORDS[event.outcome];
          const step = event.step === undefined ? '' : ` in step "${event.step}"`;
          const message = event.message === '' ? '' : `: ${event.message}`;
          const summary = [...ends.values()].sort((a, b) => a.step - b.step).map((ended) => `  ${toEndLine(ended)}`);
          const last = `${paint(MARKS[tone].style, word)}${step}${message} (${formatDuration(event.durationMs)})`;
          return [...(summary.length > 0 ? ['', ...summary] : []), '', ...last.split('\n')];
        }
      }
    },
  };
}

function toPhase({ outcome, exitCode, reason }: StepEnded): StepPhase {
  switch (outcome) {
    case 'failed':
      return { kind: outcome, exitCode };
    case 'lost':
      return { kind: outcome, message: reason ?? '' };
    case 'skipped':
      return { kind: outcome, reason };
    case 'passed':
    case 'timed-out':
    case 'cancelled':
      return { kind: outcome };
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
