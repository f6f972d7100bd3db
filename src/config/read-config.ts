import { C3Error } from '../errors.ts';
import { suggest } from '../pipeline/suggest.ts';
import type { ForgeSetting, LogLevel, PodPolicy, TelegramChat } from './parse-values.ts';
import { SETTINGS, type FlagName, type SettingName, type SettingValues } from './settings.ts';

/** The settings of a server. Frozen. Holds secrets: never log it whole. */
export interface Config extends SealingConfig {
  /** 0: the system chooses. */
  readonly port: number;
  readonly host: string;
  /** The operator's chat, for builds whose c3.yaml names none. */
  readonly telegram: (TelegramChat & { readonly token: string }) | undefined;
  /** The token of the operator's bot. It may be set without a chat, for chats that the operator has sealed. */
  readonly telegramToken: string | undefined;
  /** Base URL of the Bot API, without a slash at its end. */
  readonly telegramApi: string;
  /** At least github.com. No two have the same host. */
  readonly forges: readonly ForgeSetting[];
  /** For `matchRepo`. */
  readonly allowRepos: readonly string[];
  /** `address/prefix`, for `createClusterPool`. */
  readonly allowNets: readonly string[];
  readonly podPolicy: PodPolicy;
  /** Deliveries a minute of one webhook. */
  readonly rateLimit: number;
  /** Deliveries a minute of all webhooks whose token the forge has not confirmed. */
  readonly rateLimitNew: number;
  /** Builds of one repository at the same time. */
  readonly maxBuilds: number;
  readonly logLevel: LogLevel;
}

/** What `c3 encrypt` needs of the settings. */
export interface SealingConfig {
  /** For `parseKeyring`. */
  readonly secret: string;
  /** Public base URL, without a slash at its end. */
  readonly url: string;
}

/** Values of the command line's flags, as commander gives them. */
export type Flags = Readonly<Partial<Record<FlagName, string | undefined>>>;

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads `C3_SECRET_FILE` as UTF-8. Throws if it cannot. */
type ReadFile = (path: string) => string;

/**
 * Reads the settings of a server from the command line and the environment. A flag overrides its variable, and a
 * variable overrides the default. An empty text counts as unset.
 *
 * @throws {C3Error} CONFIG_INVALID with one line for each mistake, which names the setting and quotes no secret
 */
export function readConfig(env: Environment, flags: Flags, readFile: ReadFile): Config {
  const source: Source = { env, flags, mistakes: [] };
  const secret = readSecret(source, readFile);
  const port = readSetting('port', source) ?? 0;
  const url = readSetting('url', source) ?? toDefaultUrl(port);
  const host = readSetting('host', source) ?? '';
  const telegramToken = readSetting('telegramToken', source);
  const telegram = readTelegram(source, telegramToken);
  const telegramApi = readSetting('telegramApi', source) ?? '';
  const forges = readSetting('forges', source) ?? [];
  const allowRepos = readAllowRepos(source);
  const allowNets = readSetting('allowNets', source) ?? [];
  const podPolicy = readSetting('podPolicy', source) ?? 'restricted';
  const rateLimit = readSetting('rateLimit', source) ?? 1;
  const rateLimitNew = readSetting('rateLimitNew', source) ?? 1;
  const maxBuilds = readSetting('maxBuilds', source) ?? 1;
  const logLevel = readSetting('logLevel', source) ?? 'info';
  source.mistakes.push(...findUnknownVariables(env));
  refuseMistakes(source);
  return Object.freeze({
    secret,
    url,
    port,
    host,
    telegram,
    telegramToken,
    telegramApi,
    forges: Object.freeze(forges.map((forge) => Object.freeze(forge))),
    allowRepos: Object.freeze([...allowRepos]),
    allowNets: Object.freeze([...allowNets]),
    podPolicy,
    rateLimit,
    rateLimitNew,
    maxBuilds,
    logLevel,
  });
}

/** Reads only the settings that sealing needs, in the same way. @throws {C3Error} CONFIG_INVALID */
export function readSealingConfig(env: Environment, flags: Flags, readFile: ReadFile): SealingConfig {
  const source: Source = { env, flags, mistakes: [] };
  const secret = readSecret(source, readFile);
  const url = readSetting('url', source) ?? toDefaultUrl(readSetting('port', source) ?? 0);
  refuseMistakes(source);
  return { secret, url };
}

