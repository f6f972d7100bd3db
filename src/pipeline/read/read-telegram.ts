import { NOTIFICATIONS, telegramVocabulary } from '../language.ts';
import type { Notify, Telegram } from '../pipeline.ts';
import type { ProblemList } from '../problem-list.ts';
import { forEach } from '../vocabulary.ts';
import type { YamlEntry } from '../yaml-tree.ts';
import { readRef, readToken } from './read-sealed.ts';
import { readBoolean, readChild, readWord, refuseUnknownKeys } from './read-value.ts';

const defaultNotify: Notify = 'failure';

/** What other CI systems write instead of our words. */
const foreignWords: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...forEach(['all', 'true', 'success'], 'did you mean "always"?'),
    ...forEach(['none', 'off', 'false'], 'did you mean "never"?'),
    ...forEach(['on_failure', 'failed'], 'did you mean "failure"?'),
    ...forEach(['on_change', 'fixed'], 'did you mean "change"?'),
  }),
);

/** Reads `telegram`: a sealed value, or a mapping. */
export function readTelegram(entry: YamlEntry | undefined, problems: ProblemList): Telegram | undefined {
  if (entry === undefined) return undefined;
  const map = entry.value;
  if (map.kind !== 'map') {
    const value = readDestination(entry, 'telegram', problems);
    return value === undefined ? undefined : { to: { value }, notify: defaultNotify, log: false };
  }
  refuseUnknownKeys(map, telegramVocabulary, problems);
  const destination = map.entries.get('to');
  const value = destination && readDestination(destination, 'telegram.to', problems);
  const ref = readRef(map, 'telegram', problems);
  const refEntry = map.entries.get('ref');
  if (refEntry && !destination) {
    problems.error(refEntry.key, 'telegram.ref has no effect without telegram.to', 'only a sealed value is for refs');
  }
  const words = { words: NOTIFICATIONS, foreign: foreignWords, problems };
  return {
    ...(value === undefined ? {} : { to: { value, ...(ref === undefined ? {} : { ref }) } }),
    notify: readChild(map, 'notify', (node) => readWord(node, 'telegram.notify', words)) ?? defaultNotify,
    log: readChild(map, 'log', (node) => readBoolean(node, 'telegram.log', problems)) ?? false,
  };
}

function readDestination(entry: YamlEntry, what: string, problems: ProblemList): string | undefined {
  return readToken(entry, { what, purpose: 'telegram', content: 'the token and the chat' }, problems);
}
