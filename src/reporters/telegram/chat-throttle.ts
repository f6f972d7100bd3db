import type { Clock } from '../reporter.ts';
import { isGroupChat } from './destination.ts';

/**
 * What is sent first: how a build ended, the log of a failed step (its Pod waits), the notification, a new build,
 * progress.
 */
const RANKS = ['final', 'log', 'notification', 'first', 'edit'] as const;
export type Rank = (typeof RANKS)[number];

/**
 * Telegram publishes no exact limits. Its FAQ says one message per second in a chat, and 20 per minute in a group.
 * Its developers say that edits count too.
 *
 * @see https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
 */
const GAP_MS = 1_000;
/** A minute, plus a margin: messages that c3 sends a minute apart may arrive closer together. */
const WINDOW_MS = 62_000;
/**
 * How many messages a minute may have before one of each rank. Edits and first messages leave room for what matters
 * more.
 */
const GROUP_SHARES: Readonly<Record<Rank, number>> = { final: 20, log: 20, notification: 20, first: 18, edit: 14 };
/** The gap between any message and the next edit. */
const PRIVATE_EDIT_GAP_MS = 3_000;
const GROUP_EDIT_GAP_MS = 5_000;

/**
 * Messages of ended builds that wait in all chats. Each holds about 10 KiB. Beyond it, the fullest chat drops its
 * oldest.
 */
const MAX_WAITING = 1_000;
/** A chat takes about 500 bytes. Beyond this number, a chat without builds is forgotten early. */
const MAX_CHATS = 10_000;

/**
 * Keeps Telegram's limits. All builds share it, because the limits are those of a bot in a chat: create one for the
 * process.
 */
