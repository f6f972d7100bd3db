/**
 * What can go wrong, as a closed list. A fault is thrown as a {@link C3Error}; an outcome (a step that exits 3, a build that
 * times out) is data and never thrown. Which HTTP status or exit code a fault becomes is told by a table at the edge, not here.
 */
export type ErrorCode =
  | 'CONFIG_INVALID' // settings from the environment or flags
  | 'USAGE_INVALID' // a command line or a request parameter
  | 'SCOPE_INVALID' // not HOST/OWNER/NAME
  | 'SCOPE_REFUSED' // a repository this c3 does not serve
  | 'SEALED_INVALID' // a sealed value that does not open here: damaged, other key, other repository or other purpose
  | 'PLAINTEXT_INVALID' // what was given to be sealed is not what the purpose needs
  | 'BODY_TOO_LARGE'
  | 'BODY_UNREADABLE'
  | 'RATE_LIMITED' // more requests or builds than one sender, or all together, may have
  | 'SIGNATURE_MISSING'
  | 'SIGNATURE_INVALID'
  | 'PAYLOAD_INVALID'
  | 'REPOSITORY_MISMATCH' // the payload names another repository than the hook key
  | 'FORGE_UNAUTHORIZED'
  | 'FORGE_REFUSED'
  | 'FORGE_UNREACHABLE'
  | 'KUBECONFIG_INVALID'
  | 'CLUSTER_UNREACHABLE'
  | 'CLUSTER_REFUSED' // the API server answered no: 401, 403, 409, 422, admission, quota
  | 'TELEGRAM_INVALID' // the sealed Telegram destination is not what it should be
  | 'CONTROL_REFUSED' // a link that may only look, or a form of another site
  | 'BUILD_ELSEWHERE' // no build of that name runs in this process
  | 'DRAINING'
  | 'INTERNAL';

export interface C3ErrorOptions {
  /** What the reader can do about it, one clause, no full stop. */
  hint?: string;
  cause?: unknown;
}

/** The one class of fault. `message` names the action and the object, quotes the value, and holds no secret. */
export class C3Error extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: C3ErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'C3Error';
    this.code = code;
    this.hint = options.hint;
  }
}

/** The sentence of anything that was thrown. */
export function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
