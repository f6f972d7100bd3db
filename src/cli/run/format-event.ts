import { styleText } from 'node:util';
import { toVisible } from '../../pipeline/index.ts';
import { formatDuration } from '../../show/index.ts';
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

const MARKS: Readonly<Record<StepEnded['outcome'], { mark: string; style: Style }>> = {
  passed: { mark: '✔', style: 'green' },
  failed: { mark: '✘', style: 'red' },
  'timed-out': { mark: '✘', style: 'red' },
  cancelled: { mark: '■', style: 'yellow' },
  lost: { mark: '✘', style: 'red' },
  skipped: { mark: '–', style: 'gray' },
};

const WORDS: Readonly<Record<Extract<RunEvent, { kind: 'ended' }>['outcome'], { words: string; style: Style }>> = {
  passed: { words: 'passed', style: 'green' },
  skipped: { words: 'skipped', style: 'gray' },
  failed: { words: 'failed', style: 'red' },
  'timed-out': { words: 'timed out', style: 'red' },
  cancelled: { words: 'cancelled', style: 'yellow' },
  superseded: { words: 'superseded', style: 'yellow' },
  'config-error': { words: 'config error', style: 'red' },
  refused: { words: 'refused', style: 'red' },
  'infrastructure-error': { words: 'infrastructure error', style: 'red' },
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
    const { mark, style } = MARKS[ended.outcome];
    const duration = ended.outcome === 'skipped' ? '' : `  ${formatDuration(ended.durationMs)}`;
    const why = describeEnd(ended);
    return `${paint(style, `${mark} ${ended.name}`)}${paint('gray', duration)}${why === '' ? '' : `  ${why}`}`;
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
          // What was left out stands in the summary.
          return event.outcome === 'skipped' ? [] : [toEndLine(event)];
        case 'ended': {
          const { words, style } = WORDS[event.outcome];
          const step = event.step === undefined ? '' : ` in step "${event.step}"`;
          const message = event.message === '' ? '' : `: ${event.message}`;
          const summary = [...ends.values()].sort((a, b) => a.step - b.step).map((ended) => `  ${toEndLine(ended)}`);
          const last = `${paint(style, words)}${step}${message} (${formatDuration(event.durationMs)})`;
          return [...(summary.length > 0 ? ['', ...summary] : []), '', ...last.split('\n')];
        }
      }
    },
  };
}

function describeEnd({ outcome, exitCode, isAllowed, reason }: StepEnded): string {
  const words = [
    exitCode === undefined ? '' : `exit code ${exitCode}`,
    outcome === 'timed-out' || outcome === 'lost' ? WORDS_OF_STEP[outcome] : '',
    reason ?? '',
    isAllowed && (outcome === 'failed' || outcome === 'timed-out') ? 'allowed' : '',
  ];
  return words.filter(Boolean).join(', ');
}

const WORDS_OF_STEP = { 'timed-out': 'timed out', lost: 'lost' } as const;

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
