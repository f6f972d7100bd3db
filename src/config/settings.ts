import {
  parseBaseUrl,
  parseBotToken,
  parseCount,
  parseForges,
  parseLogLevel,
  parseNets,
  parseJobGlobs,
  parseForks,
  parsePodPolicy,
  parsePort,
  parseRepoGlobs,
  parseTelegramChat,
  parseText,
  type Forks,
  type ForgeSetting,
  type LogLevel,
  type Parsed,
  type PodPolicy,
  type TelegramChat,
} from './parse-values.ts';

/** One setting, for the parser, `--help` and docs/settings.md. */
export interface Setting<T> {
  /** The environment variable. */
  readonly env: string;
  /** In commander's notation, `--port <number>`. A secret has none: every process can see the arguments. */
  readonly flag?: string;
  /** The kind of value, in a word or two. */
  readonly kind: string;
  /** Parsed like a given text. */
  readonly default?: string;
  /** Shown in place of `default`. */
  readonly defaultText?: string;
  /** What to do if the setting is not set. Without it, and without a default, the setting is optional. */
  readonly required?: string;
  /** One sentence, without a full stop. */
  readonly text: string;
  parse(text: string): Parsed<T>;
}

/** The parsed value of each setting. */
export interface SettingValues {
  /** For `parseKeyring`. */
  readonly secret: string;
  readonly secretFile: string | undefined;
  /** 0: the system chooses. */
  readonly port: number;
  readonly host: string;
  /** Public base URL, without a slash at its end. */
  readonly url: string;
  /** The token of the operator's bot. It may be set without a chat, for chats that the operator has sealed. */
  readonly telegramToken: string | undefined;
  readonly telegramChat: TelegramChat | undefined;
  /** Base URL of the Bot API, without a slash at its end. */
  readonly telegramApi: string;
  /** At least github.com. No two have the same host. */
  readonly forges: readonly ForgeSetting[];
  /** For `matchGlob`. */
  readonly allowRepos: readonly string[];
  /** `address/prefix`, for `createClusterPool`. */
  readonly allowNets: readonly string[];
  readonly podPolicy: PodPolicy;
  readonly forks: Forks;
  /** `serviceaccount/NAME` and `secret/NAME`, for `matchGlob`. */
  readonly allowInJobs: readonly string[];
  /** Deliveries a minute of one webhook. */
  readonly rateLimit: number;
  /** Deliveries a minute of all new webhooks (see `HookLimits`). */
  readonly rateLimitNew: number;
  /** Builds of one repository at the same time. */
  readonly maxBuilds: number;
  readonly logLevel: LogLevel;
}

export type SettingName = keyof SettingValues;

/** The settings that have a flag, by the name that commander gives it. */
export type FlagName = Exclude<SettingName, 'secret' | 'telegramToken'>;

