import type { Clock } from '../reporter.ts';
import { isGroupChat } from './destination.ts';

/**
 * What is sent first of what waits: how a build ended; the log of its failed step, for which its Pod waits; the message that rings;
 * that there is a build; how it goes on.
 */
const RANKS = ['final', 'log', 'ring', 'first', 'edit'] as const;
export type Rank = (typeof RANKS)[number];

/**
 * Telegram names no limits. Its FAQ says one message a second in a chat, and 20 a minute in a group; its developers, that edits
 * count as well. @see https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
 */
const GAP_MS = 1_000;
/** A minute, and what the network may take off it: what was sent a minute apart may arrive closer. */
const WINDOW_MS = 62_000;
/** How many of a minute's messages there may be before one of a rank: edits and first messages leave some for what matters more. */
const GROUP_SHARES: Readonly<Record<Rank, number>> = { final: 20, log: 20, ring: 20, first: 18, edit: 14 };
/** Between whatever was sent and an edit that can wait. */
const PRIVATE_EDIT_GAP_MS = 3_000;
const GROUP_EDIT_GAP_MS = 5_000;

/**
 * Of builds that are over, so many messages wait at a time, of all chats; beyond that the one goes that waits longest where most wait.
 * Each holds some 10 KiB of its build.
 */
const MAX_WAITING = 1_000;
/** An entry takes about 500 bytes. Beyond these a chat that no build reports to is forgotten early. */
const MAX_CHATS = 10_000;

/** What one bot may send to one chat, shared by all builds that report there: create one for the process. */
export interface ChatThrottle {
  /** `bot` tells tokens apart and holds none: what one sends counts for no other, since nobody has proven to be that bot yet. */
  join(bot: string, chat: number | string): ChatSeat;
  /** Set when Telegram refuses the address of a button: it is c3's own, and so that of all buttons. */
  areButtonsRefused: boolean;
}

/** A build's part in a chat. Times are epoch milliseconds. */
export interface ChatSeat {
  /**
   * Asks to send one thing, not before a time. Of those that wait, the highest rank is granted first, and among equals the build
   * that was served longest ago. What is granted counts as sent.
   */
  ask(rank: Rank, notBefore?: number): Turn;
  /** Something is sent now that did not ask. */
  spend(): void;
  /** Telegram took something. */
  noteArrival(): void;
  /** When Telegram last took something here from anybody; 0: never. */
  readonly lastArrivalAt: number;
  /** Telegram asked for silence: nobody is granted anything before. */
  block(until: number): void;
  /** The build is over; may be called twice. */
  leave(): void;
}

export interface Turn {
  /** Rejects when too many wait. */
  readonly granted: Promise<void>;
  /** No longer wanted. False: it was granted already. */
  cancel(): boolean;
}

interface Ticket {
  readonly rank: Rank;
  readonly notBefore: number;
  readonly seat: { servedAt: number };
  readonly grant: () => void;
  readonly refuse: (error: Error) => void;
}

export function createChatThrottle(clock: Clock): ChatThrottle {
  const chats = new Map<string, Chat>();
  return {
    areButtonsRefused: false,
    join(bot, chatId): ChatSeat {
      for (const [key, chat] of chats) {
        if (chat.isForgotten() || (chats.size >= MAX_CHATS && chat.isEmpty)) chats.delete(key);
      }
      const key = `${bot} ${chatId}`;
      const chat = chats.get(key) ?? new Chat(clock, { isGroup: isGroupChat(chatId), onAsked: makeRoom });
      chats.set(key, chat);
      return chat.seat();
    },
  };

  function makeRoom(): void {
    const all = [...chats.values()];
    if (all.reduce((sum, { lastWords }) => sum + lastWords, 0) <= MAX_WAITING) return;
    all.reduce((a, b) => (b.lastWords > a.lastWords ? b : a)).refuseOldest();
  }
}

/** Of a build that is over. */
function isLastWord({ rank }: Ticket): boolean {
  return rank === 'final' || rank === 'ring';
}

class Chat {
  readonly #clock: Clock;
  readonly #isGroup: boolean;
  readonly #onAsked: () => void;
  readonly #waiting = new Set<Ticket>();
  /** Times of what was sent in the last minute, in order. */
  #sent: number[] = [];
  #seats = 0;
  #served = 0;
  #blockedUntil = 0;
  #lastArrivalAt = 0;
  #cancelTimer: () => void = () => undefined;

