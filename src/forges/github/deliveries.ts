import { C3Error } from '../../errors.ts';
import { parseJsonWithIds, readInteger, readObject, readString } from '../../json.ts';
import { formatScope, type Scope } from '../../sealing/scope.ts';
import type { HttpResponse } from '../http-client.ts';
import {
  createForgeClients,
  type ForgeOptions,
  MAX_JSON_BYTES,
  type RestApi,
  toDiagnosis,
  toForgeError,
} from '../rest-api.ts';
import { toPrintableLine } from '../untrusted-text.ts';
import { githubDialect } from './api.ts';

/** A webhook of a repository. */
export interface RepositoryHook {
  /** Decimal digits. */
  readonly id: string;
  /** Contains the hook's key: do not print it. */
  readonly url: string;
  readonly isActive: boolean;
}

/** One attempt of GitHub to deliver an event to one webhook. */
export interface DeliveryAttempt {
  /** Decimal digits, possibly more than a number holds exactly. */
  readonly id: string;
  /** The id of the event. All its attempts have it, also those of other webhooks. */
  readonly guid: string;
  /** Epoch milliseconds. */
  readonly deliveredAt: number;
  /** `push`. */
  readonly event: string;
  /** `opened`, of a pull request. */
  readonly action: string | undefined;
  /** `OK`, or why it failed: `timed out`. One line. */
  readonly status: string;
  /** The HTTP status of the answer; 0 if there was none. */
  readonly statusCode: number;
}

/** The webhooks of one repository on GitHub, and their deliveries. */
export interface HookDeliveries {
  /** @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED, FORGE_REFUSED */
  listHooks(signal: AbortSignal): Promise<readonly RepositoryHook[]>;
  /** Lists the attempts of a webhook since a time, newest first. @throws {C3Error} as `listHooks` */
  listAttempts(
    hook: RepositoryHook,
    options: { /** Epoch milliseconds. */ readonly since: number; readonly signal: AbortSignal },
  ): Promise<AttemptList>;
  /**
   * Asks GitHub to deliver once more. GitHub does it in the background. Returns why GitHub refuses; undefined if it
   * accepts.
   *
   * @throws {C3Error} as `listHooks`; FORGE_REFUSED if the token may not do it
   */
  sendAgain(hook: RepositoryHook, attempt: DeliveryAttempt, signal: AbortSignal): Promise<string | undefined>;
  close(): Promise<void>;
}

export interface AttemptList {
  readonly attempts: readonly DeliveryAttempt[];
  /** False if there are more attempts since that time. */
  readonly isComplete: boolean;
}

/** GitHub's largest page. */
const PAGE_LENGTH = 100;
/** GitHub allows 20 webhooks for each event of a repository, and has about 70 events. */
const MAX_HOOK_PAGES = 15;
/** 20,000 attempts: one every 13 seconds for three days. */
const MAX_ATTEMPT_PAGES = 200;
/** GitHub's secondary limits last a minute, and a hundred deliveries can reach one. */
const PATIENCE_MS = 90_000;
const MAX_TEXT_LENGTH = 100;

const RIGHTS =
  'the user must be an administrator of the repository; a fine-grained token needs the permission "Webhooks: read and write", a classic token the scope admin:repo_hook';

/** Opens the webhooks of a repository. The caller closes them. */
export function openDeliveries(options: ForgeOptions, scope: Scope, token: string): HookDeliveries {
  const clients = createForgeClients(options, githubDialect);
  // A token that GitHub refuses is tried only once more.
  const api = withOwnHint(clients.openApi(scope, token, { isConfirmed: () => false, patienceMs: PATIENCE_MS }));
  return {
    listHooks: (signal) => listHooks(api, signal),
    listAttempts: (hook, range) => listAttempts(api, hook, range),
    sendAgain: (hook, attempt, signal) => sendAgain(api, `/hooks/${hook.id}/deliveries/${attempt.id}/attempts`, signal),
    close: () => clients.close(),
  };
}

/** Replaces the hint for a token in a hook key, which this one is not. */
function withOwnHint(api: RestApi): RestApi {
  const explain = (error: unknown): never => {
    if (!(error instanceof C3Error) || error.code !== 'FORGE_UNAUTHORIZED') throw error;
    throw new C3Error(error.code, error.message, { hint: 'it may have expired or been revoked', cause: error });
  };
  return {
    scope: api.scope,
    get: (path, signal, options) => api.get(path, signal, options).catch(explain),
    send: (request, signal) => api.send(request, signal).catch(explain),
  };
}

