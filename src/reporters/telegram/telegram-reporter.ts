import type { BuildState, Reporter } from '../../engine/build-state.ts';
import { toMessage } from '../../errors.ts';
import { systemClock, type Clock, type ReporterLog } from '../clock.ts';
import type { ChatSeat, ChatThrottle } from './chat-throttle.ts';
import { createTelegramClient, type TelegramAnswer, type TelegramClient } from './client.ts';
import type { Markup } from './markup.ts';
import type { TelegramDestination } from './parse-destination.ts';
import { renderMessage } from './render.ts';
import { toVerdict } from './verdict.ts';

/** How often the running time is brought up to date when nothing else changes: costs 6 of the 20 edits a minute of a group. */
const REFRESH_MS = 10_000;
/** A build that runs for an hour is looked at less often: a tenth of its age, at most this. */
const MAX_REFRESH_MS = 60_000;
/** The final state outlasts an ordinary flood wait; a process that drains cannot wait for hours. */
const FINAL_GIVE_UP_AFTER_MS = 600_000;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;
/** A deleted message is sent anew, a migrated group followed; not again and again. */
const MAX_NEW_STARTS = 3;

export interface TelegramReporterOptions {
  readonly destination: TelegramDestination;
  /** `https://api.telegram.org`, or a Bot API server of one's own. */
  readonly apiBase: string;
  /** One for the process: builds share a chat's limits. */
  readonly throttle: ChatThrottle;
  readonly log: ReporterLog;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/**
 * One message a build, edited as the build goes on. Only the newest state is ever sent: what happens while an edit waits or is
 * under way replaces what was to be sent. Edits keep the distance of the chat's throttle; the first message and the final state
 * do not wait, unless Telegram asked for silence. The final state is tried for ten minutes. What Telegram refuses for good is
 * logged once and ends the reporting, never the build.
 */
export function createTelegramReporter(options: TelegramReporterOptions): Reporter {
  const live = new LiveMessage(options);
  let delivery: Promise<void> | undefined;
  return {
    report(state): void {
      // What c3.yaml leaves out is nobody's news.
      if (state.phase.kind === 'ended' && state.phase.ending.kind === 'skipped') return;
      live.update(state);
      delivery ??= live.run();
    },
    async finish(): Promise<void> {
      live.close();
      await delivery;
    },
  };
}

/** What arrived last: of which state, rendered at which time. */
interface Delivered {
  readonly html: string;
  readonly at: number;
}

class LiveMessage {
  readonly #client: TelegramClient;
  readonly #options: TelegramReporterOptions;
  readonly #clock: Clock;
  readonly #bot: string;
  #seat: ChatSeat;
  #chat: number | string;
  #messageId: number | undefined;
  #latest: BuildState | undefined;
  #delivered: Delivered | undefined;
  /** The time in the chat that this message's next edit has. */
  #reservedAt: number | undefined;
  #pausedUntil = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #finalSince: number | undefined;
  #isPlain = false;
  #newStarts = 0;
  #wake: () => void = () => undefined;

