import { Refusal, toError, tooManyRequests, type Answer } from './answers.ts';
import { store, type World } from './world.ts';

export type Fault =
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** The connection ends without a response, before the call has an effect. */
  | { readonly kind: 'cut' }
  /** The call has its effect, and the connection ends without a response. */
  | { readonly kind: 'lose-answer' };

/** Faults on demand. A fault of a method applies to the next call of it, in the order given. */
export interface Faults {
  /** The API's error response: `fail('sendMessage', 403, 'Forbidden: bot was kicked from the group chat')`. */
  fail(method: string, code: number, description: string): void;
  /** 429. */
  flood(method: string, retryAfterSeconds: number): void;
  /** The response is not one of the Bot API, but for example a proxy's error page. */
  garble(method: string, status: number): void;
  cut(method: string): void;
  loseAnswer(method: string): void;
  /** The group becomes a supergroup with another id, without its messages. */
  migrate(chatId: number, newChatId: number): void;
  /** The bot is removed from the group or blocked by the user. */
  kick(chatId: number): void;
  /** A user deletes a message. */
  remove(chatId: number, messageId: number): void;
  /** Removes and returns the fault for this call of a method (in lower case). */
  take(method: string): Fault | undefined;
}

export function createFaults(world: World): Faults {
  const waiting: { readonly method: string; readonly fault: Fault }[] = [];
  const add = (method: string, fault: Fault): void => void waiting.push({ method: method.toLowerCase(), fault });
  return {
    fail: (method, code, description) =>
      add(method, { kind: 'answer', answer: toError(new Refusal(code, description)) }),
    flood: (method, seconds) => add(method, { kind: 'answer', answer: toError(tooManyRequests(seconds)) }),
    garble: (method, status) => add(method, { kind: 'answer', answer: { status, body: { error: 'not the Bot API' } } }),
    cut: (method) => add(method, { kind: 'cut' }),
    loseAnswer: (method) => add(method, { kind: 'lose-answer' }),
    migrate(chatId, newChatId): void {
      const chat = world.chats.get(chatId);
      world.migrated.set(chatId, newChatId);
      world.chats.set(newChatId, { ...chat, id: newChatId });
    },
    kick: (chatId) => void world.kicked.add(chatId),
    remove(chatId, messageId): void {
      const message = world.messages.find((other) => other.chatId === chatId && other.messageId === messageId);
      if (message === undefined) throw new Error(`No message ${messageId} in chat ${chatId}`);
      store(world, { ...message, isDeleted: true });
    },
    take(method): Fault | undefined {
      const index = waiting.findIndex((other) => other.method === method);
      return index === -1 ? undefined : waiting.splice(index, 1)[0]?.fault;
    },
  };
}