/** @see https://docs.github.com/en/rest/repos/webhooks#list-repository-webhooks */
async function listHooks(api: RestApi, signal: AbortSignal): Promise<readonly RepositoryHook[]> {
  const hooks: RepositoryHook[] = [];
  for (let page = 1; page <= MAX_HOOK_PAGES; page += 1) {
    const query = { per_page: String(PAGE_LENGTH), page: String(page) };
    const found = readList(api, 'webhooks', await api.get('/hooks', signal, { query }));
    hooks.push(...found.flatMap((one) => toHook(one) ?? []));
    if (found.length < PAGE_LENGTH) break;
  }
  return hooks;
}

function toHook(value: unknown): RepositoryHook | undefined {
  const { id, active, config } = readObject(value);
  const url = readString(readObject(config)['url']);
  return isId(id) && url !== undefined ? { id, url, isActive: active === true } : undefined;
}

/**
 * The list has no page numbers, so that a new delivery moves nothing to another page. `Link` names the cursor of the
 * next page. Only the cursor is used: no address comes from an answer (A6).
 *
 * The list is read without GitHub's filter by status, which is not documented for an attempt without an answer.
 *
 * @see https://docs.github.com/en/rest/repos/webhooks#list-deliveries-for-a-repository-webhook
 */
async function listAttempts(
  api: RestApi,
  hook: RepositoryHook,
  { since, signal }: { readonly since: number; readonly signal: AbortSignal },
): Promise<AttemptList> {
  const attempts: DeliveryAttempt[] = [];
  let cursor: string | undefined;
  for (let page = 1; page <= MAX_ATTEMPT_PAGES; page += 1) {
    const query = { per_page: String(PAGE_LENGTH), ...(cursor === undefined ? {} : { cursor }) };
    const response = await api.get(`/hooks/${hook.id}/deliveries`, signal, { query });
    for (const value of readList(api, 'deliveries of a webhook', response)) {
      const attempt = toAttempt(value);
      if (attempt === undefined) continue;
      if (attempt.deliveredAt < since) return { attempts, isComplete: true };
      attempts.push(attempt);
    }
    cursor = readNextCursor(response.link);
    if (cursor === undefined) return { attempts, isComplete: true };
  }
  return { attempts, isComplete: false };
}

/**
 * Reads the cursor of `<https://api.github.com/…/deliveries?per_page=100&cursor=v1_17>; rel="next"`.
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
 */
function readNextCursor(link: string = ''): string | undefined {
  const next = link.split(',').find((part) => part.trim().endsWith('rel="next"')) ?? '';
  const url = next.slice(next.indexOf('<') + 1, Math.max(0, next.indexOf('>')));
  return URL.canParse(url) ? (new URL(url).searchParams.get('cursor') ?? undefined) : undefined;
}

/** The schema is `hook-delivery-item` in GitHub's description of its API. */
function toAttempt(value: unknown): DeliveryAttempt | undefined {
  const { id, guid, delivered_at: at, event, action, status, status_code: code } = readObject(value);
  const deliveredAt = Date.parse(readString(at) ?? '');
  if (!isId(id) || typeof guid !== 'string' || Number.isNaN(deliveredAt)) return undefined;
  return {
    id,
    guid: toPrintableLine(guid, MAX_TEXT_LENGTH),
    deliveredAt,
    event: toPrintableLine(readString(event) ?? '', MAX_TEXT_LENGTH),
    action: typeof action === 'string' ? toPrintableLine(action, MAX_TEXT_LENGTH) : undefined,
    status: toPrintableLine(readString(status) ?? '', MAX_TEXT_LENGTH),
    statusCode: readInteger(code, { min: 0, max: 999 }) ?? 0,
  };
}

/** @see https://docs.github.com/en/rest/repos/webhooks#redeliver-a-delivery-for-a-repository-webhook */
async function sendAgain(api: RestApi, path: string, signal: AbortSignal): Promise<string | undefined> {
  const headers = { accept: githubDialect.accept };
  const response = await api.send({ method: 'POST', path, headers, maxBytes: MAX_JSON_BYTES }, signal);
  if (response.status === 202) return undefined;
  if (response.status === 403) {
    throw toForgeError(`send a webhook of ${formatScope(api.scope)} again`, response, RIGHTS);
  }
  // GitHub answers 404 also to a classic token that may only read webhooks.
  const isHidden = response.status === 404;
  return `${toDiagnosis(response)}${isHidden ? ': it is too old, or the token may only read webhooks' : ''}`;
}

function readList(api: RestApi, what: string, response: HttpResponse): readonly unknown[] {
  const list = response.status === 200 ? parseJsonWithIds(response.body) : undefined;
  if (Array.isArray(list)) return list as readonly unknown[];
  const action = `list the ${what} of ${formatScope(api.scope)}`;
  if (response.status >= 300 && response.status < 400) {
    throw new C3Error('FORGE_REFUSED', `Cannot ${action}: ${toDiagnosis(response)}`, {
      hint: 'the repository has another name now: use that with --repo',
    });
  }
  throw toForgeError(action, response, RIGHTS);
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && /^\d{1,20}$/.test(value);
}
