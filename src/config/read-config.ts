import { C3Error } from '../errors.ts';
import { suggest } from '../pipeline/suggest.ts';
import type { TelegramChat } from './parse-values.ts';
import { SETTINGS, type FlagName, type Setting, type SettingName, type SettingValues } from './settings.ts';

/** The settings of a server. Frozen. Holds secrets: never log it whole. */
export interface Config extends Omit<SettingValues, 'secretFile' | 'telegramChat'> {
  /** The operator's chat, for builds whose c3.yaml names none. */
  readonly telegram: (TelegramChat & { readonly token: string }) | undefined;
}

/** What `c3 encrypt` needs of the settings. */
export type SealingConfig = Pick<SettingValues, 'secret' | 'url'>;

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
  const sealing = readSealing(source, readFile);
  const names = Object.keys(SETTINGS).filter((name) => !(name in sealing)) as SettingName[];
  const values = Object.fromEntries(names.map((name) => [name, readSetting(name, source)]));
  if (findText('telegramChat', source) !== undefined && findText('telegramToken', source) === undefined) {
    source.mistakes.push('C3_TELEGRAM_CHAT is set, but C3_TELEGRAM_TOKEN is not: no bot would write there');
  }
  source.mistakes.push(...findUnknownVariables(env));
  refuseMistakes(source);
  // Without mistakes, every setting that is not optional has a value.
  const { secretFile: _, telegramChat, ...settings } = { ...values, ...sealing } as SettingValues;
  const { telegramToken: token } = settings;
  return deepFreeze({ ...settings, telegram: token && telegramChat ? { token, ...telegramChat } : undefined });
}

/** Reads only the settings that sealing needs, in the same way. @throws {C3Error} CONFIG_INVALID */
export function readSealingConfig(env: Environment, flags: Flags, readFile: ReadFile): SealingConfig {
  const source: Source = { env, flags, mistakes: [] };
  const { secret, url } = readSealing(source, readFile);
  refuseMistakes(source);
  return { secret, url };
}

/** Reads only the forges. @throws {C3Error} CONFIG_INVALID */
export function readForges(env: Environment, flags: Flags): SettingValues['forges'] {
  const source: Source = { env, flags, mistakes: [] };
  const forges = readSetting('forges', source);
  refuseMistakes(source);
  return forges ?? [];
}

interface Source {
  readonly env: Environment;
  readonly flags: Flags;
  readonly mistakes: string[];
}

function refuseMistakes({ mistakes }: Source): void {
  if (mistakes.length === 0) return;
  throw new C3Error('CONFIG_INVALID', mistakes.join('\n'), { hint: 'docs/settings.md describes each setting' });
}

/**
 * Returns a setting's value, or its default. Returns undefined if it has neither, or after it has noted a mistake.
 */
function readSetting<Name extends SettingName>(name: Name, source: Source): SettingValues[Name] | undefined {
  const setting: Setting<SettingValues[Name]> = SETTINGS[name];
  const text = findText(name, source) ?? setting.default;
  if (text === undefined) {
    if (setting.required !== undefined) source.mistakes.push(`${setting.env} is not set: ${setting.required}`);
    return undefined;
  }
  const parsed = setting.parse(text);
  if ('value' in parsed) return parsed.value;
  source.mistakes.push(`${setting.env} ${parsed.mistake}`);
  return undefined;
}

/** Returns the text of the flag or of the variable. */
function findText(name: SettingName, { env, flags }: Source): string | undefined {
  const flag = (flags as Environment)[name]?.trim();
  const variable = SETTINGS[name].env;
  const text = env[variable]?.trim() ?? '';
  return flag || (isFromService(variable, text) ? undefined : text || undefined);
}

function readSealing(source: Source, readFile: ReadFile): Pick<SettingValues, 'secret' | 'port' | 'url'> {
  const secret = readSecret(source, readFile);
  const port = readSetting('port', source) ?? 0;
  return { secret, port, url: readSetting('url', source) ?? `http://localhost:${port}` };
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

/**
 * Finds variables with the prefix of settings that are not settings. Otherwise c3 would silently ignore a misspelled
 * setting.
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

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part as object);
  return Object.freeze(value);
}
