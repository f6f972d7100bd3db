import type { BuildState } from '../../build/index.ts';
import { toMessage } from '../../errors.ts';
import type { Notify } from '../../pipeline/pipeline.ts';
import { toButtons } from './message.ts';
import { Pauses, type ChatLine } from './chat-session.ts';
import type { Rank } from './chat-throttle.ts';
import type { TelegramAnswer } from './client.ts';
import { toContent, type Content } from './markup.ts';
import { renderMessage } from './message.ts';
import { isWorthRinging, renderRing } from './notification.ts';
import { toVerdict } from './response.ts';

/** How often the running time is brought up to date when nothing else changes: costs 6 of the 20 edits a minute of a group. */
const REFRESH_MS = 10_000;
/** A build that runs for an hour is looked at less often: a tenth of its age, at most this. */
const MAX_REFRESH_MS = 60_000;
/** The final state outlasts an ordinary flood wait; a process that drains cannot wait for hours. */
const GIVE_UP_AFTER_MS = 600_000;
const BUTTONS_HINT = 'the host of C3_URL must be one of the internet, with a point in it';
/** A deleted message is sent anew, a migrated group followed; not again and again. */
const MAX_NEW_STARTS = 3;

/** What arrived last: what it was, as JSON, and of which time. */
interface Delivered {
  readonly key: string;
  readonly at: number;
}

/** What is to be sent next; `notBefore` in epoch milliseconds. */
type Next =
  | { readonly kind: 'message' | 'ring'; readonly rank: Rank; readonly notBefore: number }
  /** Until the time, or until something changes. */
  | { readonly kind: 'idle'; readonly until: number }
  | { readonly kind: 'done' };

/**
 * The message of a build, edited as the build goes on, and the one that rings at its end. Only the newest state is ever sent: what
 * happens while an edit waits or is under way replaces what was to be sent. Long, since all that may come of a request is here.
 */
export class LiveMessage {
  readonly #line: ChatLine;
  readonly #notify: Notify;
  readonly #pauses: Pauses;
  readonly #told = Promise.withResolvers<number | undefined>();
  #messageId: number | undefined;
  #latest: BuildState | undefined;
  #delivered: Delivered | undefined;
  /** No newer state will come. */
  #finalSince: number | undefined;
  /** Since when nothing of this build arrives that should. */
  #troubleSince: number | undefined;
  #hasRung = false;
  #isPlain = false;
  /** With the newest request. */
  #sentButtons = false;
  #isReply = true;
  #newStarts = 0;
  #wake: () => void = () => undefined;

  constructor(line: ChatLine, notify: Notify) {
    this.#line = line;
    this.#notify = notify;
    this.#pauses = new Pauses(line.clock);
  }

  /** The message's id when the final state has arrived; undefined: it never will. */
  get told(): Promise<number | undefined> {
    return this.#told.promise;
  }

  update(state: BuildState): void {
    this.#latest = state;
    if (state.phase.kind === 'ended') this.#finalSince ??= this.#line.clock.now();
    this.#wake();
  }

  /** What is known now is the last there will be. */
  close(): void {
    this.#finalSince ??= this.#line.clock.now();
    if (this.#latest === undefined) this.#told.resolve(undefined);
    this.#wake();
  }

  /** Ends when all has arrived or was given up; never rejects. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const next = this.#toNext();
        if (next.kind === 'done') return;
        if (!(await this.#await(next)) || next.kind === 'idle') continue;
        if ((await this.#send(next.kind)) === 'stop') return;
      }
    } catch (error) {
      this.#giveUp(toMessage(error));
    } finally {
      this.#told.resolve(undefined);
    }
  }

  /** Asked anew whenever anything changed. */
  #toNext(): Next {
    const notBefore = this.#pauses.until;
    const isFinal = this.#finalSince !== undefined;
    if (this.#latest === undefined) return { kind: 'done' };
    if (this.#delivered === undefined || this.#isChanged(this.#latest, this.#delivered)) {
      const rank = this.#messageId === undefined ? 'first' : 'edit';
      return { kind: 'message', rank: isFinal ? 'final' : rank, notBefore };
    }
    if (isFinal) {
      this.#told.resolve(this.#messageId);
      return this.#isRingDue() ? { kind: 'ring', rank: 'ring', notBefore } : { kind: 'done' };
    }
    const age = this.#line.clock.now() - this.#latest.startedAt;
    const refreshAt = this.#delivered.at + Math.min(Math.max(REFRESH_MS, Math.floor(age / 10)), MAX_REFRESH_MS);
    if (refreshAt > this.#line.clock.now()) return { kind: 'idle', until: refreshAt };
    return { kind: 'message', rank: 'edit', notBefore };
  }

  /** Whether the newest state differs from what arrived in more than the time that has passed. */
  #isChanged(state: BuildState, delivered: Delivered): boolean {
    return JSON.stringify(this.#toContent(state, delivered.at)) !== delivered.key;
  }

  #isRingDue(): boolean {
    return this.#latest !== undefined && !this.#hasRung && isWorthRinging(this.#latest, this.#notify);
  }

  /** True: it is time. False: something changed, and what is next is to be asked anew. */
  async #await(next: Exclude<Next, { kind: 'done' }>): Promise<boolean> {
    const { clock, seat } = this.#line;
    const { promise: woken, resolve: wake } = Promise.withResolvers<void>();
    this.#wake = wake;
    const giveUpAt = this.#toGiveUpAt();
    const isIdle = next.kind === 'idle';
    const until = isIdle ? next.until : giveUpAt;
    // However long the silence is that Telegram asks for, one last attempt is made before giving up.
    if (!isIdle && clock.now() >= giveUpAt) {
      seat.spend();
      return true;
    }
    const turn = isIdle ? undefined : seat.ask(next.rank, next.notBefore);
    const cancelTimer = Number.isFinite(until) ? clock.setTimer(wake, until - clock.now()) : undefined;
    try {
      await Promise.race([woken, turn?.granted ?? woken]);
    } finally {
      cancelTimer?.();
    }
    return turn?.cancel() === false;
  }

