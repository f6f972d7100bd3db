import { createHash } from 'node:crypto';
import type { Clock, ReporterLog } from '../reporter.ts';
import type { ChatSeat, ChatThrottle } from './chat-throttle.ts';
import type { TelegramClient } from './client.ts';
import type { TelegramDestination } from './destination.ts';

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;

export interface ChatLineOptions {
  readonly destination: TelegramDestination;
  readonly throttle: ChatThrottle;
  readonly clock: Clock;
  readonly log: ReporterLog;
}

/** A build's way into its chat, by which all that it sends goes: it follows a group that moves. */
export class ChatLine {
  readonly client: TelegramClient;
  readonly clock: Clock;
  readonly log: ReporterLog;
  readonly throttle: ChatThrottle;
  readonly #bot: string;
  readonly #thread: number | undefined;
  #seat: ChatSeat;
  #chat: number | string;

  constructor(client: TelegramClient, { destination, throttle, clock, log }: ChatLineOptions) {
    const { token, chat, thread } = destination;
    this.client = client;
    this.clock = clock;
    this.log = log;
    this.throttle = throttle;
    // All of it: its first part names a bot and anybody may write it, the rest proves to be that bot.
    this.#bot = createHash('sha256').update(token).digest('hex');
    this.#thread = thread;
    this.#chat = chat;
    this.#seat = throttle.join(this.#bot, chat);
  }

  get seat(): ChatSeat {
    return this.#seat;
  }

  get chat(): number | string {
    return this.#chat;
  }

  /** Where a new message goes. Edits have no topic. */
  toPlace(): { chat_id: number | string; message_thread_id?: number } {
    return { chat_id: this.#chat, ...(this.#thread === undefined ? {} : { message_thread_id: this.#thread }) };
  }

  /** The group became a supergroup with another id. What is in c3.yaml, or in c3's settings, is sealed with the old one. */
  moveTo(chat: number): void {
    if (chat === this.#chat) return;
    this.#seat.leave();
    this.#seat = this.throttle.join(this.#bot, chat);
    this.#chat = chat;
    this.log.warn(`The group is a supergroup now, with the id ${chat}; seal the destination anew`);
  }

  leave(): void {
    this.#seat.leave();
  }
}

/** The pauses after requests that got no answer of Telegram's, each twice as long as the one before it. */
export class Pauses {
  readonly #clock: Clock;
  #nextMs = FIRST_PAUSE_MS;
  /** Nothing is to be sent before; epoch milliseconds. */
  until = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(): void {
    this.until = this.#clock.now() + this.#nextMs;
    this.#nextMs = Math.min(this.#nextMs * 2, MAX_PAUSE_MS);
  }

  reset(): void {
    this.#nextMs = FIRST_PAUSE_MS;
  }
}
