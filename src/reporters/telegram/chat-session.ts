import { createHash } from 'node:crypto';
import type { Clock, ReporterLog } from '../reporter.ts';
import type { ChatSeat, ChatThrottle } from './chat-throttle.ts';
import type { TelegramClient } from './client.ts';
import type { TelegramDestination } from './destination.ts';

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;

export interface ChatSessionOptions {
  readonly client: TelegramClient;
  readonly destination: TelegramDestination;
  readonly throttle: ChatThrottle;
  readonly clock: Clock;
  readonly log: ReporterLog;
}

/**
 * One build's access to its chat. Everything that the build sends uses it. It follows a group that gets another id.
 */
export class ChatSession {
  readonly client: TelegramClient;
  readonly clock: Clock;
  readonly log: ReporterLog;
  readonly throttle: ChatThrottle;
  readonly #bot: string;
  readonly #thread: number | undefined;
  #seat: ChatSeat;
  #chat: number | string;

  constructor({ client, destination, throttle, clock, log }: ChatSessionOptions) {
    const { token, chat, thread } = destination;
    this.client = client;
    this.clock = clock;
    this.log = log;
    this.throttle = throttle;
    // Hashes the whole token. Anybody may write its first part, the bot's id; the rest proves the right to use that
    // bot.
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

  /** The fields that say where a new message goes. Edits have no topic. */
  get target(): { chat_id: number | string; message_thread_id?: number } {
    return { chat_id: this.#chat, ...(this.#thread === undefined ? {} : { message_thread_id: this.#thread }) };
  }

  /** Continues in the supergroup that the group became. The sealed destination still has the old id. */
  moveTo(chat: number): void {
    if (chat === this.#chat) return;
    this.#seat.leave();
    this.#seat = this.throttle.join(this.#bot, chat);
    this.#chat = chat;
    this.log.warn(`The group became a supergroup with the id ${chat}: seal the destination again with this id`);
  }

  leave(): void {
    this.#seat.leave();
  }
}

/** The pauses after transient faults. Each is twice as long as the one before. */
export class Backoff {
  readonly #clock: Clock;
  #nextMs = FIRST_PAUSE_MS;
  /** The end of the current pause, in epoch milliseconds. */
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
