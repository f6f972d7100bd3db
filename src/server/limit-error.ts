import { C3Error } from '../errors.ts';

/** RATE_LIMITED, with the time after which another try makes sense. */
export class LimitError extends C3Error {
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterSeconds: number) {
    super('RATE_LIMITED', message, { hint: 'try it again later' });
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
