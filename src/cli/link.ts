import { C3Error, toMessage } from '../errors.ts';
import { readAtMost } from '../limiter.ts';
import { toOneLine } from '../terminal/text.ts';
import { isPlainLoopback } from './loopback.ts';
import { readToken } from './read-token.ts';
import type { Terminal } from './terminal.ts';

/** c3 waits 20 s for the forge. */
const FETCH_TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 16 * 1024;
const MAX_LINE_LENGTH = 500;

/**
 * Runs `c3 link`: sends an access token from standard input to the c3 that made a link, which asks the forge about it,
 * and prints the control link.
 */
export async function link(terminal: Terminal, address: string): Promise<number> {
  const url = parseLink(address);
  terminal.tell(`c3: sending the token to ${url.origin}`);
  const token = await readToken(terminal, 'may push');
  const { isRefused, text } = await send(url, token);
  const [line = '', hint] = text.split('\n').map((part) => toOneLine(part, MAX_LINE_LENGTH));
  if (isRefused) throw new C3Error('CONTROL_REFUSED', line, hint ? { hint } : {});
  terminal.print(line);
  return 0;
}

/** Accepts plain HTTP only on this machine, because the token can be read on a network without TLS. */
function parseLink(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/\/b\/[\w.-]+$/.test(url.pathname)) {
    throw new C3Error('USAGE_INVALID', 'The argument is not a link to a build', {
      hint: "copy it from the commit status: 'https://c3.example.com/b/…'",
    });
  }
  if (url.protocol === 'https:' || isPlainLoopback(url)) return url;
  throw new C3Error('USAGE_INVALID', `c3 sends no token to ${url.origin} without TLS`, { hint: 'use an https link' });
}

async function send(url: URL, token: string): Promise<{ readonly isRefused: boolean; readonly text: string }> {
  try {
    const answer = await fetch(`${url.origin}${url.pathname}/control`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      // Another host must not get the token.
      redirect: 'error',
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    });
    const body = await readAtMost(answer.body, MAX_ANSWER_BYTES);
    const text = body?.toString() ?? '';
    const isLink = answer.ok && /^https?:\/\/\S+\/b\/[\w.-]+\n?$/.test(text);
    if (answer.ok && !isLink) throw new Error('its answer is not a link');
    return { isRefused: !answer.ok, text: text || `${url.origin} answered ${answer.status}` };
  } catch (error) {
    throw new C3Error('USAGE_INVALID', `Cannot get the control link from ${url.origin}: ${toMessage(error)}`, {
      cause: error,
    });
  }
}
