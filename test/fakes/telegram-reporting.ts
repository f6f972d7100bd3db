import type { Reporter } from '../../src/build/index.ts';
import { createFakeClock, type FakeClock } from '../../dev/telegram/fake-clock.ts';
import { START } from '../../dev/telegram/build-states.ts';
import { createTelegramServer, type TelegramServer } from '../../dev/telegram/server.ts';
import { newest } from '../../dev/telegram/world.ts';
import { ChatThrottle } from '../../src/reporters/telegram/chat-throttle.ts';
import {
  createTelegramReporter,
  type TelegramReporterOptions,
} from '../../src/reporters/telegram/telegram-reporter.ts';
import { deadline } from '../time-limits.ts';

export const TOKEN = '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw';
export const PRIVATE = 42;
export const GROUP = -1001234567890;
export const TOPIC = 7;

/** The reporter, a fake Telegram, and a clock that stops during a request. */
export interface Reporting {
  readonly clock: FakeClock;
  readonly server: TelegramServer;
  readonly throttle: ChatThrottle;
  /** The logged warnings. */
  readonly warnings: string[];
  create(options?: ReportingOptions): Reporter;
  /** Advances the clock until the reporter has finished. */
  finish(reporter: Reporter): Promise<void>;
  /** Resolves with the versions of a message when it has `count` of them. */
  versions(count: number, messageId?: number): Promise<readonly string[]>;
  /** Returns the first line of the newest version of each message. */
  heads(): readonly string[];
  close(): Promise<void>;
}

export interface ReportingOptions extends Partial<Pick<TelegramReporterOptions, 'notify' | 'isLogSent' | 'apiBase'>> {
  readonly chat?: number | string;
  readonly thread?: number;
  readonly token?: string;
}

export async function openReporting({ hasLimits = false }: { hasLimits?: boolean } = {}): Promise<Reporting> {
  const clock = createFakeClock(START);
  const server = await createTelegramServer({
    bots: [{ token: TOKEN }],
    chats: [{ id: PRIVATE }, { id: GROUP, title: 'shop builds', threads: [TOPIC] }],
    hasLimits,
    now: clock.now,
  });
  const throttle = new ChatThrottle(clock);
  const warnings: string[] = [];

  /** Resolves with the complete response. */
  async function ask(url: Parameters<typeof fetch>[0], init: RequestInit | undefined): Promise<Response> {
    const response = await fetch(url, init);
    return new Response(await response.arrayBuffer(), response);
  }

  return {
    clock,
    server,
    throttle,
    warnings,
    create({ chat = PRIVATE, thread, token = TOKEN, ...options } = {}) {
      return createTelegramReporter({
        destination: { token, chat, ...(thread === undefined ? {} : { thread }) },
        apiBase: server.url,
        throttle,
        clock,
        log: { warn: (message) => warnings.push(message) },
        fetch: (url, init) => clock.hold(ask(url, init)),
        ...options,
      });
    },
    finish: (reporter) => clock.jumpUntil(reporter.finish()),
    async versions(count, messageId) {
      const message = await server.waitFor(
        (candidate) => candidate.versions.length >= count && candidate.messageId === (messageId ?? candidate.messageId),
        deadline(),
      );
      return message.versions.map(({ text }) => text);
    },
    heads: () => server.messages().map((message) => newest(message).text.split('\n')[0] ?? ''),
    close: () => server.close(),
  };
}