  /** While others' messages arrive in the chat it is only a matter of time; while none of this build's do, it is not. */
  #toGiveUpAt(): number {
    if (this.#finalSince === undefined) return Infinity;
    const silentSince = Math.max(this.#finalSince, this.#line.seat.lastArrivalAt);
    return Math.min(silentSince, this.#troubleSince ?? Infinity) + GIVE_UP_AFTER_MS;
  }

  #toContent(state: BuildState, now: number): Content {
    const buttons = this.#line.throttle.areButtonsRefused ? undefined : toButtons(state);
    return toContent(renderMessage(state, { now: state.endedAt ?? now }), { isPlain: this.#isPlain, buttons });
  }

  async #send(kind: 'message' | 'ring'): Promise<'go on' | 'stop'> {
    const state = this.#latest;
    if (state === undefined) return 'stop';
    return kind === 'ring' ? await this.#sendRing(state) : await this.#sendMessage(state);
  }

  async #sendMessage(state: BuildState): Promise<'go on' | 'stop'> {
    const { client, clock, chat } = this.#line;
    const at = clock.now();
    const content = this.#toContent(state, at);
    this.#sentButtons = content.reply_markup !== undefined;
    // A build that has ended before anybody saw it rings with its only message.
    const isRinging = this.#messageId === undefined && this.#isRingDue();
    const answer =
      this.#messageId === undefined
        ? await client.sendMessage({ ...this.#line.toPlace(), ...content, disable_notification: !isRinging })
        : await client.editMessageText({ chat_id: chat, message_id: this.#messageId, ...content });
    return this.#heed(answer, (messageId) => {
      this.#messageId ??= messageId;
      this.#delivered = { key: JSON.stringify(content), at };
      this.#hasRung ||= isRinging;
    });
  }

  async #sendRing(state: BuildState): Promise<'go on' | 'stop'> {
    this.#sentButtons = false;
    const id = this.#isReply ? this.#messageId : undefined;
    const answer = await this.#line.client.sendMessage({
      ...this.#line.toPlace(),
      ...toContent(renderRing(state), { isPlain: this.#isPlain }),
      ...(id === undefined ? {} : { reply_parameters: { message_id: id, allow_sending_without_reply: true } }),
    });
    return this.#heed(answer, () => {
      this.#hasRung = true;
    });
  }

  #heed(answer: TelegramAnswer, onArrival: (messageId: number | undefined) => void): 'go on' | 'stop' {
    const { clock, log, seat } = this.#line;
    const verdict = toVerdict(answer);
    switch (verdict.kind) {
      case 'arrived':
        onArrival(verdict.messageId);
        if (this.#messageId === undefined) return this.#giveUp('it took a message and did not say its id');
        seat.noteArrival();
        this.#troubleSince = undefined;
        this.#pauses.reset();
        return 'go on';
      case 'wait':
        seat.block(clock.now() + verdict.ms);
        return this.#noteTrouble(verdict.reason);
      case 'transient':
        this.#pauses.add();
        return this.#noteTrouble(verdict.reason);
      case 'migrated':
        this.#line.moveTo(verdict.chat);
        return this.#startAnew();
      case 'message-gone':
        return this.#startAnew();
      case 'reply-gone':
        if (!this.#isReply) return this.#giveUp('it finds no message to reply to where there is no reply');
        this.#isReply = false;
        return 'go on';
      case 'buttons-refused':
        return this.#dropButtons();
      case 'unparsable':
        if (this.#isPlain) return this.#giveUp(verdict.reason);
        this.#isPlain = true;
        log.warn(`Telegram refused a message's markup, it goes as plain text: ${verdict.reason}`);
        return 'go on';
      case 'permanent':
        return this.#giveUp(verdict.reason);
    }
  }

  /** Told once: others may have met it first, with requests that were under way at the same time. */
  #dropButtons(): 'go on' | 'stop' {
    const { log, throttle } = this.#line;
    if (!this.#sentButtons) return this.#giveUp('it refuses buttons where there are none');
    if (!throttle.areButtonsRefused) log.warn(`Telegram refused the buttons, messages go without: ${BUTTONS_HINT}`);
    throttle.areButtonsRefused = true;
    return 'go on';
  }

  /** Message ids do not survive a migration, and a message that somebody deleted cannot be edited. */
  #startAnew(): 'go on' | 'stop' {
    this.#messageId = undefined;
    this.#delivered = undefined;
    this.#newStarts += 1;
    if (this.#newStarts > MAX_NEW_STARTS)
      return this.#giveUp('the message was deleted or the chat moved again and again');
    return 'go on';
  }

  #noteTrouble(reason: string): 'go on' | 'stop' {
    const isTooLate = this.#line.clock.now() >= this.#toGiveUpAt();
    if (this.#finalSince !== undefined) this.#troubleSince ??= this.#line.clock.now();
    return isTooLate ? this.#giveUp(reason) : 'go on';
  }

  #giveUp(reason: string): 'stop' {
    this.#line.log.warn(`Gave up reporting to Telegram: ${reason}`);
    return 'stop';
  }
}
