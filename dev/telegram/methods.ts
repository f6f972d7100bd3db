import { badRequest, NOT_MODIFIED, Refusal } from './answers.ts';
import { checkButtons } from './buttons.ts';
import { HtmlError, parseTelegramHtml } from './html.ts';
import {
  newest,
  store,
  StoredDocument,
  toBotId,
  toChatKind,
  type BotAccount,
  type ChatAccount,
  type MessageVersion,
  type StoredMessage,
  type World,
} from './world.ts';

/** The parameters of a call, from JSON, a form or multipart; a file is a {@link StoredDocument}. */
export type Parameters = Readonly<Record<string, unknown>>;
export type Method = (world: World, bot: BotAccount, parameters: Parameters) => unknown;

const MAX_TEXT_LENGTH = 4_096;
const MAX_CAPTION_LENGTH = 1_024;
/** Client.cpp: the text parameter, with its markup. */
const MAX_SOURCE_BYTES = 32_768;
const MAX_CALLBACK_ANSWER_LENGTH = 200;
const MAX_DOCUMENT_BYTES = 50 * 1024 * 1024;

/** By lower-case name: the Bot API ignores the case of a method. */
export const METHODS: Readonly<Record<string, Method>> = {
  getme: (_, bot) => toUser(bot),
  getchat: (world, _, parameters) => toChat(findChat(world, parameters)),
  sendmessage: sendMessage,
  editmessagetext: editMessageText,
  senddocument: sendDocument,
  deletemessage: deleteMessage,
  answercallbackquery: answerCallbackQuery,
  setwebhook: setWebhook,
  deletewebhook(world, bot): true {
    world.webhooks.delete(toBotId(bot));
    return true;
  },
};

function sendMessage(world: World, bot: BotAccount, parameters: Parameters): object {
  const chat = findChat(world, parameters);
  const version = toVersion(world, parameters, { field: 'text', maxLength: MAX_TEXT_LENGTH });
  if (version.text.trim() === '') throw badRequest('message text is empty');
  return toMessage(bot, chat, store(world, toStored(world, { bot, chat, parameters, version })));
}

function sendDocument(world: World, bot: BotAccount, parameters: Parameters): object {
  const chat = findChat(world, parameters);
  const { document } = parameters;
  if (!(document instanceof StoredDocument)) throw badRequest('there is no document in the request');
  if (document.bytes.length > MAX_DOCUMENT_BYTES) throw new Refusal(413, 'Request Entity Too Large');
  if (document.bytes.length === 0) throw badRequest('file must be non-empty');
  const version = toVersion(world, parameters, { field: 'caption', maxLength: MAX_CAPTION_LENGTH });
  return toMessage(bot, chat, store(world, toStored(world, { bot, chat, parameters, version })));
}

function editMessageText(world: World, bot: BotAccount, parameters: Parameters): object {
  const chat = findChat(world, parameters);
  const version = toVersion(world, parameters, { field: 'text', maxLength: MAX_TEXT_LENGTH });
  if (version.text.trim() === '') throw badRequest('message text is empty');
  const message = findMessage(world, chat, parameters['message_id']);
  if (message === undefined) throw badRequest('message to edit not found');
  if (message.botId !== toBotId(bot)) throw badRequest("message can't be edited");
  if (message.document !== undefined) throw badRequest('there is no text in the message to edit');
  if (isSame(newest(message), version)) throw new Refusal(400, NOT_MODIFIED);
  const [first, ...later] = message.versions;
  return toMessage(bot, chat, store(world, { ...message, versions: [first, ...later, version] }));
}

function deleteMessage(world: World, _bot: BotAccount, parameters: Parameters): true {
  const message = findMessage(world, findChat(world, parameters), parameters['message_id']);
  if (message === undefined) throw badRequest('message to delete not found');
  store(world, { ...message, isDeleted: true });
  return true;
}

/** Accepts any id, because nobody presses a button here. It checks only the limits. */
function answerCallbackQuery(_world: World, _bot: BotAccount, parameters: Parameters): true {
  const { callback_query_id: id, text } = parameters;
  if (typeof id !== 'string' || id === '')
    throw badRequest('query is too old and response timeout expired or query ID is invalid');
  if (typeof text === 'string' && text.length > MAX_CALLBACK_ANSWER_LENGTH) throw badRequest('MESSAGE_TOO_LONG');
  return true;
}

function setWebhook(world: World, bot: BotAccount, parameters: Parameters): true {
  const url = typeof parameters['url'] === 'string' ? parameters['url'] : '';
  if (url !== '' && !url.startsWith('https://'))
    throw badRequest('bad webhook: An HTTPS URL must be provided for webhook');
  const { secret_token: secret } = parameters;
  if (secret !== undefined && (typeof secret !== 'string' || !/^[A-Za-z0-9_-]{1,256}$/.test(secret))) {
    throw badRequest('secret token contains unallowed characters');
  }
  if (url === '') world.webhooks.delete(toBotId(bot));
  else world.webhooks.set(toBotId(bot), url);
  return true;
}