/** All settings, in the order of docs/settings.md. */
export const SETTINGS: { readonly [Name in SettingName]: Setting<SettingValues[Name]> } = {
  secret: {
    env: 'C3_SECRET',
    kind: 'keys',
    text: 'Required, unless `C3_SECRET_FILE` is set. One or more keys from `c3 keygen`, separated by commas: the first one seals, all of them open',
    parse: parseText,
  },
  secretFile: {
    env: 'C3_SECRET_FILE',
    flag: '--secret-file <path>',
    kind: 'path',
    text: 'A file that contains the keys, in place of `C3_SECRET`',
    parse: parseText,
  },
  port: {
    env: 'C3_PORT',
    flag: '--port <number>',
    kind: 'port',
    default: '8668',
    text: 'The port to listen on; 0 lets the system choose',
    parse: parsePort,
  },
  host: {
    env: 'C3_HOST',
    flag: '--host <address>',
    kind: 'address',
    default: '0.0.0.0',
    text: 'The address to listen on; `::` for IPv6 as well, `127.0.0.1` for this machine only',
    parse: parseText,
  },
  url: {
    env: 'C3_URL',
    flag: '--url <url>',
    kind: 'URL',
    defaultText: '`http://localhost:` and the port',
    text: 'The public base URL of c3. Hook URLs and links begin with it',
    parse: parseBaseUrl,
  },
  telegramToken: {
    env: 'C3_TELEGRAM_TOKEN',
    kind: 'bot token',
    text: 'The bot that writes to `C3_TELEGRAM_CHAT` and to chats that the operator has sealed for a repository',
    parse: parseBotToken,
  },
  telegramChat: {
    env: 'C3_TELEGRAM_CHAT',
    flag: '--telegram-chat <chat>',
    kind: 'chat',
    text: 'The chat for builds whose c3.yaml names none: `-100123`, `-100123/45` for a topic, or `@name`. Requires `C3_TELEGRAM_TOKEN`',
    parse: parseTelegramChat,
  },
  telegramApi: {
    env: 'C3_TELEGRAM_API',
    flag: '--telegram-api <url>',
    kind: 'URL',
    default: 'https://api.telegram.org',
    text: 'The base URL of the Bot API, for a server of your own',
    parse: parseBaseUrl,
  },
  forges: {
    env: 'C3_FORGES',
    flag: '--forges <list>',
    kind: 'list',
    default: '',
    defaultText: 'github.com',
    text: 'Forges besides github.com, `kind=origin` or `kind=origin|apibase`, separated by commas; the kinds are `github`, `gitea`, `forgejo` and `gitlab`',
    parse: parseForges,
  },
  allowRepos: {
    env: 'C3_ALLOW_REPOS',
    flag: '--allow-repos <globs>',
    kind: 'globs',
    required: 'name the repositories to serve, such as github.com/acme/*; ** serves every repository of the forges',
    text: 'Required. The repositories to serve: globs of `host/owner/name`, separated by commas. `*` does not match `/`, `**` does. `**` alone serves every repository of the configured forges',
    parse: parseRepoGlobs,
  },
  allowNets: {
    env: 'C3_ALLOW_NETS',
    flag: '--allow-nets <nets>',
    kind: 'networks',
    default: '',
    defaultText: 'none',
    text: 'Private networks whose clusters c3 may connect to, `10.0.0.0/8,fd00::/8`',
    parse: parseNets,
  },
  podPolicy: {
    env: 'C3_POD_POLICY',
    flag: '--pod-policy <policy>',
    kind: 'policy',
    default: 'tenant',
    text: 'What a `job` may request: `tenant`, whatever its cluster allows; `baseline` or `restricted` of the Pod Security Standards',
    parse: parsePodPolicy,
  },
  allowInJobs: {
    env: 'C3_ALLOW_IN_JOBS',
    flag: '--allow-in-jobs <globs>',
    kind: 'globs',
    default: '',
    defaultText: 'none',
    text: 'With `baseline` and `restricted`: the service accounts and Secrets that a `job` may use, `serviceaccount/deployer,secret/npm-*`',
    parse: parseJobGlobs,
  },
  forks: {
    env: 'C3_FORKS',
    flag: '--forks <word>',
    kind: 'word',
    default: 'off',
    text: 'Pull requests from forks: `off` ignores them, `approve` builds each commit after somebody who may push has approved it',
    parse: parseForks,
  },
  rateLimit: {
    env: 'C3_RATE_LIMIT',
    flag: '--rate-limit <number>',
    kind: 'number',
    default: '120',
    text: 'Deliveries a minute of one webhook. c3 answers more with 429',
    parse: parseCount,
  },
  rateLimitNew: {
    env: 'C3_RATE_LIMIT_NEW',
    flag: '--rate-limit-new <number>',
    kind: 'number',
    default: '300',
    text: 'Deliveries a minute of all webhooks together whose key was sealed with the public key, until the forge confirms their token. They share it by repository',
    parse: parseCount,
  },
  maxBuilds: {
    env: 'C3_MAX_BUILDS',
    flag: '--max-builds <number>',
    kind: 'number',
    default: '50',
    text: 'Builds of one repository that run or wait at the same time. c3 answers a push beyond it with 429',
    parse: parseCount,
  },
  logLevel: {
    env: 'C3_LOG_LEVEL',
    flag: '--log-level <level>',
    kind: 'level',
    default: 'info',
    text: 'One of `fatal`, `error`, `warn`, `info`, `debug`, `trace`, `silent`',
    parse: parseLogLevel,
  },
};
