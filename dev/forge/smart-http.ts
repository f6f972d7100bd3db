import { spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { hasPermission, type Accounts, type User } from './accounts.ts';
import { GIT_ENVIRONMENT } from './git.ts';
import type { Repository } from './repositories.ts';

/** The maximum number of concurrent git programs; a request beyond it gets 503. */
const MAX_CHILDREN = 32;
/** The time limit of a clone or push. */
const CHILD_TIMEOUT_MS = 120_000;
/** The maximum size of the header block of `git http-backend`. */
const MAX_HEADER_BYTES = 16 * 1024;

interface GitRequest {
  readonly repository: Repository | undefined;
  /** `info/refs`, `git-upload-pack`, `git-receive-pack`. */
  readonly service: string;
  /** With the question mark, or empty. */
  readonly query: string;
}

export interface SmartHttp {
  serve(request: IncomingMessage, response: ServerResponse, target: GitRequest): Promise<void>;
  close(): void;
}

/**
 * Serves clone and push over HTTP with `git http-backend`, a CGI program.
 *
 * @see https://git-scm.com/docs/git-http-backend
 */
export function createSmartHttp(accounts: Accounts): SmartHttp {
  const closing = new AbortController();
  let children = 0;
  return {
    async serve(request, response, target) {
      const user = accounts.authenticate(request.headers.authorization);
      const refusal = toRefusal(user, target);
      if (refusal !== undefined || target.repository === undefined || user === 'invalid') {
        answer(request, response, refusal ?? 404);
        return;
      }
      if (children >= MAX_CHILDREN) {
        answer(request, response, 503);
        return;
      }
      children += 1;
      try {
        const environment = toEnvironment(request, { ...target, repository: target.repository, user });
        await runBackend(request, response, { environment, signal: closing.signal });
      } finally {
        children -= 1;
      }
    },
    close: () => closing.abort(),
  };
}

/**
 * Returns the HTTP status of a refusal, or `undefined`. Its value does not reveal to strangers whether a private
 * repository exists.
 */
function toRefusal(user: User | 'anonymous' | 'invalid', target: GitRequest): number | undefined {
  const isPush = target.service === 'git-receive-pack' || target.query.includes('service=git-receive-pack');
  if (user === 'invalid') {
    return 401;
  }
  if (target.repository === undefined || !hasPermission(user, target.repository, 'read')) {
    return user === 'anonymous' ? 401 : 404;
  }
  if (isPush && !hasPermission(user, target.repository, 'write')) {
    return user === 'anonymous' ? 401 : 403;
  }
  return undefined;
}

function answer(request: IncomingMessage, response: ServerResponse, status: number): void {
  request.resume();
  const challenge = status === 401 ? { 'www-authenticate': 'Basic realm="forge"' } : {};
  response.writeHead(status, { 'content-type': 'text/plain', ...challenge });
  response.end(status === 404 ? 'Repository not found.\n' : `${status}\n`);
}

function toEnvironment(
  request: IncomingMessage,
  target: GitRequest & { readonly repository: Repository; readonly user: User | 'anonymous' },
): Record<string, string> {
  const { headers } = request;
  const optional = {
    REMOTE_USER: target.user === 'anonymous' ? undefined : target.user.login,
    CONTENT_LENGTH: headers['content-length'],
    HTTP_CONTENT_ENCODING: headers['content-encoding'],
    GIT_PROTOCOL: headers['git-protocol']?.toString(),
  };
  const present = Object.entries(optional).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    ...GIT_ENVIRONMENT,
    GIT_PROJECT_ROOT: target.repository.path,
    GIT_HTTP_EXPORT_ALL: '1',
    GATEWAY_INTERFACE: 'CGI/1.1',
    REQUEST_METHOD: request.method ?? 'GET',
    PATH_INFO: `/${target.service}`,
    QUERY_STRING: target.query.slice(1),
    CONTENT_TYPE: headers['content-type'] ?? '',
    REMOTE_ADDR: request.socket.remoteAddress ?? '',
    ...Object.fromEntries(present),
  };
}

async function runBackend(
  request: IncomingMessage,
  response: ServerResponse,
  options: { readonly environment: Record<string, string>; readonly signal: AbortSignal },
): Promise<void> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(CHILD_TIMEOUT_MS)]);
  const child = spawn('git', ['http-backend'], { env: options.environment, stdio: ['pipe', 'pipe', 'ignore'], signal });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  response.once('close', () => child.kill());
  // The program may close its input early; the rest of the request is then discarded.
  const input = pipeline(request, child.stdin).catch(() => request.resume());
  try {
    await writeCgi(child.stdout, response);
  } catch {
    response.destroy();
  }
  await Promise.all([ended, input]);
}

/** Streams a CGI response (`Status: 200 OK`, headers, empty line, body) as an HTTP response. */
async function writeCgi(output: AsyncIterable<Buffer>, response: ServerResponse): Promise<void> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of output) {
    if (head === undefined) {
      await write(response, chunk);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1 && head.length > MAX_HEADER_BYTES) {
      throw new Error('git http-backend wrote no header');
    }
    if (end !== -1) {
      writeHead(response, head.subarray(0, end).toString('latin1'));
      await write(response, head.subarray(end + 4));
      head = undefined;
    }
  }
  if (head !== undefined) {
    throw new Error('git http-backend wrote no header');
  }
  response.end();
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split('\r\n')) {
    const [, name = '', value = ''] = /^([^:]+): *(.*)$/.exec(line) ?? [];
    if (name.toLowerCase() === 'status') {
      status = Number.parseInt(value, 10);
    } else if (name !== '') {
      response.setHeader(name, value);
    }
  }
  response.writeHead(status);
}

/** Resolves when the response can take more, or is closed. */
async function write(response: ServerResponse, chunk: Uint8Array): Promise<void> {
  if (chunk.length === 0 || response.destroyed || response.write(chunk)) {
    return;
  }
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      response.off('drain', settle);
      response.off('close', settle);
      resolve();
    };
    response.once('drain', settle);
    response.once('close', settle);
  });
}
