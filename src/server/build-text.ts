import type { BuildLook, StepRun } from '../logs/index.ts';
import {
  readLine,
  toBuildSentence,
  toBuildWords,
  toCutSentence,
  toFailureSentence,
  toPageSteps,
  toStepWords,
  toWarningSentences,
} from '../show/index.ts';
import { followBuild } from './follow-build.ts';
import type { Write } from './stream-text.ts';

/** The live log for a terminal, `curl -N -H 'Accept: text/plain' …/events`: each line behind the name of its step, without colours. */
export async function writeLiveText(write: Write, look: BuildLook, signal: AbortSignal): Promise<void> {
  if (look.kind !== 'seen') return write(`== ${look.kind === 'failed' ? look.message : look.outcome.message} ==\n`);
  const { view } = look;
  /** The last of what was said, so that it is said once. */
  const told = new Map<string, string>();
  let writing = Promise.resolve();

  /** In order; the promise is the reader's pace. */
  function say(text: string): Promise<void> {
    writing = writing.then(() => write(text)).catch(() => {});
    return writing;
  }
  function sayOnce(key: string, text: string): void {
    if (told.get(key) === text) return;
    told.set(key, text);
    void say(text);
  }
  function toPrefix({ index }: StepRun): string {
    return `[${toPageSteps(view.state.steps)[index]?.title ?? ''}] `;
  }

  await followBuild(
    view,
    {
      onState(state): void {
        sayOnce(
          'build',
          `== ${[toBuildWords(state).word, toBuildSentence(state.phase)].filter(Boolean).join(': ')} ==\n`,
        );
        for (const sentence of toWarningSentences(state)) sayOnce(`! ${sentence}`, `== Warning: ${sentence} ==\n`);
        for (const { id, title, state: step } of toPageSteps(state.steps)) {
          if (step.phase.kind === 'pending') continue;
          const { word, note } = toStepWords(step);
          sayOnce(id, `== ${title}: ${word.toLowerCase()}${note === undefined ? '' : ` (${note})`} ==\n`);
        }
      },
      onLines(run, lines): Promise<void> {
        const prefix = toPrefix(run);
        return say(lines.map(({ text }) => `${prefix}${readLine(text)}\n`).join(''));
      },
      onPartial: () => {},
      onCut: (run, bytes) => void say(`${toPrefix(run)}${toCutSentence(bytes)}\n`),
      onRead(run, reading): void {
        if (reading.kind === 'failed') void say(`${toPrefix(run)}${toFailureSentence(reading.message)}\n`);
      },
    },
    { from: () => ({ offset: 0, pieces: 0 }), signal },
  );
  await writing;
}