/** @throws {Refusal} chat not found, kicked, or migrated */
export function findChat(world: World, { chat_id: id }: Parameters): ChatAccount {
  if (id === undefined || id === '') throw badRequest('chat_id is empty');
  const name = typeof id === 'string' && id.startsWith('@') ? id.slice(1).toLowerCase() : undefined;
  const chat = [...world.chats.values()].find((other) =>
    name === undefined ? other.id === Number(id) : other.username?.toLowerCase() === name,
  );
  const movedTo = world.migrated.get(Number(id));
  if (movedTo !== undefined) {
    throw new Refusal(400, 'Bad Request: group chat was upgraded to a supergroup chat', {
      migrate_to_chat_id: movedTo,
    });
  }
  if (chat === undefined) throw badRequest('chat not found');
  if (world.kicked.has(chat.id)) {
    const kind = toChatKind(chat.id);
    throw new Refusal(
      403,
      kind === 'private' ? 'Forbidden: bot was blocked by the user' : `Forbidden: bot was kicked from the ${kind} chat`,
    );
  }
  return chat;
}

function findMessage(world: World, chat: ChatAccount, id: unknown): StoredMessage | undefined {
  return world.messages.find(
    (message) => message.chatId === chat.id && message.messageId === Number(id) && !message.isDeleted,
  );
}

function toVersion(
  world: World,
  parameters: Parameters,
  { field, maxLength }: { field: 'text' | 'caption'; maxLength: number },
): MessageVersion {
  const given = parameters[field] ?? '';
  if (typeof given !== 'string') throw badRequest(`field "${field}" must be of type String`);
  if (!given.isWellFormed()) throw badRequest('strings must be encoded in UTF-8');
  if (Buffer.byteLength(given) > MAX_SOURCE_BYTES) throw badRequest('Text is too long');
  const mode = parameters['parse_mode'];
  if (mode !== undefined && mode !== '' && mode !== 'HTML') throw badRequest('unsupported parse_mode');
  const { text, nodes } =
    mode === 'HTML' ? parse(given) : { text: given, nodes: [{ kind: 'text', text: given } as const] };
  if (text.length > maxLength)
    throw badRequest(field === 'text' ? 'message is too long' : 'message caption is too long');
  const replyMarkup = toJson(parameters['reply_markup']);
  checkButtons(replyMarkup);
  return { at: world.now(), source: given, text, nodes, isHtml: mode === 'HTML', replyMarkup };
}

function parse(source: string): ReturnType<typeof parseTelegramHtml> {
  try {
    return parseTelegramHtml(source);
  } catch (error) {
    if (!(error instanceof HtmlError)) throw error;
    throw badRequest(`can't parse entities: ${error.message}`);
  }
}

/** Parses an object, which is JSON text in a form. */
function toJson(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    throw badRequest("can't parse JSON object");
  }
}

function isSame(a: MessageVersion, b: MessageVersion): boolean {
  return (
    a.text === b.text &&
    JSON.stringify(a.replyMarkup) === JSON.stringify(b.replyMarkup) &&
    a.isHtml === b.isHtml &&
    a.source === b.source
  );
}

interface NewMessage {
  readonly bot: BotAccount;
  readonly chat: ChatAccount;
  readonly parameters: Parameters;
  readonly version: MessageVersion;
}

function toStored(world: World, { bot, chat, parameters, version }: NewMessage): StoredMessage {
  const thread = parameters['message_thread_id'];
  const threadId = thread === undefined ? undefined : Number(thread);
  if (threadId !== undefined && !(chat.threads ?? []).includes(threadId)) throw badRequest('message thread not found');
  const { document } = parameters;
  return {
    chatId: chat.id,
    messageId: world.messages.filter((message) => message.chatId === chat.id).length + 1,
    botId: toBotId(bot),
    threadId,
    isSilent: String(parameters['disable_notification']) === 'true',
    replyTo: findReply(world, chat, parameters)?.messageId,
    document: document instanceof StoredDocument ? document : undefined,
    versions: [version],
    isDeleted: false,
  };
}

/**
 * Returns the message that this one replies to. A missing one is an error, unless `allow_sending_without_reply` is
 * set; the API ignores that option in a forum topic.
 */
function findReply(world: World, chat: ChatAccount, parameters: Parameters): StoredMessage | undefined {
  const reply = toJson(parameters['reply_parameters']) as Record<string, unknown> | undefined;
  if (reply === undefined) return undefined;
  const message = findMessage(world, chat, reply['message_id']);
  const isAllowed = reply['allow_sending_without_reply'] === true && parameters['message_thread_id'] === undefined;
  if (message === undefined && !isAllowed) throw badRequest('message to be replied not found');
  return message;
}

function toUser(bot: BotAccount): object {
  const username = bot.username ?? 'c3_dev_bot';
  return { id: toBotId(bot), is_bot: true, first_name: username, username };
}

function toChat(chat: ChatAccount): object {
  return {
    id: chat.id,
    type: toChatKind(chat.id),
    ...(chat.title === undefined ? {} : { title: chat.title }),
    ...(chat.username === undefined ? {} : { username: chat.username }),
    ...(chat.threads === undefined ? {} : { is_forum: true }),
  };
}

function toMessage(bot: BotAccount, chat: ChatAccount, message: StoredMessage): object {
  const [first, ...later] = message.versions;
  const { text, replyMarkup } = newest(message);
  return {
    message_id: message.messageId,
    from: toUser(bot),
    chat: toChat(chat),
    date: Math.floor(first.at / 1000),
    ...(later.length === 0 ? {} : { edit_date: Math.floor(newest(message).at / 1000) }),
    ...(message.threadId === undefined ? {} : { message_thread_id: message.threadId, is_topic_message: true }),
    ...(message.document === undefined
      ? { text }
      : {
          caption: text,
          document: { file_name: message.document.fileName, file_size: message.document.bytes.length },
        }),
    ...(message.replyTo === undefined ? {} : { reply_to_message: { message_id: message.replyTo } }),
    ...(replyMarkup === undefined ? {} : { reply_markup: replyMarkup }),
  };
}
