/**
 * Response bodies of the Bot API, with the texts of tdlib/telegram-bot-api (Client.cpp, Query.cpp, HttpConnection).
 */
export interface Answer {
  readonly status: number;
  readonly body: object;
}

/** Thrown by a method; the server turns it into a response. */
export class Refusal extends Error {
  readonly code: number;
  readonly parameters: object | undefined;

  constructor(code: number, description: string, parameters?: object) {
    super(description);
    this.code = code;
    this.parameters = parameters;
  }
}

export function toResult(result: unknown): Answer {
  return { status: 200, body: { ok: true, result } };
}

export function toError({ code, message, parameters }: Refusal): Answer {
  const body = { ok: false, error_code: code, description: message };
  return { status: code, body: parameters === undefined ? body : { ...body, parameters } };
}

export const NOT_MODIFIED =
  'Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message';

export function tooManyRequests(retryAfterSeconds: number): Refusal {
  return new Refusal(429, `Too Many Requests: retry after ${retryAfterSeconds}`, { retry_after: retryAfterSeconds });
}

export function badRequest(what: string): Refusal {
  return new Refusal(400, `Bad Request: ${what}`);
}
