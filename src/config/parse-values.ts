import { isIP } from 'node:net';
import { trimEnd } from '../trim-end.ts';

/** A setting's value, or what is wrong with its text: the rest of a sentence that starts with the setting's name. */
export type Parsed<T> = { readonly value: T } | { readonly mistake: string };

/** The chat for builds whose c3.yaml names no destination. */
export interface TelegramChat {
  /** A numeric id (`-100…` for a supergroup or channel) or `@name`. */
  readonly chat: string;
  /** The topic (`message_thread_id`) in a forum. */
  readonly thread?: number;
}

export interface ForgeSetting {
  readonly kind: keyof typeof API_PATHS;
  /** Scheme, host and port, `https://github.com`. The forge serves the scopes of its host. */
  readonly origin: string;
  /** Without a slash at its end, `https://api.github.com`. */
  readonly apiBase: string;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const POD_POLICIES = ['tenant', 'baseline', 'restricted'] as const;
/** For `checkPodSecurity`. */
export type PodPolicy = (typeof POD_POLICIES)[number];

/**
 * The kinds of forges, and where each serves its API below the origin.
 *
 * @see https://docs.github.com/en/enterprise-server@3.17/rest/using-the-rest-api/getting-started-with-the-rest-api
 * @see https://docs.gitea.com/development/api-usage
 * @see https://docs.gitlab.com/api/rest/
 */
const API_PATHS = { github: '/api/v3', gitea: '/api/v1', gitlab: '/api/v4' } as const;

/** The words for them. Forgejo has the API of Gitea. */
const FORGE_KINDS: Readonly<Record<string, ForgeSetting['kind']>> = {
  github: 'github',
  gitea: 'gitea',
  forgejo: 'gitea',
  gitlab: 'gitlab',
};

/** Always among the forges. An entry for the same origin replaces it. */
const GITHUB: ForgeSetting = { kind: 'github', origin: 'https://github.com', apiBase: 'https://api.github.com' };

export function parseText(text: string): Parsed<string> {
  return { value: text };
}

export function parsePort(text: string): Parsed<number> {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : -1;
  return port >= 0 && port <= 65_535 ? { value: port } : { mistake: `is "${text}", not a port from 0 to 65535` };
}

export function parseLogLevel(text: string): Parsed<LogLevel> {
  return parseWord(text, LOG_LEVELS);
}

export function parsePodPolicy(text: string): Parsed<PodPolicy> {
  return parseWord(text, POD_POLICIES);
}

/** What c3 does with pull requests from forks. */
export type Forks = (typeof FORKS)[number];

const FORKS = ['off', 'approve'] as const;

export function parseForks(text: string): Parsed<Forks> {
  return parseWord(text, FORKS);
}

function parseWord<Word extends string>(text: string, words: readonly Word[]): Parsed<Word> {
  const value = words.find((word) => word === text);
  return value ? { value } : { mistake: `is "${text}", not one of ${words.join(', ')}` };
}

/** Parses a positive number in decimal digits. */
export function parseCount(text: string): Parsed<number> {
  return /^[1-9][0-9]{0,5}$/.test(text)
    ? { value: Number(text) }
    : { mistake: `is "${text}", not a whole number from 1 to 999999` };
}

/**
 * Parses networks, `address/prefix`, separated by commas. An address without a prefix is a network of one address.
 */
export function parseNets(text: string): Parsed<readonly string[]> {
  const nets: string[] = [];
  for (const entry of splitList(text)) {
    const [address = '', prefix, ...others] = entry.split('/');
    const bits = { 4: 32, 6: 128 }[isIP(address)];
    const length = prefix === undefined ? bits : /^[0-9]{1,3}$/.test(prefix) ? Number(prefix) : undefined;
    const isZoned = address.includes('%');
    if (bits === undefined || length === undefined || length > bits || others.length > 0 || isZoned) {
      return { mistake: `has the entry "${entry}", which is not a network such as 10.0.0.0/8 or fd00::/8` };
    }
    nets.push(`${address}/${length}`);
  }
  return { value: nets };
}

/** Parses an http(s) URL to which paths are appended, without its slashes at the end. */
export function parseBaseUrl(text: string): Parsed<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.username || url?.password)
    return { mistake: 'contains a user name or a password, which a base URL must not' };
  if (!url || !/^https?:$/.test(url.protocol)) {
    return { mistake: `is ${quote(text)}, not a URL such as https://c3.example.com` };
  }
  if (/[?#]/.test(text)) return { mistake: `is ${quote(text)}, but a base URL has no query and no fragment` };
  return { value: trimEnd(`${url.origin}${url.pathname}`, '/') };
}

/** Parses `CHAT` or `CHAT/TOPIC`. */
export function parseTelegramChat(text: string): Parsed<TelegramChat> {
  const match = /^(-?[1-9][0-9]{0,15}|@[A-Za-z][A-Za-z0-9_]{3,31})(?:\/([1-9][0-9]{0,15}))?$/.exec(text);
  const [, chat, thread] = match ?? [];
  if (!chat) return { mistake: `is "${text}", not a chat such as -100123, -100123/45 (with a topic) or @name` };
  return { value: thread ? { chat, thread: Number(thread) } : { chat } };
}

/** Parses a bot token, which no message quotes. */
export function parseBotToken(text: string): Parsed<string> {
  return /^[0-9]+:[A-Za-z0-9_-]+$/.test(text)
    ? { value: text }
    : { mistake: 'is not a bot token: that is a number, a colon, and letters, digits, "-" or "_"' };
}

/** Parses `kind=origin` or `kind=origin|apibase`, separated by commas. The result always starts with github.com. */
export function parseForges(text: string): Parsed<readonly ForgeSetting[]> {
  const byHost = new Map([[new URL(GITHUB.origin).host, GITHUB]]);
  const seen = new Set<string>();
  for (const entry of splitList(text)) {
    const parsed = parseForge(entry);
    if ('mistake' in parsed) return parsed;
    const { host } = new URL(parsed.value.origin);
    if (seen.has(host)) return { mistake: `names ${host} twice` };
    seen.add(host);
    byHost.set(host, parsed.value);
  }
  return { value: [...byHost.values()] };
}

function parseForge(entry: string): Parsed<ForgeSetting> {
  const [, kindText, originText = '', apiText] = /^([^=]*)=([^|]*)(?:\|(.*))?$/.exec(entry) ?? [];
  if (kindText === undefined) {
    return { mistake: `has the entry ${quote(entry)}, which is not of the form kind=origin or kind=origin|apibase` };
  }
  const kind = Object.hasOwn(FORGE_KINDS, kindText) ? FORGE_KINDS[kindText] : undefined;
  if (!kind) {
    const kinds = Object.keys(FORGE_KINDS).join(', ');
    return { mistake: `has a forge of kind "${kindText}", but the kinds are: ${kinds}` };
  }
  const origin = parseBaseUrl(originText);
  if ('mistake' in origin) return { mistake: `has an entry whose origin ${origin.mistake}` };
  if (new URL(origin.value).origin !== origin.value) {
    return { mistake: `has an entry whose origin is ${quote(originText)}, but an origin has no path` };
  }
  const apiDefault = origin.value === GITHUB.origin ? GITHUB.apiBase : origin.value + API_PATHS[kind];
  const apiBase = apiText === undefined ? { value: apiDefault } : parseBaseUrl(apiText);
  if ('mistake' in apiBase) return { mistake: `has an entry whose API base ${apiBase.mistake}` };
  return { value: { kind, origin: origin.value, apiBase: apiBase.value } };
}

/** Parses globs of `host/owner/name`, separated by commas, into lower case. */
export function parseRepoGlobs(text: string): Parsed<readonly string[]> {
  const globs = text.split(',').map((part) => part.trim().toLowerCase());
  for (const glob of globs) {
    if (!/^[a-z0-9._:/*-]+$/.test(glob))
      return { mistake: `has the entry "${glob}", which is not a glob of HOST/OWNER/NAME` };
    // "acme/*" would silently match nothing.
    if (!glob.includes('**') && glob.split('/').length < 3) {
      return { mistake: `has the entry "${glob}", which has no host: write github.com/${glob}` };
    }
  }
  return { value: globs };
}

/** Parses globs of `serviceaccount/NAME` and `secret/NAME`, separated by commas. */
export function parseJobGlobs(text: string): Parsed<readonly string[]> {
  const globs = splitList(text);
  const wrong = globs.find((glob) => !/^(?:serviceaccount|secret)\/[a-z0-9.*-]+$/.test(glob));
  return wrong === undefined
    ? { value: globs }
    : { mistake: `has the entry "${wrong}", which is not a glob of serviceaccount/NAME or secret/NAME` };
}

/**
 * Returns whether any glob matches the whole name of a repository, or of what a job may use. `*` matches any characters except `/`, `**` any
 * characters: `github.com/acme/*`, `gitlab.com/acme/**`.
 *
 * @param globs in lower case, as `parseRepoGlobs` returns them
 * @param scopeText `host/owner/name`, in lower case, as `formatScope` writes it
 */
export function matchGlob(globs: readonly string[], scopeText: string): boolean {
  return globs.some((glob) => toPattern(glob).test(scopeText));
}

function toPattern(glob: string): RegExp {
  const source = glob
    .split(/(\*+)/)
    .map((part) => (part === '*' ? '[^/]*' : part.startsWith('**') ? '.*' : part.replace(/[.\\+?^${}()|[\]]/g, '\\$&')))
    .join('');
  return new RegExp(`^${source}$`);
}

/** Splits at commas. An empty text has no entries. */
function splitList(text: string): string[] {
  return text.trim() === '' ? [] : text.split(',').map((part) => part.trim());
}

/** Quotes a text without the password that its URL may contain. */
function quote(text: string): string {
  return `"${text.replace(/(?<![^/@\s])[^/@\s]*@/g, '***@')}"`;
}