interface Source {
  readonly env: Environment;
  readonly flags: Flags;
  readonly mistakes: string[];
}

function refuseMistakes({ mistakes }: Source): void {
  if (mistakes.length === 0) return;
  throw new C3Error('CONFIG_INVALID', mistakes.join('\n'), {
    hint: 'docs/settings.md describes each setting',
  });
}

/**
 * Returns a setting's value, or its default. Returns undefined if it has neither, or if its text is a mistake, which
 * is noted.
 */
function readSetting<Name extends SettingName>(name: Name, source: Source): SettingValues[Name] | undefined {
  const setting = SETTINGS[name];
  const text = findText(name, source) ?? setting.default;
  if (text === undefined) return undefined;
  const parsed = setting.parse(text);
  if ('value' in parsed) return parsed.value;
  source.mistakes.push(`${setting.env} ${parsed.mistake}`);
  return undefined;
}

/** Returns the text of the flag or of the variable. */
function findText(name: SettingName, { env, flags }: Source): string | undefined {
  const flag = (flags as Environment)[name]?.trim();
  if (flag) return flag;
  const variable = SETTINGS[name].env;
  const text = env[variable]?.trim();
  return text === undefined || text === '' || isFromService(variable, text) ? undefined : text;
}

function toDefaultUrl(port: number): string {
  return `http://localhost:${port}`;
}

function readSecret(source: Source, readFile: ReadFile): string {
  const { mistakes } = source;
  const secret = readSetting('secret', source);
  const path = readSetting('secretFile', source);
  if (secret !== undefined && path !== undefined) {
    mistakes.push('C3_SECRET and C3_SECRET_FILE are both set: set only one of them');
    return secret;
  }
  if (path === undefined) {
    if (secret !== undefined) return secret;
    mistakes.push('C3_SECRET is not set, and C3_SECRET_FILE is not either: c3 keygen prints a new secret');
    return '';
  }
  try {
    const text = readFile(path).trim();
    if (text === '') mistakes.push(`C3_SECRET_FILE names "${path}", which is empty`);
    return text;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    mistakes.push(`C3_SECRET_FILE names "${path}", which cannot be read${code}`);
    return '';
  }
}

function readTelegram(source: Source, token: string | undefined): Config['telegram'] {
  const chat = readSetting('telegramChat', source);
  if (findText('telegramChat', source) !== undefined && findText('telegramToken', source) === undefined) {
    source.mistakes.push('C3_TELEGRAM_CHAT is set, but C3_TELEGRAM_TOKEN is not: no bot would write there');
  }
  return token !== undefined && chat ? Object.freeze({ token, ...chat }) : undefined;
}

function readAllowRepos(source: Source): readonly string[] {
  if (findText('allowRepos', source) === undefined) {
    source.mistakes.push(
      'C3_ALLOW_REPOS is not set: name the repositories to serve, such as github.com/acme/*; ** serves every repository of the forges',
    );
  }
  return readSetting('allowRepos', source) ?? [];
}

/**
 * Finds the variables that look like settings and are none: a misspelt setting would have no effect, without a word.
 */
function findUnknownVariables(env: Environment): string[] {
  const known = Object.values(SETTINGS).map((setting) => setting.env);
  const unknown = Object.entries(env).filter(
    ([name, text = '']) =>
      name.startsWith('C3_') && text.trim() !== '' && !known.includes(name) && !isFromService(name, text),
  );
  return unknown.map(([name]) => {
    const nearest = suggest(name, known);
    return `${name} is not a setting${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
  });
}

/**
 * Whether Kubernetes made the variable for a Service in the namespace of the Pod. For a Service named `c3` these are
 * `C3_SERVICE_HOST`, `C3_SERVICE_PORT`, `C3_SERVICE_PORT_HTTP`, `C3_PORT=tcp://10.0.0.1:8668`, `C3_PORT_8668_TCP` and
 * `C3_PORT_8668_TCP_ADDR`. For one named `c3-web` they begin with `C3_WEB_`.
 *
 * @see https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
function isFromService(name: string, text: string): boolean {
  if (name.endsWith('_PORT') && /^(?:tcp|udp|sctp):\/\//.test(text.trim())) return true;
  return /_SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/.test(name);
}
