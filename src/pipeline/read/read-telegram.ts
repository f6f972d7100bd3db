import { NOTIFICATIONS, telegramVocabulary } from '../language.ts';
import type { Notify, Telegram } from '../pipeline.ts';
import type { ProblemList } from '../problem-list.ts';
import { quote } from '../problem-list.ts';
import { suggest } from '../suggest.ts';
import type { YamlEntry, YamlNode } from '../yaml-tree.ts';
import { readSealed } from './read-sealed.ts';
import { readBoolean, readText, refuseUnknownKeys } from './read-value.ts';

const defaultNotify: Notify = 'failure';

/** What other systems call it. */
const foreignWords: ReadonlyMap<string, Notify> = new Map([
  ['all', 'always'],
  ['true', 'always'],
  ['success', 'always'],
  ['none', 'never'],
  ['off', 'never'],
  ['false', 'never'],
  ['on_failure', 'failure'],
  ['failed', 'failure'],
  ['on_change', 'change'],
  ['fixed', 'change'],
]);

/** `telegram`: a sealed value alone, or a mapping. */
export function readTelegram(entry: YamlEntry | undefined, problems: ProblemList): Telegram | undefined {
  if (entry === undefined) return undefined;
  if (entry.value.kind !== 'map') {
    const to = readTo(entry, 'telegram', problems);
    return to === undefined ? undefined : { to, notify: defaultNotify, log: false };
  }
  const map = entry.value;
  refuseUnknownKeys(map, telegramVocabulary, problems);
  const toEntry = map.entries.get('to');
  const to = toEntry && readTo(toEntry, 'telegram.to', problems);
  const notify = map.entries.get('notify')?.value;
  const log = map.entries.get('log')?.value;
  return {
    ...(to === undefined ? {} : { to }),
    notify: (notify && readNotify(notify, problems)) ?? defaultNotify,
    log: (log && readBoolean(log, 'telegram.log', problems)) ?? false,
  };
}

function readTo(entry: YamlEntry, what: string, problems: ProblemList): string | undefined {
  const use = { what, purpose: 'telegram', content: 'the token and the chat', at: entry.key };
  return readSealed(entry.value, use, problems);
}

function readNotify(node: YamlNode, problems: ProblemList): Notify | undefined {
  const isBoolean = node.kind === 'scalar' && typeof node.value === 'boolean';
  const text = isBoolean ? String(node.value) : readText(node, 'telegram.notify', problems);
  if (text === undefined) return undefined;
  const word = NOTIFICATIONS.find((known) => known === text);
  if (word !== undefined) return word;
  const meant = foreignWords.get(text) ?? suggest(text, NOTIFICATIONS);
  const hint = meant === undefined ? `it is one of ${NOTIFICATIONS.join(', ')}` : `did you mean "${meant}"?`;
  problems.error(node, `telegram.notify does not know ${isBoolean ? text : quote(text)}`, hint);
  return undefined;
}
