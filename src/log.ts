/** What rooms say to the operator; pino's logger is one. Never a secret, never a query string, never an object of `ws` or `undici`. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
