import type { BuildLook, StepRun } from '../logs/index.ts';
import { capitalize, describeBuild, describeStep, toBuildSentence } from '../build/index.ts';
import { toCutSentence, toFailureSentence, toPageSteps } from '../show/index.ts';
import { readLine, toOneLine } from '../terminal/text.ts';
import { followBuild } from './follow-build.ts';
import type { Write } from './stream-text.ts';

const MAX_SENTENCE_LENGTH = 1_000;

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
  function sayOnce(key: string, parts: readonly (string | undefined)[]): void {
    const text = toOneLine(parts.filter(Boolean).join(': '), MAX_SENTENCE_LENGTH);
    if (told.get(key) === text) return;
    told.set(key, text);
    void say(`== ${text} ==\n`);
  }
  function toPrefix({ index }: StepRun): string {
    return `[${toPageSteps(view.state.steps)[index]?.title ?? ''}] `;
  }

  await followBuild(
    view,
    {
      onState(state): void {
        sayOnce('build', [capitalize(describeBuild(state).word), toBuildSentence(state.phase)]);
        for (const warning of state.warnings) sayOnce(`! ${warning}`, ['Warning', warning]);
        for (const { id, title, state: step } of toPageSteps(state.steps)) {
          if (step.phase.kind === 'pending') continue;
          const { word, note } = describeStep(step);
          sayOnce(id, [title, note?.startsWith(word) ? note : [word, note].filter(Boolean).join(', ')]);
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
