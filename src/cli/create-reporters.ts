import type { Reporter } from '../build/index.ts';
import type { Config } from '../config/index.ts';
import type { BuildRequest, TelegramOrder } from '../engine/index.ts';
import { C3Error } from '../errors.ts';
import { TokenBucket } from '../limiter.ts';
import type { Log } from '../log.ts';
import {
  combineReporters,
  ChatThrottle,
  createCommitStatusReporter,
  createTelegramReporter,
  parseDestination,
  systemClock,
} from '../reporters/index.ts';
import { openSealed, type Binding, type Keyring } from '../sealing/index.ts';
import { quietUnproven, type UnprovenOptions } from './quiet-unproven.ts';

/** Messages a minute of builds that were not proven in the operator's chat: of the twenty that Telegram takes for a group. */
const UNPROVEN_TOLD_PER_MINUTE = 12;
/** Of them that wait for Telegram, of which each holds a build. */
const MAX_UNPROVEN_WAITING = 24;

export interface ReporterOrder {
  readonly request: BuildRequest;
  /** What c3.yaml says of Telegram, if it was read. */
  readonly order: TelegramOrder | undefined;
  /** Whether the forge has confirmed the push by now. */
  isProven(): boolean;
}

/** Reporters share what a process shares: the limits of a chat. */
export function createReporterFactory(config: Config, log: Log): (order: ReporterOrder) => Reporter {
  const throttle = new ChatThrottle(systemClock);
  const unproven = createUnprovenGate();
  return ({ request, order, isProven }) => {
    const fields = { build: request.build.id };
    const reporterLog = { warn: (message: string): void => log.warn(fields, message) };
    const reporters: Reporter[] = [
      createCommitStatusReporter({
        setStatus: (status, signal) => request.repository.setStatus(request.build.sha, status, signal),
        log: reporterLog,
      }),
    ];
    const destination = order?.destination === undefined ? config.telegram : parseDestination(order.destination);
    if (destination) {
      const reporter = createTelegramReporter({
        destination,
        apiBase: config.telegramApi,
        throttle,
        log: reporterLog,
        ...(order === undefined ? {} : { notify: order.notify, isLogSent: order.log }),
      });
      function onKept(): void {
        log.warn(fields, 'a build whose push was not proven was not told in Telegram: there were too many');
      }
      const quiet = quietUnproven(reporter, { ...unproven, isProven, onKept });
      reporters.push(order?.destination === undefined ? quiet : reporter);
    }
    return combineReporters(reporters, reporterLog);
  };
}

/** Bounds what the operator's chat is told of pushes that nobody has proven, and how many builds wait for that. */
function createUnprovenGate(): Pick<UnprovenOptions, 'enter' | 'leave'> {
  const told = new TokenBucket({ perMinute: UNPROVEN_TOLD_PER_MINUTE });
  let waiting = 0;
  return {
    enter() {
      if (waiting >= MAX_UNPROVEN_WAITING || told.take() > 0) return false;
      waiting += 1;
      return true;
    },
    leave() {
      waiting -= 1;
    },
  };
}

/** Opens a sealed value. @throws {C3Error} SEALED_INVALID; TELEGRAM_INVALID when it is for a bot that the operator does not have */
export type Opener = (token: string, binding: Binding) => Promise<{ plaintext: string; isOldKey: boolean }>;

/**
 * Opens sealed values. A Telegram destination for the operator's bot is completed with that bot's token, so that to all others
 * every destination is alike.
 *
 * @param operatorsBot its token, if there is one
 */
export function createOpener(keyring: Keyring, operatorsBot: string | undefined): Opener {
  return async (token, binding) => {
    if (binding.purpose.kind !== 'telegram') return await openSealed(keyring, token, binding);
    try {
      return await openSealed(keyring, token, binding);
    } catch (error) {
      const purpose = { kind: 'telegram', bot: 'operator' } as const;
      const opened = await openSealed(keyring, token, { ...binding, purpose }).catch(() => undefined);
      if (opened === undefined) throw error;
      if (operatorsBot === undefined) {
        throw new C3Error(
          'TELEGRAM_INVALID',
          "The Telegram destination is for the operator's bot, and this c3 has none",
          {
            hint: 'its operator sets C3_TELEGRAM_TOKEN; or seal a destination with the token of a bot of your own',
            cause: error,
          },
        );
      }
      const chat = JSON.parse(opened.plaintext) as object;
      return { ...opened, plaintext: JSON.stringify({ ...chat, token: operatorsBot }) };
    }
  };
}
