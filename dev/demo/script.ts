import { styleText } from 'node:util';
import { C3Error, toMessage } from '../../src/errors.ts';
import type { TelegramServer } from '../telegram/server.ts';

/** Prints the demonstration's text: with colours in a terminal, plain without one or with NO_COLOR. */
export interface Script {
  say(text: string): void;
  step(number: number, text: string): void;
  tell(label: string, text: string): void;
  quote(text: string): void;
  fail(error: unknown): void;
  /**
   * Prints the first line of a commit's message after each change. `from`: the start of the times, in epoch
   * milliseconds.
   */
  follow(telegram: TelegramServer, sha: string, from: number): { stop(): void };
}

export function createScript(): Script {
  function print(line: string): void {
    process.stdout.write(`${line}\n`);
  }
  function tell(label: string, text: string): void {
    print(`    ${styleText('dim', label.padEnd(9))} ${text}`);
  }
  return {
    say: (text) => print(`\n${styleText('bold', text)}`),
    step: (number, text) => print(`\n${styleText('cyan', `${number}.`)} ${text}`),
    tell,
    quote(text): void {
      for (const line of text.trimEnd().split('\n')) print(`    ${styleText('dim', '│')} ${line}`);
    },
    fail(error): void {
      print(`\n${styleText('red', 'demo: error:')} ${toMessage(error)}`);
      if (error instanceof C3Error && error.hint !== undefined) print(`demo: hint: ${error.hint}`);
    },
    follow(telegram, sha, from) {
      const stop = new AbortController();
      const seen = new Set<string>();
      const short = sha.slice(0, 7);
      // The predicate is called for each change and never matches; the signal ends the wait.
      telegram
        .waitFor((message) => {
          const newest = message.versions.at(-1);
          if (newest === undefined || !newest.text.includes(short)) return false;
          const [first = ''] = newest.text.split('\n');
          if (!seen.has(first)) tell('message', `${String(newest.at - from).padStart(5)} ms  ${first}`);
          seen.add(first);
          return false;
        }, stop.signal)
        .catch(() => {});
      return { stop: () => stop.abort() };
    },
  };
}
