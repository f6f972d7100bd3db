import type { BuildState } from '../../build/index.ts';
import { toMessage } from '../../errors.ts';
import type { Notify } from '../../pipeline/pipeline.ts';
import type { ChatSession } from './chat-session.ts';
import type { Rank } from './chat-throttle.ts';
import type { TelegramResponse } from './client.ts';
import { toMessageFields, type MessageFields } from './markup.ts';
import { renderMessage, renderNotification, toButtons, wantsNotification } from './message.ts';

/** How often the running time is updated when nothing else changes. It uses 6 of a group's 20 messages a minute. */
const REFRESH_MS = 10_000;
/** A longer build is updated less often: after a tenth of its age, at most this. */
const MAX_REFRESH_MS = 60_000;
/** The final state outlasts a usual flood wait. A process that drains cannot wait for hours. */
const GIVE_UP_AFTER_MS = 600_000;
/** How often a message is sent again because it was deleted or the group got another id. */
const MAX_RESTARTS = 3;

/** What to do next. Times are epoch milliseconds. */
type Next =
  | { readonly kind: 'message' | 'notification'; readonly rank: Rank; readonly state: BuildState }
  /** Wait until a time, or until something changes. */
  | { readonly kind: 'idle'; readonly until: number }
  | { readonly kind: 'done' };

/**
 * The message of a build, which is edited while the build runs, and the notification at its end. Only the newest
 * state is sent: it replaces older states that still wait. One class handles every response, so it is long.
 */
export class LiveMessage {
  readonly #session: ChatSession;
  readonly #notify: Notify;
  /** Resolves to the message's id when the final state was delivered, or to undefined when it was given up. */
  readonly final: PromiseWithResolvers<number | undefined> = Promise.withResolvers();
  #messageId: number | undefined;
  #latest: BuildState | undefined;
  /** The newest state that was delivered: its fields as JSON, and the time for which they were rendered. */
  #delivered: { readonly key: string; readonly at: number } | undefined;
  /** When the last state became known. */
  #finalSince: number | undefined;
  /** Since when nothing of this build is delivered, although its state is final. */
  #troubleSince: number | undefined;
  #hasWarned = false;
  #hasNotified = false;
  #isPlain = false;
  /** Whether the newest request had buttons. */
  #sentButtons = false;
  #isReply = true;
  #restarts = 0;
  #wake: () => void = () => undefined;

  constructor(session: ChatSession, notify: Notify) {
    this.#session = session;
    this.#notify = notify;
  }

  update(state: BuildState): void {
    this.#latest = state;
    if (state.phase.kind === 'ended') this.#finalSince ??= this.#session.clock.now();
    this.#wake();
  }

  /** Declares the newest state final. */
  close(): void {
    this.#finalSince ??= this.#session.clock.now();
    if (this.#latest === undefined) this.final.resolve(undefined);
    this.#wake();
  }

  /** Sends until everything was delivered or given up. Never rejects. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const next = this.#toNext();
        if (next.kind === 'done') return;
        if (!(await this.#waitFor(next)) || next.kind === 'idle') continue;
        const isNotification = next.kind === 'notification';
        const outcome = isNotification ? this.#sendNotification(next.state) : this.#sendMessage(next.state);
        if ((await outcome) === 'stop') return;
      }
    } catch (error) {
      this.#giveUp(toMessage(error));
    } finally {
      this.final.resolve(undefined);
    }
  }

  #toNext(): Next {
    const isFinal = this.#finalSince !== undefined;
    const state = this.#latest;
    if (state === undefined) return { kind: 'done' };
    if (this.#delivered === undefined || this.#isChanged(state, this.#delivered)) {
      const rank = this.#messageId === undefined ? 'first' : 'edit';
      return { kind: 'message', rank: isFinal ? 'final' : rank, state };
    }
    if (isFinal) {
      this.final.resolve(this.#messageId);
      return this.#isNotificationDue(state) ? { kind: 'notification', rank: 'notification', state } : { kind: 'done' };
    }
    const now = this.#session.clock.now();
    const intervalMs = Math.min(Math.max(REFRESH_MS, Math.floor((now - state.startedAt) / 10)), MAX_REFRESH_MS);
    const refreshAt = this.#delivered.at + intervalMs;
    return refreshAt > now ? { kind: 'idle', until: refreshAt } : { kind: 'message', rank: 'edit', state };
  }

  /** Returns whether more than the running time differs from what was delivered. */
  #isChanged(state: BuildState, { key, at }: { readonly key: string; readonly at: number }): boolean {
    return JSON.stringify(this.#toFields(state, at)) !== key;
  }

  #isNotificationDue(state: BuildState): boolean {
    return !this.#hasNotified && wantsNotification(state, this.#notify);
  }

