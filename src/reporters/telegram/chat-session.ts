import { createHash } from 'node:crypto';
import type { Clock, ReporterLog } from '../reporter.ts';
import type { ChatSeat, ChatThrottle, Rank, Turn } from './chat-throttle.ts';
import type { TelegramClient, TelegramResponse } from './client.ts';
import type { TelegramDestination } from './destination.ts';

/** The pauses after transient faults. Each is twice as long as the one before. */
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
 * One build's access to its chat. Everything that the build sends uses it. If the group becomes a supergroup with
 * another id, the session continues there, although the sealed destination still has the old id.
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
  #pauseMs = FIRST_PAUSE_MS;
  #pausedUntil = 0;

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

  /** Asks to send one message, not before the pause after a transient fault is over. */
  ask(rank: Rank): Turn {
    return this.#seat.ask(rank, this.#pausedUntil);
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

  /** Applies what a response says about the chat: a delivery, a pause, or a new id. */
  note(response: TelegramResponse): void {
    const now = this.clock.now();
    if (response.kind === 'delivered') {
      this.#seat.chat.lastDeliveryAt = now;
      this.#pauseMs = FIRST_PAUSE_MS;
    } else if (response.kind === 'wait') {
      this.#seat.block(now + response.ms);
    } else if (response.kind === 'transient') {
      this.#pausedUntil = now + this.#pauseMs;
      this.#pauseMs = Math.min(this.#pauseMs * 2, MAX_PAUSE_MS);
    } else if (response.kind === 'migrated' && response.chat !== this.#chat) {
      this.#seat.leave();
      this.#seat = this.throttle.join(this.#bot, response.chat);
      this.#chat = response.chat;
      this.log.warn(`The group became a supergroup with the id ${this.#chat}: seal the destination again with this id`);
    }
  }

  leave(): void {
    this.#seat.leave();
  }
}
