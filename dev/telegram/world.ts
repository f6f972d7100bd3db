import type { HtmlNode } from './html.ts';

/** The bots and chats, and every message with all its versions. */
export interface BotAccount {
  /** `<digits>:<key>`. */
  readonly token: string;
  readonly username?: string;
}

export interface ChatAccount {
  /** Private chats above 0; groups below; supergroups and channels begin with -100. */
  readonly id: number;
  readonly title?: string;
  /** The name of a public chat, without `@`. */
  readonly username?: string;
  /** Topics, if it is a forum. */
  readonly threads?: readonly number[];
}

export interface MessageVersion {
  /** Epoch milliseconds. */
  readonly at: number;
  /** As the bot sent it. */
  readonly source: string;
  /** As a reader sees it. */
  readonly text: string;
  readonly nodes: readonly HtmlNode[];
  readonly isHtml: boolean;
  readonly replyMarkup: unknown;
}

export interface StoredMessage {
  readonly chatId: number;
  readonly messageId: number;
  readonly botId: number;
  readonly threadId: number | undefined;
  /** Whether it was sent without sound. */
  readonly isSilent: boolean;
  /** The id of the message that it replies to. */
  readonly replyTo: number | undefined;
  readonly document: StoredDocument | undefined;
  /** From the first to the newest; at least one. */
  readonly versions: readonly [MessageVersion, ...MessageVersion[]];
  readonly isDeleted: boolean;
}

/** An uploaded file. It is a class, so that a client's JSON cannot imitate it. */
export class StoredDocument {
  readonly fileName: string;
  readonly bytes: Uint8Array;

  constructor(fileName: string, bytes: Uint8Array) {
    this.fileName = fileName;
    this.bytes = bytes;
  }
}

export interface World {
  readonly bots: readonly BotAccount[];
  readonly chats: Map<number, ChatAccount>;
  /** Maps the old id of a group to its new id. */
  readonly migrated: Map<number, number>;
  /** Chats that removed or blocked the bots. */
  readonly kicked: Set<number>;
  /** In order of sending. */
  readonly messages: StoredMessage[];
  readonly webhooks: Map<number, string>;
  readonly now: () => number;
  /** Called after every change of a message. */
  changed(message: StoredMessage): void;
}

export function toBotId(bot: BotAccount): number {
  return Number(bot.token.slice(0, bot.token.indexOf(':')));
}

export function toChatKind(id: number): 'private' | 'group' | 'supergroup' {
  if (id > 0) return 'private';
  return String(id).startsWith('-100') ? 'supergroup' : 'group';
}

export function newest(message: StoredMessage): MessageVersion {
  return message.versions.at(-1) ?? message.versions[0];
}

/** Replaces the earlier version of the message, or appends it. */
export function store(world: World, message: StoredMessage): StoredMessage {
  const isSame = (other: StoredMessage): boolean =>
    other.chatId === message.chatId && other.messageId === message.messageId;
  const index = world.messages.findIndex(isSame);
  if (index === -1) world.messages.push(message);
  else world.messages[index] = message;
  world.changed(message);
  return message;
}