  constructor(clock: Clock, { isGroup, onAsked }: { readonly isGroup: boolean; readonly onAsked: () => void }) {
    this.#clock = clock;
    this.#isGroup = isGroup;
    this.#onAsked = onAsked;
  }

  /** No build reports here. */
  get isEmpty(): boolean {
    return this.#seats === 0;
  }

  /** How many messages of builds that are over wait here. */
  get lastWords(): number {
    return [...this.#waiting].filter(isLastWord).length;
  }

  refuseOldest(): void {
    const oldest = [...this.#waiting].find(isLastWord);
    if (oldest === undefined) return;
    this.#waiting.delete(oldest);
    oldest.refuse(new Error(`more than ${MAX_WAITING} builds wait for it`));
  }

  /** Without builds it is kept only while it still restricts the next one. */
  isForgotten(): boolean {
    const now = this.#clock.now();
    return this.isEmpty && this.#blockedUntil <= now && (this.#sent.at(-1) ?? 0) + WINDOW_MS <= now;
  }

  seat(): ChatSeat {
    const seat = { servedAt: 0 };
    let isSeated = true;
    this.#seats += 1;
    const lastArrivalAt = (): number => this.#lastArrivalAt;
    return {
      ask: (rank, notBefore = 0) => this.#ask(rank, notBefore, seat),
      spend: () => this.#note(seat),
      noteArrival: () => {
        this.#lastArrivalAt = this.#clock.now();
      },
      get lastArrivalAt() {
        return lastArrivalAt();
      },
      block: (until) => {
        this.#blockedUntil = Math.max(this.#blockedUntil, until);
        this.#schedule();
      },
      leave: () => {
        if (isSeated) this.#seats -= 1;
        isSeated = false;
      },
    };
  }

  #ask(rank: Rank, notBefore: number, seat: Ticket['seat']): Turn {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => {}); // it may be refused when nobody waits
    const ticket: Ticket = { rank, notBefore, seat, grant: resolve, refuse: reject };
    this.#waiting.add(ticket);
    this.#schedule();
    if (isLastWord(ticket)) this.#onAsked();
    return {
      granted: promise,
      cancel: () => {
        const isWaiting = this.#waiting.delete(ticket);
        if (isWaiting) this.#schedule();
        return isWaiting;
      },
    };
  }

  /** Grants what may be sent now, and comes back when the next may. */
  #schedule(): void {
    this.#cancelTimer();
    this.#cancelTimer = (): void => undefined;
    const now = this.#clock.now();
    const due = [...this.#waiting].map((ticket) => ({ ticket, at: Math.max(now, this.#toEarliest(ticket)) }));
    due.sort((a, b) => a.at - b.at || compareTickets(a.ticket, b.ticket));
    const [first] = due;
    if (first === undefined) return;
    if (first.at > now) {
      this.#cancelTimer = this.#clock.setTimer(() => this.#schedule(), first.at - now);
      return;
    }
    this.#waiting.delete(first.ticket);
    this.#note(first.ticket.seat);
    first.ticket.grant();
    this.#schedule();
  }

  #toEarliest({ rank, notBefore }: Ticket): number {
    const last = this.#sent.at(-1) ?? -Infinity;
    const editGap = this.#isGroup ? GROUP_EDIT_GAP_MS : PRIVATE_EDIT_GAP_MS;
    const gapEnd = last + (rank === 'edit' ? editGap : GAP_MS);
    // So many of the window's must have left it.
    const inTheWay = this.#isGroup ? this.#sent[this.#sent.length - GROUP_SHARES[rank]] : undefined;
    return Math.max(notBefore, this.#blockedUntil, gapEnd, (inTheWay ?? -Infinity) + WINDOW_MS);
  }

  #note(seat: Ticket['seat']): void {
    const now = this.#clock.now();
    this.#sent = [...this.#sent.filter((at) => at > now - WINDOW_MS), now];
    // A count and not a time, of which two may have the same.
    this.#served += 1;
    seat.servedAt = this.#served;
  }
}

function compareTickets(a: Ticket, b: Ticket): number {
  return RANKS.indexOf(a.rank) - RANKS.indexOf(b.rank) || a.seat.servedAt - b.seat.servedAt;
}
