import type { Clock } from '../clock.ts';
import { isGroupChat } from './parse-destination.ts';

/** Telegram names no limits; its FAQ says 1 message a second in a chat, 20 a minute in a group, and edits count as well. */
const PRIVATE_INTERVAL_MS = 3_000;
/** 12 edits a minute leave room for first messages and final states, which do not wait. */
const GROUP_INTERVAL_MS = 5_000;
/** Each further build at the same time sends two messages without waiting; edits make room for them. */
const INTERVAL_PER_FURTHER_BUILD_MS = 1_000;
const MAX_INTERVAL_MS = 30_000;

/** What one bot may send to one chat, shared by all builds that report there: create one for the process. */
export interface ChatThrottle {
  /** `bot` is anything that tells bots apart; give its id, not its token. */
  join(bot: string, chat: number | string): ChatSeat;
}

/** A build's part in a chat. Times are epoch milliseconds. */
export interface ChatSeat {
  /** The next time that is free for an edit, which it then takes: first come, first served. */
  reserve(): number;
  /** Something was sent now that did not wait for its time; the next edit keeps its distance. */
  spend(): void;
  /** Telegram asked for silence. */
  block(until: number): void;
  /** Nothing may be sent before it. */
  blockedUntil(): number;
  /** The build is over; may be called twice. */
  leave(): void;
}

interface Chat {
  readonly intervalMs: number;
  builds: number;
  nextFreeAt: number;
  blockedUntil: number;
}

export function createChatThrottle(clock: Pick<Clock, 'now'>): ChatThrottle {
  const chats = new Map<string, Chat>();

  /** A chat without builds is kept only while it still restricts the next one. */
  function sweep(): void {
    const now = clock.now();
    for (const [key, chat] of chats) {
      if (chat.builds === 0 && chat.nextFreeAt <= now && chat.blockedUntil <= now) chats.delete(key);
    }
  }

  return {
    join(bot, chatId): ChatSeat {
      sweep();
      const key = `${bot} ${chatId}`;
      const intervalMs = isGroupChat(chatId) ? GROUP_INTERVAL_MS : PRIVATE_INTERVAL_MS;
      const chat = chats.get(key) ?? { intervalMs, builds: 0, nextFreeAt: 0, blockedUntil: 0 };
      chats.set(key, chat);
      chat.builds += 1;
      let isSeated = true;
      const toInterval = (): number =>
        Math.min(chat.intervalMs + INTERVAL_PER_FURTHER_BUILD_MS * Math.max(0, chat.builds - 1), MAX_INTERVAL_MS);
      return {
        reserve(): number {
          const at = Math.max(clock.now(), chat.nextFreeAt, chat.blockedUntil);
          chat.nextFreeAt = at + toInterval();
          return at;
        },
        spend(): void {
          chat.nextFreeAt = Math.max(chat.nextFreeAt, clock.now() + toInterval());
        },
        block(until): void {
          chat.blockedUntil = Math.max(chat.blockedUntil, until);
        },
        blockedUntil: () => chat.blockedUntil,
        leave(): void {
          if (isSeated) chat.builds -= 1;
          isSeated = false;
        },
      };
    },
  };
}