  /** Returns whether the time for `next` has come. False means that something changed before. */
  async #waitFor(next: Exclude<Next, { kind: 'done' }>): Promise<boolean> {
    const { clock } = this.#session;
    const { promise: woken, resolve: wake } = Promise.withResolvers<void>();
    this.#wake = wake;
    const giveUpAt = this.#toGiveUpAt();
    const isIdle = next.kind === 'idle';
    const until = isIdle ? next.until : giveUpAt;
    // Makes one last attempt before it gives up, even if Telegram asked for a longer wait.
    if (!isIdle && clock.now() >= giveUpAt) {
      this.#session.seat.spend();
      return true;
    }
    const turn = isIdle ? undefined : this.#session.ask(next.rank);
    const cancelTimer = Number.isFinite(until) ? clock.setTimer(wake, until - clock.now()) : undefined;
    try {
      await Promise.race([woken, turn?.granted ?? woken]);
    } finally {
      cancelTimer?.();
    }
    return turn?.cancel() === false;
  }

  /** While the chat accepts messages of others, this build's will follow; but not if only this build's fail. */
  #toGiveUpAt(): number {
    if (this.#finalSince === undefined) return Infinity;
    const quietSince = Math.max(this.#finalSince, this.#session.seat.chat.lastDeliveryAt);
    return Math.min(quietSince, this.#troubleSince ?? Infinity) + GIVE_UP_AFTER_MS;
  }

  #toFields(state: BuildState, now: number): MessageFields {
    const buttons = this.#session.throttle.areButtonsRefused ? undefined : toButtons(state);
    return toMessageFields(renderMessage(state, { now: state.endedAt ?? now }), { isPlain: this.#isPlain, buttons });
  }

  async #sendMessage(state: BuildState): Promise<'continue' | 'stop'> {
    const { client, clock, chat, target } = this.#session;
    const at = clock.now();
    const fields = this.#toFields(state, at);
    this.#sentButtons = fields.reply_markup !== undefined;
    // If the build ended before its first message, that message is the notification.
    const isNotification = this.#messageId === undefined && this.#isNotificationDue(state);
    const response =
      this.#messageId === undefined
        ? await client.sendMessage({ ...target, ...fields, disable_notification: !isNotification })
        : await client.editMessageText({ chat_id: chat, message_id: this.#messageId, ...fields });
    return this.#handle(response, (messageId) => {
      this.#messageId ??= messageId;
      this.#delivered = { key: JSON.stringify(fields), at };
      this.#hasNotified ||= isNotification;
    });
  }

  async #sendNotification(state: BuildState): Promise<'continue' | 'stop'> {
    const { client, target } = this.#session;
    this.#sentButtons = false;
    const id = this.#isReply ? this.#messageId : undefined;
    const response = await client.sendMessage({
      ...target,
      ...toMessageFields(renderNotification(state), { isPlain: this.#isPlain }),
      ...(id === undefined ? {} : { reply_parameters: { message_id: id, allow_sending_without_reply: true } }),
    });
    return this.#handle(response, () => {
      this.#hasNotified = true;
    });
  }

  #handle(response: TelegramResponse, onDelivery: (messageId: number | undefined) => void): 'continue' | 'stop' {
    this.#session.note(response);
    switch (response.kind) {
      case 'delivered':
        onDelivery(response.messageId);
        if (this.#messageId === undefined) return this.#giveUp('it accepted a message but did not return its id');
        this.#troubleSince = undefined;
        return 'continue';
      case 'wait':
      case 'transient':
        return this.#noteTrouble(response.reason);
      case 'migrated':
      case 'message-gone':
        return this.#restart();
      case 'reply-gone':
        if (!this.#isReply) return this.#giveUp('it missed the message to reply to, but this was not a reply');
        this.#isReply = false;
        return 'continue';
      case 'buttons-refused':
        return this.#dropButtons();
      case 'unparsable':
        if (this.#isPlain) return this.#giveUp(response.reason);
        this.#isPlain = true;
        this.#session.log.warn(
          `Telegram refused the markup of a message, so it is sent as plain text: ${response.reason}`,
        );
        return 'continue';
      case 'permanent':
        return this.#giveUp(response.reason);
    }
  }

  /** Logs the refusal once, although requests of several builds can be under way. */
  #dropButtons(): 'continue' | 'stop' {
    const { log, throttle } = this.#session;
    if (!this.#sentButtons) return this.#giveUp('it refused buttons, but this message had none');
    if (!throttle.areButtonsRefused)
      log.warn('Telegram refused the buttons, so messages have none: C3_URL needs a public host name with a dot in it');
    throttle.areButtonsRefused = true;
    return 'continue';
  }

  /** Sends a new message. Ids are not valid in a migrated group, and a deleted message cannot be edited. */
  #restart(): 'continue' | 'stop' {
    this.#messageId = undefined;
    this.#delivered = undefined;
    this.#restarts += 1;
    if (this.#restarts > MAX_RESTARTS)
      return this.#giveUp('the message was deleted, or the group got another id, too often');
    return 'continue';
  }

  #noteTrouble(reason: string): 'continue' | 'stop' {
    const isTooLate = this.#session.clock.now() >= this.#toGiveUpAt();
    if (this.#finalSince !== undefined) {
      // A single fault passes within a second.
      if (this.#troubleSince !== undefined && !this.#hasWarned && !isTooLate) {
        this.#hasWarned = true;
        this.#session.log.warn(`Telegram does not have the end of the build yet; trying for ten minutes: ${reason}`);
      }
      this.#troubleSince ??= this.#session.clock.now();
    }
    return isTooLate ? this.#giveUp(reason) : 'continue';
  }

  #giveUp(reason: string): 'stop' {
    this.#session.log.warn(`Gave up reporting to Telegram: ${reason}`);
    return 'stop';
  }
}
