import { NOTIFICATIONS, SEALED_PATTERN, telegramVocabulary } from '../language.ts';
import type { Notify, Telegram } from '../pipeline.ts';
import type { ProblemList } from '../problem-list.ts';
import { forEach } from '../vocabulary.ts';
import type { YamlEntry, YamlMap } from '../yaml-tree.ts';
import { readBoolean, readChild, readWord, refuseUnknownKeys, textOf } from './read-value.ts';

export interface SealedUse {
  /** `k8s`, `secrets.DEPLOY_KEY`. */
  readonly what: string;
  /** As in `c3 encrypt --for`: `k8s`, `telegram`, `secret:DEPLOY_KEY`. */
  readonly purpose: string;
  /** What is sealed: `a kubeconfig`. */
  readonly content: string;
}

/**
 * Reads a sealed value without opening it: checks only that it has four or five base64url parts. A problem points at
 * the key and never quotes the value: a value that is not sealed can be the secret itself, even between the brackets
 * of a placeholder.
 */
export function readSealed({ key, value }: YamlEntry, use: SealedUse, problems: ProblemList): string | undefined {
  const text = textOf(value)?.trim();
  if (text !== undefined && SEALED_PATTERN.test(text)) return text;
  if (problems.withoutSeals) return '';
  const command = `c3 encrypt --repo HOST/OWNER/NAME --for ${use.purpose}`;
  const hint = `seal ${use.content} with \`${command}\` or POST /encrypt, and put the result here`;
  if (text !== undefined && /^<[\w .:-]{1,60}>$/.test(text)) {
    problems.error(key, `${use.what} is still the placeholder of an example`, hint);
  } else if (text === '' || (value.kind === 'scalar' && value.value === null)) {
    problems.error(key, `${use.what} is empty`, hint);
  } else {
    problems.error(key, `${use.what} is not a sealed value`, `${hint}; a value in clear text is no longer secret`);
  }
  return undefined;
}

/** Reads `k8s`. */
export function readKubeconfig(map: YamlMap, problems: ProblemList): string | undefined {
  const entry = map.entries.get('k8s');
  if (entry === undefined) return problems.withoutSeals ? '' : undefined;
  return readSealed(entry, { what: 'k8s', purpose: 'k8s', content: 'a kubeconfig' }, problems);
}

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
    const to = readDestination(entry, 'telegram', problems);
    return to === undefined ? undefined : { to, notify: defaultNotify, log: false };
  }
  refuseUnknownKeys(map, telegramVocabulary, problems);
  const destination = map.entries.get('to');
  const to = destination && readDestination(destination, 'telegram.to', problems);
  const words = { words: NOTIFICATIONS, foreign: foreignWords, problems };
  return {
    ...(to === undefined ? {} : { to }),
    notify: readChild(map, 'notify', (node) => readWord(node, 'telegram.notify', words)) ?? defaultNotify,
    log: readChild(map, 'log', (node) => readBoolean(node, 'telegram.log', problems)) ?? false,
  };
}

function readDestination(entry: YamlEntry, what: string, problems: ProblemList): string | undefined {
  return readSealed(entry, { what, purpose: 'telegram', content: 'the token and the chat' }, problems);
}