export class ChatThrottle {
  /** Set when Telegram refuses the address of a button. All buttons have c3's address, so it refuses all of them. */
  areButtonsRefused = false;
  readonly #clock: Clock;
  readonly #chats = new Map<string, Chat>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Joins a chat. `bot` identifies a token without revealing it: until Telegram accepts it, a token proves nothing.
   */
  join(bot: string, chatId: number | string): ChatSeat {
    const chats = this.#chats;
    for (const [key, chat] of chats) {
      if (chat.isForgettable() || (chats.size >= MAX_CHATS && chat.seats === 0)) chats.delete(key);
    }
    const key = `${bot} ${chatId}`;
    const chat = chats.get(key) ?? new Chat(this.#clock, isGroupChat(chatId));
    chats.set(key, chat);
    return new ChatSeat(chat, () => this.#limitWaiting());
  }

  #limitWaiting(): void {
    const chats = [...this.#chats.values()];
    if (chats.reduce((sum, { ended }) => sum + ended.length, 0) <= MAX_WAITING) return;
    chats.reduce((a, b) => (b.ended.length > a.ended.length ? b : a)).dropOldest();
  }
}

export interface Turn {
  /** Resolves when the message may be sent. It then counts as sent. Rejects when too many messages wait. */
  readonly granted: Promise<void>;
  /** Withdraws the request. Returns false if it was already granted. */
  cancel(): boolean;
}

/** One build's part in a chat. Times are epoch milliseconds. */
export class ChatSeat {
  /** The number of its last grant. Among equal ranks, the seat with the lowest number is next. */
  servedAt = 0;
  readonly chat: Chat;
  readonly #onWaiting: () => void;
  #hasLeft = false;

  constructor(chat: Chat, onWaiting: () => void) {
    this.chat = chat;
    this.#onWaiting = onWaiting;
    chat.seats += 1;
  }

  /** Asks to send one message, not before a time. */
  ask(rank: Rank, notBefore = 0): Turn {
    const turn = this.chat.ask({ rank, notBefore, seat: this });
    if (isOfEndedBuild(rank)) this.#onWaiting();
    return turn;
  }

  /** Counts a message that is sent without a turn. */
  spend(): void {
    this.chat.countSent(this);
  }

  /** Grants nothing in this chat before a time, because Telegram asked for it. */
  block(until: number): void {
    this.chat.block(until);
  }

  /** Ends the build's part. A second call has no effect. */
  leave(): void {
    if (!this.#hasLeft) this.chat.seats -= 1;
    this.#hasLeft = true;
  }
}

interface TurnRequest {
  readonly rank: Rank;
  readonly notBefore: number;
  readonly seat: ChatSeat;
}

interface Waiting extends TurnRequest, PromiseWithResolvers<void> {}

function isOfEndedBuild(rank: Rank): boolean {
  return rank === 'final' || rank === 'notification';
}

/** A chat, which builds share. */
class Chat {
  seats = 0;
  /** When Telegram last accepted a message; 0: never. */
  lastDeliveryAt = 0;
  readonly #clock: Clock;
  readonly #isGroup: boolean;
  readonly #waiting = new Set<Waiting>();
  /** The times of the messages of the last minute, in order. */
  #sent: number[] = [];
  #served = 0;
  #blockedUntil = 0;
  #cancelTimer: () => void = () => undefined;

  constructor(clock: Clock, isGroup: boolean) {
    this.#clock = clock;
    this.#isGroup = isGroup;
  }

  /** The messages of ended builds that wait, the oldest first. */
  get ended(): readonly Waiting[] {
    return [...this.#waiting].filter(({ rank }) => isOfEndedBuild(rank));
  }

  dropOldest(): void {
    const [oldest] = this.ended;
    if (oldest === undefined) return;
    this.#waiting.delete(oldest);
    oldest.reject(new Error(`more than ${MAX_WAITING} messages wait`));
  }

  /** Returns whether no build uses the chat and no limit outlasts the builds. */
  isForgettable(): boolean {
    const now = this.#clock.now();
    return this.seats === 0 && this.#blockedUntil <= now && (this.#sent.at(-1) ?? 0) + WINDOW_MS <= now;
  }

  ask(request: TurnRequest): Turn {
    const waiting = { ...request, ...Promise.withResolvers<void>() };
    // It may be rejected when nobody awaits it.
    waiting.promise.catch(() => {});
    this.#waiting.add(waiting);
    this.#schedule();
    return {
      granted: waiting.promise,
      cancel: () => {
        const wasWaiting = this.#waiting.delete(waiting);
        if (wasWaiting) this.#schedule();
        return wasWaiting;
      },
    };
  }

  countSent(seat: ChatSeat): void {
    const now = this.#clock.now();
    this.#sent = [...this.#sent.filter((at) => at > now - WINDOW_MS), now];
    // A count instead of a time, because times can be equal.
    this.#served += 1;
    seat.servedAt = this.#served;
  }

  block(until: number): void {
    this.#blockedUntil = Math.max(this.#blockedUntil, until);
    this.#schedule();
  }

  /** Grants what may be sent now, and sets a timer for the next. */
  #schedule(): void {
    this.#cancelTimer();
    const now = this.#clock.now();
    const due = [...this.#waiting].map((waiting) => ({ waiting, at: Math.max(now, this.#toEarliest(waiting)) }));
    due.sort((a, b) => a.at - b.at || compareRequests(a.waiting, b.waiting));
    const [first] = due;
    if (first === undefined) return;
    if (first.at > now) {
      this.#cancelTimer = this.#clock.setTimer(() => this.#schedule(), first.at - now);
      return;
    }
    this.#waiting.delete(first.waiting);
    this.countSent(first.waiting.seat);
    first.waiting.resolve();
    this.#schedule();
  }

  #toEarliest({ rank, notBefore }: TurnRequest): number {
    const last = this.#sent.at(-1) ?? -Infinity;
    const editGap = this.#isGroup ? GROUP_EDIT_GAP_MS : PRIVATE_EDIT_GAP_MS;
    const gapEnd = last + (rank === 'edit' ? editGap : GAP_MS);
    // The message that must leave the window first.
    const oldest = this.#isGroup ? this.#sent[this.#sent.length - GROUP_SHARES[rank]] : undefined;
    return Math.max(notBefore, this.#blockedUntil, gapEnd, (oldest ?? -Infinity) + WINDOW_MS);
  }
}

function compareRequests(a: TurnRequest, b: TurnRequest): number {
  return RANKS.indexOf(a.rank) - RANKS.indexOf(b.rank) || a.seat.servedAt - b.seat.servedAt;
}
