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
  /** What is replied to was deleted: in a topic that is refused whatever `allow_sending_without_reply` says. */
  | { readonly kind: 'reply-gone' }
  /** A button's address has no point in its host, or is otherwise none of the web. */
  | { readonly kind: 'buttons-refused' }
  | { readonly kind: 'unparsable'; readonly reason: string }
  /** A revoked token, an unknown chat or topic, no rights: trying again changes nothing. `reason` also says what to do, where that is known. */
  | { readonly kind: 'permanent'; readonly reason: string };

/** What there is to do about a refusal, by what its description says. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/^(?:unauthorized|not found)$/, 'the token is no longer one: seal the destination anew with that of /token'],
  [/chat not found/, "the bot must be in the chat; a supergroup's id begins with -100"],
  [/kicked|not a member/, 'add the bot to the chat again'],
  [/blocked/, 'unblock the bot'],
  [/thread not found|topic_(?:deleted|closed)/, 'the topic is gone or closed: seal the destination anew'],
  [/not enough rights|have no rights|chat_write_forbidden/, 'allow the bot to send messages there'],
];

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
  if (/message to be replied not found|message to reply not found/.test(description)) return { kind: 'reply-gone' };
  // Before the next: of a button it is said as "can't parse inline keyboard button".
  if (/button_url_invalid|inline keyboard button/.test(description)) return { kind: 'buttons-refused' };
  if (description.includes("can't parse entities")) return { kind: 'unparsable', reason };
  const remedy = REMEDIES.find(([pattern]) => pattern.test(description))?.[1];
  return { kind: 'permanent', reason: remedy === undefined ? reason : `${reason} (${remedy})` };
}
