/** What a server is borne with that has said yes before and now says that c3 may not, or that it does not know who c3 is. */
export interface Denials {
  /** The server has said yes. */
  forget(): void;
  /** Whether a refusal may pass by itself, for the time being. */
  mayPass(answer: { readonly code?: number }): boolean;
}

/**
 * An API server that has just restarted answers 401 until it reaches whoever checks tokens, and 403 until it has read the roles. One that
 * has never said yes is taken at its word.
 */
const DENIED_MS = 30_000;

/** `deniedMs`: how long no is not taken for an answer, default {@link DENIED_MS}. */
export function createDenials(deniedMs: number = DENIED_MS): Denials {
  let hasWorked = false;
  let since: number | undefined;
  return {
    forget() {
      hasWorked = true;
      since = undefined;
    },
    mayPass({ code }) {
      if (!hasWorked || (code !== 401 && code !== 403)) return false;
      since ??= performance.now();
      return performance.now() - since < deniedMs;
    },
  };
}
