import { parseJson, readInteger, readObject, readString } from '../../json.ts';

/** Telegram sends "retry after 60" when it does not know better. A response without a number is treated alike. */
const DEFAULT_RETRY_AFTER_SECONDS = 60;
/** Flood waits of hours exist. After a longer one, c3 tries again once a day. */
const MAX_RETRY_AFTER_SECONDS = 86_400;
/** Telegram's sentences are short. Something that responds in its place may write more. */
const MAX_DESCRIPTION_LENGTH = 200;

/** How Telegram responded to a message or an edit. A reason never contains the token. */
export type TelegramResponse =
  | { readonly kind: 'delivered'; readonly messageId: number | undefined }
  /** 429: nobody may send to this chat for this time. */
  | { readonly kind: 'wait'; readonly ms: number; readonly reason: string }
  /** There was no response of Telegram, or one that says that Telegram has a fault. */
  | { readonly kind: 'transient'; readonly reason: string }
  /** The group became a supergroup and has another id. */
  | { readonly kind: 'migrated'; readonly chat: number }
  | { readonly kind: 'message-gone' }
  /**
   * The message to reply to was deleted. In a topic, Telegram refuses this in spite of `allow_sending_without_reply`.
   */
  | { readonly kind: 'reply-gone' }
  /** The address of a button has no dot in its host, or is not a web address. */
  | { readonly kind: 'buttons-refused' }
  /** Telegram cannot parse the markup. */
  | { readonly kind: 'unparsable'; readonly reason: string }
  /**
   * A revoked token, an unknown chat or topic, missing rights: a retry cannot help. The reason says what to do, if
   * that is known.
   */
  | { readonly kind: 'permanent'; readonly reason: string };

/** What to do about a refusal, by its description. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:unauthorized|not found)$/,
    'the token is no longer valid: send /token to BotFather and seal the destination again',
  ],
  [/chat not found/, 'add the bot to the chat; the id of a supergroup begins with -100'],
  [/kicked|not a member/, 'add the bot to the chat again'],
  [/blocked/, 'unblock the bot'],
  [/thread not found|topic_(?:deleted|closed)/, 'the topic was deleted or closed: seal the destination again'],
  [/not enough rights|have no rights|chat_write_forbidden/, 'allow the bot to send messages there'],
];

/**
 * Reads the response to a call. The code says little, because most refusals are 400. The description decides: its
 * texts are in Client.cpp of the Bot API server.
 */
export function readResponse(status: number, body: string, token: string): TelegramResponse {
  const { ok, result, description: sentence, error_code: code, parameters } = readObject(parseJson(body));
  const description = readString(sentence);
  if (ok === true) {
    const { message_id: messageId } = readObject(result);
    return { kind: 'delivered', messageId: readInteger(messageId) };
  }
  if (ok !== false || description === undefined)
    return { kind: 'transient', reason: `HTTP ${status} and no response of a Bot API` };
  const { retry_after: retryAfter, migrate_to_chat_id: newChat } = readObject(parameters);
  return readRefusal({
    code: readInteger(code) ?? status,
    // It may quote the address of a button, which grants the right to cancel the build.
    description: description
      .replaceAll(token, '***')
      .replaceAll(/https?:\/\/[^\s'"]+/gi, '…')
      .slice(0, MAX_DESCRIPTION_LENGTH),
    retryAfterSeconds: readInteger(retryAfter),
    newChat: readInteger(newChat),
  });
}

interface Refusal {
  /** Telegram's own: 400, 401, 403, 404, 429, 500. */
  readonly code: number;
  readonly description: string;
  readonly retryAfterSeconds: number | undefined;
  readonly newChat: number | undefined;
}

function readRefusal({ code, description, retryAfterSeconds, newChat }: Refusal): TelegramResponse {
  const reason = `${code} ${description}`;
  if (code === 429) {
    const seconds = Math.max(1, retryAfterSeconds ?? DEFAULT_RETRY_AFTER_SECONDS);
    return { kind: 'wait', ms: Math.min(seconds, MAX_RETRY_AFTER_SECONDS) * 1000, reason };
  }
  if (code >= 500) return { kind: 'transient', reason };
  if (newChat !== undefined) return { kind: 'migrated', chat: newChat };
  const text = description.toLowerCase();
  // Telegram already has this text: an earlier request was delivered, but its response was lost.
  if (text.includes('message is not modified')) return { kind: 'delivered', messageId: undefined };
  if (/message to edit not found|message can't be edited|message_id_invalid/.test(text))
    return { kind: 'message-gone' };
  if (/message to be replied not found|message to reply not found/.test(text)) return { kind: 'reply-gone' };
  // Must precede the next test: Telegram also says "can't parse inline keyboard button".
  if (/button_url_invalid|inline keyboard button/.test(text)) return { kind: 'buttons-refused' };
  if (text.includes("can't parse entities")) return { kind: 'unparsable', reason };
  const remedy = REMEDIES.find(([pattern]) => pattern.test(text))?.[1];
  return { kind: 'permanent', reason: remedy === undefined ? reason : `${reason} (${remedy})` };
}
