/**
 * The closed list of faults. A fault is thrown as a {@link C3Error}. An outcome, such as a step that exits with 3 or
 * a build that times out, is data and never thrown. Tables in `server` and `cli` map a fault to an HTTP status and an
 * exit code.
 */
export type ErrorCode =
  | 'CONFIG_INVALID' // settings from the environment or flags
  | 'USAGE_INVALID' // a command line or a request parameter
  | 'SCOPE_INVALID' // not HOST/OWNER/NAME
  | 'SCOPE_REFUSED' // a repository that this c3 does not serve
  | 'SEALED_INVALID' // a sealed value that is damaged, or of another key, repository or purpose
  | 'PLAINTEXT_INVALID' // a text to seal that is not what its purpose requires
  | 'BODY_TOO_LARGE'
  | 'BODY_UNREADABLE'
  | 'RATE_LIMITED' // too many requests or builds of one sender, or of all together
  | 'SIGNATURE_MISSING'
  | 'SIGNATURE_INVALID'
  | 'PAYLOAD_INVALID'
  | 'REPOSITORY_MISMATCH' // the payload names another repository than the hook key
  | 'FORGE_UNAUTHORIZED'
  | 'FORGE_REFUSED'
  | 'FORGE_UNREACHABLE'
  | 'STATUS_LIMIT' // the forge accepts no more statuses of a commit
  | 'KUBECONFIG_INVALID'
  | 'CLUSTER_UNREACHABLE'
  | 'CLUSTER_REFUSED' // the API server refused: 401, 403, 409, 422, admission, quota
  | 'TELEGRAM_INVALID' // a sealed Telegram destination that is not valid
  | 'CONTROL_REFUSED' // a link that may only view, a form of another site, or a token that may not push
  | 'BUILD_ELSEWHERE' // no build of that name runs in this process
  | 'DRAINING'
  | 'INTERNAL';

export interface C3ErrorOptions {
  /** What the reader can do about it, without a full stop. */
  hint?: string;
  cause?: unknown;
}

/** The class of all faults. `message` names the action and the object, quotes the value, and contains no secret. */
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

/** Returns the message of anything that was thrown. */
export function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
