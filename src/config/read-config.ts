import { C3Error } from '../errors.ts';
import type { ForgeSetting, LogLevel, PodPolicy, TelegramChat } from './parse-values.ts';
import { SETTINGS, type FlagName, type SettingName, type SettingValues } from './settings.ts';

/** What c3 was told at its start. Frozen. Holds secrets: never log it whole. */
export interface Config {
  /** What `parseKeyring` reads. */
  readonly secret: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly host: string;
  /** Public base URL, without a slash at its end. */
  readonly url: string;
  /** The operator's destination, for builds that name none. */
  readonly telegram: (TelegramChat & { readonly token: string }) | undefined;
  /** The operator's bot, also without a destination: for chats that the operator has sealed. */
  readonly telegramToken: string | undefined;
  /** Base URL of the Bot API, without a slash at its end. */
  readonly telegramApi: string;
  /** At least github.com; no two of the same host. */
  readonly forges: readonly ForgeSetting[];
  /** For `matchRepo`. */
  readonly allowRepos: readonly string[];
  /** `address/prefix`, for `createClusterPool`. */
  readonly allowNets: readonly string[];
  readonly podPolicy: PodPolicy;
  /** Deliveries a minute of one webhook. */
  readonly rateLimit: number;
  /** Deliveries a minute of all webhooks that have proven nothing yet. */
  readonly rateLimitNew: number;
  /** Builds of one webhook at a time. */
  readonly maxBuilds: number;
  readonly logLevel: LogLevel;
}

/** Values of a command line's flags, as commander gives them. */
export type Flags = Readonly<Partial<Record<FlagName, string | undefined>>>;

/**
 * Makes the configuration of the environment and the command line: a flag goes before its variable, that before the default.
 * What is empty counts as unset.
 *
 * @param env the environment's variables; no others are read
 * @param readFile reads `C3_SECRET_FILE`, UTF-8; throws when it cannot
 * @throws {C3Error} CONFIG_INVALID with one line for each mistake, which names the setting and quotes no secret
 */
export function readConfig(
  env: Readonly<Record<string, string | undefined>>,
  flags: Flags,
  readFile: (path: string) => string,
): Config {
  const source: Source = { env, flags, mistakes: [] };
  const secret = readSecret(source, readFile);
  const port = readSetting('port', source) ?? 0;
  const host = readSetting('host', source) ?? '';
  const url = readSetting('url', source) ?? `http://localhost:${port}`;
  const telegramToken = readSetting('telegramToken', source);
  const telegram = readTelegram(source, telegramToken);
  const telegramApi = readSetting('telegramApi', source) ?? '';
  const forges = readSetting('forges', source) ?? [];
  const allowRepos = readSetting('allowRepos', source) ?? [];
  const allowNets = readSetting('allowNets', source) ?? [];
  const podPolicy = readSetting('podPolicy', source) ?? 'restricted';
  const rateLimit = readSetting('rateLimit', source) ?? 1;
  const rateLimitNew = readSetting('rateLimitNew', source) ?? 1;
  const maxBuilds = readSetting('maxBuilds', source) ?? 1;
  const logLevel = readSetting('logLevel', source) ?? 'info';
  const { mistakes } = source;
  if (mistakes.length > 0) {
    throw new C3Error('CONFIG_INVALID', mistakes.join('\n'), { hint: 'docs/settings.md tells what each setting is' });
  }
  return Object.freeze({
    secret,
    port,
    host,
    url,
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

interface Source {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: Flags;
  readonly mistakes: string[];
}

/** A setting's value: as given, else its default; undefined when there is neither, or when a mistake was noted. */
function readSetting<Name extends SettingName>(name: Name, source: Source): SettingValues[Name] | undefined {
  const setting = SETTINGS[name];
  const text = findText(name, source) ?? setting.default;
  if (text === undefined) return undefined;
  const parsed = setting.parse(text);
  if ('value' in parsed) return parsed.value;
  source.mistakes.push(`${setting.env} ${parsed.mistake}`);
  return undefined;
}

/** What was given, by flag or by variable; undefined when nothing was. */
function findText(name: SettingName, { env, flags }: Source): string | undefined {
  const flag = (flags as Readonly<Record<string, string | undefined>>)[name]?.trim();
  const text = flag || env[SETTINGS[name].env]?.trim();
  // In a namespace with a Service named "c3", Kubernetes gives every Pod C3_PORT=tcp://10.0.0.1:8668, meant for others:
  // https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
  if (name === 'port' && text?.startsWith('tcp://')) return undefined;
  return text || undefined;
}

function readSecret(source: Source, readFile: (path: string) => string): string {
  const { mistakes } = source;
  const secret = readSetting('secret', source);
  const path = readSetting('secretFile', source);
  if (secret !== undefined && path !== undefined) {
    mistakes.push('C3_SECRET and C3_SECRET_FILE are both set: only one of them may be');
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