  constructor(options: TelegramReporterOptions) {
    const { token, chat } = options.destination;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#client = createTelegramClient({
      token,
      apiBase: options.apiBase,
      ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    });
    this.#bot = token.slice(0, token.indexOf(':'));
    this.#chat = chat;
    this.#seat = options.throttle.join(this.#bot, chat);
  }

  update(state: BuildState): void {
    this.#latest = state;
    if (state.phase.kind === 'ended') this.#finalSince ??= this.#clock.now();
    this.#wake();
  }

  /** What is known now is the last there will be. */
  close(): void {
    this.#finalSince ??= this.#clock.now();
    if (this.#latest === undefined) this.#seat.leave();
    this.#wake();
  }

  /** Ends when the final state arrived or was given up; never rejects. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const dueAt = this.#toDueAt();
        if (dueAt === undefined) return;
        if (dueAt > this.#clock.now()) await this.#nap(dueAt - this.#clock.now());
        else if ((await this.#deliver()) === 'stop') return;
      }
    } catch (error) {
      this.#giveUp(toMessage(error));
    } finally {
      this.#seat.leave();
    }
  }

  /** When the next request is due; undefined: never again. Asked anew whenever anything changed. */
  #toDueAt(): number | undefined {
    const silentUntil = Math.max(this.#pausedUntil, this.#seat.blockedUntil());
    if (this.#finalSince !== undefined) {
      if (this.#delivered !== undefined && !this.#isChanged(this.#delivered)) return undefined;
      // However long the silence is that Telegram asks for, one last attempt is made before giving up.
      return Math.min(silentUntil, this.#finalSince + FINAL_GIVE_UP_AFTER_MS);
    }
    if (this.#delivered === undefined) return silentUntil;
    if (!this.#isChanged(this.#delivered)) {
      const age = this.#clock.now() - (this.#latest?.startedAt ?? 0);
      const refreshAt = this.#delivered.at + Math.min(Math.max(REFRESH_MS, Math.floor(age / 10)), MAX_REFRESH_MS);
      if (refreshAt > this.#clock.now()) return refreshAt;
    }
    this.#reservedAt ??= this.#seat.reserve();
    // Silence that began after the reservation moves everybody; a new place keeps them apart.
    if (this.#reservedAt < silentUntil) this.#reservedAt = Math.max(silentUntil, this.#seat.reserve());
    return this.#reservedAt;
  }

  /** Whether the newest state differs from what arrived in more than the time that has passed. */
  #isChanged(delivered: Delivered): boolean {
    return this.#latest !== undefined && this.#render(this.#latest, delivered.at).html !== delivered.html;
  }

  #render(state: BuildState, now: number): Markup {
    return renderMessage(state, { now: state.endedAt ?? now });
  }

  async #deliver(): Promise<'go on' | 'stop'> {
    const state = this.#latest;
    if (state === undefined) return 'stop';
    const at = this.#clock.now();
    const message = this.#render(state, at);
    const wasReserved = this.#reservedAt !== undefined;
    this.#reservedAt = undefined;
    if (message.html === this.#delivered?.html) {
      this.#delivered = { html: message.html, at };
      return 'go on';
    }
    if (!wasReserved) this.#seat.spend();
    return this.#heed(await this.#send(message), { html: message.html, at });
  }

  #send(message: Markup): Promise<TelegramAnswer> {
    const common = {
      chat_id: this.#chat,
      text: this.#isPlain ? message.plain : message.html,
      ...(this.#isPlain ? {} : { parse_mode: 'HTML' as const }),
      // Telegram would otherwise fetch what is linked.
      link_preview_options: { is_disabled: true },
    };
    if (this.#messageId !== undefined) return this.#client.editMessageText({ ...common, message_id: this.#messageId });
    const { thread } = this.#options.destination;
    return this.#client.sendMessage({
      ...common,
      disable_notification: true,
      ...(thread === undefined ? {} : { message_thread_id: thread }),
    });
  }

  #heed(answer: TelegramAnswer, sent: Delivered): 'go on' | 'stop' {
    const verdict = toVerdict(answer);
    switch (verdict.kind) {
      case 'arrived':
        this.#messageId ??= verdict.messageId;
        if (this.#messageId === undefined) return this.#giveUp('it took a message and did not say its id');
        this.#delivered = sent;
        this.#pauseMs = FIRST_PAUSE_MS;
        return 'go on';
      case 'wait':
        this.#seat.block(this.#clock.now() + verdict.ms);
        return this.#goOnUnlessTooLate(verdict.reason);
      case 'transient':
        this.#pausedUntil = this.#clock.now() + this.#pauseMs;
        this.#pauseMs = Math.min(this.#pauseMs * 2, MAX_PAUSE_MS);
        return this.#goOnUnlessTooLate(verdict.reason);
      case 'migrated':
        this.#seat.leave();
        this.#seat = this.#options.throttle.join(this.#bot, verdict.chat);
        this.#chat = verdict.chat;
        // Message ids do not survive the migration.
        this.#messageId = undefined;
        return this.#startAnew(`The group is a supergroup now, with the id ${verdict.chat}; seal the destination anew`);
      case 'message-gone':
        this.#messageId = undefined;
        return this.#startAnew(undefined);
      case 'unparsable':
        if (this.#isPlain) return this.#giveUp(verdict.reason);
        this.#isPlain = true;
        this.#options.log.warn(`Telegram refused a message's markup, it goes as plain text: ${verdict.reason}`);
        return 'go on';
      case 'permanent':
        return this.#giveUp(verdict.reason);
    }
  }

  #startAnew(warning: string | undefined): 'go on' | 'stop' {
    this.#delivered = undefined;
    this.#newStarts += 1;
    if (this.#newStarts > MAX_NEW_STARTS)
      return this.#giveUp('the message was deleted or the chat moved again and again');
    if (warning !== undefined) this.#options.log.warn(warning);
    return 'go on';
  }

  #goOnUnlessTooLate(reason: string): 'go on' | 'stop' {
    const isTooLate = this.#clock.now() >= (this.#finalSince ?? Infinity) + FINAL_GIVE_UP_AFTER_MS;
    return isTooLate ? this.#giveUp(reason) : 'go on';
  }

  #giveUp(reason: string): 'stop' {
    this.#options.log.warn(`Gave up reporting to Telegram: ${reason}`);
    return 'stop';
  }

  /** Until the time is over or something changed. */
  async #nap(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancelTimer = this.#clock.setTimer(resolve, ms);
    this.#wake = resolve;
    await promise;
    cancelTimer();
  }
}
