/** The operator's log, such as pino's. Log no secret, no query string, and no object of `ws` or `undici`. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
