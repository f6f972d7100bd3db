import type { TelegramAnswer } from './client.ts';

/** Telegram says "retry after 60" where it has no better idea; an answer without a number is treated alike. */
const DEFAULT_RETRY_AFTER_SECONDS = 60;
/** Flood waits of hours exist; longer ones are asked about once a day. */
const MAX_RETRY_AFTER_SECONDS = 86_400;

/** What an answer means for a message that is sent once and then edited. */
export type Verdict =
  | { readonly kind: 'arrived'; readonly messageId: number | undefined }
  /** 429: nobody may send to this chat for so long. */
  | { readonly kind: 'wait'; readonly ms: number; readonly reason: string }
  | { readonly kind: 'transient'; readonly reason: string }
  /** The group became a supergroup and has another id. */
  | { readonly kind: 'migrated'; readonly chat: number }
  | { readonly kind: 'message-gone' }
  | { readonly kind: 'unparsable'; readonly reason: string }
  /** A revoked token, an unknown chat or topic, no rights: trying again changes nothing. */
  | { readonly kind: 'permanent'; readonly reason: string };

/** The code tells little (most refusals are 400), so the description decides, as its texts are in the Bot API server's Client.cpp. */
export function toVerdict(answer: TelegramAnswer): Verdict {
  if (answer.kind === 'ok') return { kind: 'arrived', messageId: answer.messageId };
  if (answer.kind === 'unreachable') return { kind: 'transient', reason: answer.reason };
  const reason = `${answer.code} ${answer.description}`;
  if (answer.code === 429) {
    const seconds = Math.max(1, answer.retryAfterSeconds ?? DEFAULT_RETRY_AFTER_SECONDS);
    return { kind: 'wait', ms: Math.min(seconds, MAX_RETRY_AFTER_SECONDS) * 1000, reason };
  }
  if (answer.code >= 500) return { kind: 'transient', reason };
  if (answer.migrateToChatId !== undefined) return { kind: 'migrated', chat: answer.migrateToChatId };
  const description = answer.description.toLowerCase();
  // The same text is there already: a request whose answer got lost did arrive.
  if (description.includes('message is not modified')) return { kind: 'arrived', messageId: undefined };
  if (/message to edit not found|message can't be edited|message_id_invalid/.test(description))
    return { kind: 'message-gone' };
  if (description.includes("can't parse entities")) return { kind: 'unparsable', reason };
  return { kind: 'permanent', reason };
}
