import { formatCount } from '../build/index.ts';
import { type Flags, readForges } from '../config/index.ts';
import { C3Error } from '../errors.ts';
import { openDeliveries, type DeliveryAttempt, type HookDeliveries, type RepositoryHook } from '../forges/index.ts';
import { formatScope, parseScope, type Scope } from '../sealing/index.ts';
import { trimEnd } from '../trim-end.ts';
import { readToken } from './read-token.ts';
import { escapeControls, type Terminal } from './terminal.ts';

export interface CatchUpFlags extends Pick<Flags, 'forges' | 'url'> {
  readonly repo: string;
  readonly hours?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** GitHub keeps deliveries for three days. */
const DEFAULT_HOURS = '72';
const HOUR_MS = 3_600_000;

/**
 * Runs `c3 catch-up`: asks GitHub to send the events again that c3 missed, the oldest first, so that builds start in the
 * order of the pushes. Standard input is an access token. Exit code 0, or 1 if GitHub refuses one.
 *
 * @throws {C3Error} USAGE_INVALID, SCOPE_INVALID, CONFIG_INVALID; FORGE_REFUSED if the token may not do it
 * @see https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
 */
export async function catchUp(terminal: Terminal, flags: CatchUpFlags): Promise<number> {
  const scope = parseScope(flags.repo);
  const baseUrl = flags.url === undefined ? undefined : parseBase(flags.url);
  const hours = parseHours(flags.hours ?? DEFAULT_HOURS);
  const forge = findForge(scope, readForges(terminal.env, flags));
  terminal.tell(`c3: sending the token to ${forge.apiBase}`);
  const token = await readToken(terminal, 'may administer the webhooks of the repository');
  const deliveries = openDeliveries(forge, scope, token);
  const { signal } = new AbortController();
  try {
    const hooks = chooseHooks(await deliveries.listHooks(signal), scope, baseUrl);
    const missed: MissedEvent[] = [];
    for (const hook of hooks) {
      const { attempts, isComplete } = await deliveries.listAttempts(hook, {
        since: Date.now() - hours * HOUR_MS,
        signal,
      });
      if (!isComplete) {
        terminal.tell(`c3: warning: c3 looked only at the newest ${attempts.length} deliveries of webhook ${hook.id}`);
      }
      missed.push(...findMissed(hook, attempts));
    }
    missed.sort((one, other) => one.firstAt - other.firstAt);
    return await sendAll(terminal, missed, { deliveries, signal, hours, flags });
  } finally {
    await deliveries.close();
  }
}

function parseBase(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return trimEnd(`${url.origin}${url.pathname}`, '/');
  throw new C3Error('USAGE_INVALID', '--url is not the base URL of a c3', {
    hint: 'for example https://c3.example.com',
  });
}

function parseHours(text: string): number {
  if (/^[1-9][0-9]{0,2}$/.test(text)) return Number(text);
  throw new C3Error('USAGE_INVALID', `--hours is "${text}", not a whole number from 1 to 999`);
}

type ForgeSetting = ReturnType<typeof readForges>[number];

/** Where each other kind of forge sends a delivery again. */
const BY_HAND: Readonly<Record<Exclude<ForgeSetting['kind'], 'github'>, string>> = {
  gitea: 'press the replay button of the delivery in the settings of the webhook',
  gitlab: 'press "Resend Request" of the event in the settings of the webhook',
};

function findForge(scope: Scope, forges: readonly ForgeSetting[]): ForgeSetting {
  const forge = forges.find(({ origin }) => new URL(origin).host === scope.host);
  if (forge === undefined) {
    throw new C3Error('USAGE_INVALID', `c3 does not know the forge of ${formatScope(scope)}`, {
      hint: `for a GitHub Enterprise Server: --forges github=https://${scope.host}`,
    });
  }
  if (forge.kind === 'github') return forge;
  const { host } = scope;
  throw new C3Error('USAGE_INVALID', `c3 catch-up is for GitHub only; on ${host}, ${BY_HAND[forge.kind]}`);
}

/** @throws {C3Error} USAGE_INVALID if no webhook is one of c3 */
function chooseHooks(
  hooks: readonly RepositoryHook[],
  scope: Scope,
  baseUrl: string | undefined,
): readonly RepositoryHook[] {
  const known = hooks.filter(({ isActive }) => isActive).map((hook) => ({ hook, base: readHookBase(hook.url) }));
  const chosen = known.filter(({ base }) => base !== undefined && base === (baseUrl ?? base));
  if (chosen.length > 0) return chosen.map(({ hook }) => hook);
  const others = [...new Set(known.flatMap(({ base }) => base ?? []))].join(', ');
  const place = baseUrl === undefined ? 'a c3' : escapeControls(baseUrl);
  throw new C3Error('USAGE_INVALID', `No active webhook of ${formatScope(scope)} calls ${place}`, {
    hint:
      others === '' ? 'its URL has the form https://c3.example.com/hook?key=…' : `the webhooks of c3 call ${others}`,
  });
}

/** Returns the base URL of the c3 that a hook URL calls. Returns undefined for any other URL. */
function readHookBase(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.pathname.endsWith('/hook') || !url.searchParams.has('key')) return undefined;
  return `${url.origin}${url.pathname.slice(0, -'/hook'.length)}`;
}

/** An event whose newest attempt failed. */
interface MissedEvent {
  readonly hook: RepositoryHook;
  /** The newest one. */
  readonly attempt: DeliveryAttempt;
  /** The time of the oldest attempt, in epoch milliseconds. The sort by it is stable. */
  readonly firstAt: number;
  /** False if the next attempt would fail for the same reason. */
  readonly isWorthwhile: boolean;
}

/**
 * Returns the missed events of one webhook in the order of their first attempts. Times have whole seconds, so the order
 * comes from the list.
 *
 * @param attempts newest first
 */
function findMissed(hook: RepositoryHook, attempts: readonly DeliveryAttempt[]): readonly MissedEvent[] {
  const byEvent = Map.groupBy(attempts.toReversed(), ({ guid }) => guid).values();
  return [...byEvent].flatMap((tries) => {
    const [first, attempt] = [tries.at(0), tries.at(-1)];
    if (first === undefined || attempt === undefined || attempt.event === 'ping' || isDelivered(attempt)) return [];
    return [{ hook, attempt, firstAt: first.deliveredAt, isWorthwhile: isWorthwhile(attempt) }];
  });
}

/** GitHub's status of any answer with 2xx is `OK`. */
function isDelivered({ status, statusCode }: DeliveryAttempt): boolean {
  return status === 'OK' || (statusCode >= 200 && statusCode < 300);
}

/** Too slow, and too many: c3 may answer otherwise at another time. */
const TEMPORARY: readonly number[] = [408, 429];

/** Returns whether another attempt can succeed. c3 refuses with 4xx what it would refuse again. */
function isWorthwhile({ statusCode }: DeliveryAttempt): boolean {
  return statusCode === 0 || statusCode >= 500 || TEMPORARY.includes(statusCode);
}

/** What became of a missed event. docs/command-line.md documents the words. */
type Outcome = 'sent' | 'would-be-sent' | 'refused-by-c3' | 'refused-by-forge';

interface SendOptions {
  readonly deliveries: HookDeliveries;
  readonly signal: AbortSignal;
  readonly hours: number;
  readonly flags: CatchUpFlags;
}

/** Sends the events again and prints a line for each, then one with the counts. Returns the exit code. */
async function sendAll(terminal: Terminal, missed: readonly MissedEvent[], options: SendOptions): Promise<number> {
  const { hours, flags } = options;
  const counts = { sent: 0, 'would-be-sent': 0, 'refused-by-c3': 0, 'refused-by-forge': 0 };
  const width = Math.max(0, ...missed.map(({ attempt }) => formatEvent(attempt).length));
  for (const event of missed) {
    const { outcome, reason } = await sendOne(event, options);
    counts[outcome] += 1;
    terminal.print(
      flags.json === true ? formatJson(event, outcome, reason) : formatLine(event.attempt, { width, outcome, reason }),
    );
  }
  terminal.print(
    flags.json === true ? JSON.stringify({ kind: 'summary', hours, ...toFields(counts) }) : formatCounts(counts, hours),
  );
  return counts['refused-by-forge'] === 0 ? 0 : 1;
}

async function sendOne(
  { hook, attempt, isWorthwhile }: MissedEvent,
  { deliveries, signal, flags }: SendOptions,
): Promise<{ readonly outcome: Outcome; readonly reason: string }> {
  const { status, statusCode } = attempt;
  const reason = statusCode === 0 ? `no answer (${status})` : `the answer was ${statusCode}`;
  if (!isWorthwhile) return { outcome: 'refused-by-c3', reason };
  if (flags.dryRun === true) return { outcome: 'would-be-sent', reason };
  const refusal = await deliveries.sendAgain(hook, attempt, signal);
  return refusal === undefined ? { outcome: 'sent', reason } : { outcome: 'refused-by-forge', reason: refusal };
}

const WORDS: Readonly<Record<Outcome, string>> = {
  sent: 'sent again',
  'would-be-sent': 'would be sent again',
  'refused-by-c3': 'not sent again: c3 refused it',
  'refused-by-forge': 'not sent again: the forge refused',
};

/** `2026-12-01T15:41:22Z  pull_request opened  1a2b3c4d  sent again: no answer (timed out)`. */
function formatLine(
  attempt: DeliveryAttempt,
  { width, outcome, reason }: { readonly width: number; readonly outcome: Outcome; readonly reason: string },
): string {
  const time = new Date(attempt.deliveredAt).toISOString().replace(/\.\d+Z$/, 'Z');
  return `${time}  ${formatEvent(attempt).padEnd(width)}  ${attempt.guid.slice(0, 8)}  ${WORDS[outcome]}: ${reason}`;
}

function formatEvent({ event, action }: DeliveryAttempt): string {
  return action === undefined ? event : `${event} ${action}`;
}

function formatJson({ hook, attempt }: MissedEvent, outcome: Outcome, reason: string): string {
  const { id, guid, deliveredAt, event, action, statusCode } = attempt;
  const time = new Date(deliveredAt).toISOString();
  const fields = { hook: hook.id, delivery: id, guid, time, event, action, statusCode, outcome, reason };
  return escapeControls(JSON.stringify({ kind: 'event', ...fields }));
}

type Counts = Readonly<Record<Outcome, number>>;

function toFields(counts: Counts): Readonly<Record<string, number>> {
  return {
    sent: counts.sent,
    wouldBeSent: counts['would-be-sent'],
    refusedByC3: counts['refused-by-c3'],
    refusedByForge: counts['refused-by-forge'],
  };
}

function formatCounts(counts: Counts, hours: number): string {
  const parts = (Object.keys(WORDS) as Outcome[]).filter((outcome) => counts[outcome] > 0);
  const total = parts.reduce((sum, outcome) => sum + counts[outcome], 0);
  const time = `in the last ${formatCount(hours, 'hour')}`;
  if (total === 0) return `c3 missed no event ${time}`;
  const shown = parts.map((outcome) => `${counts[outcome]} ${SUMMARY[outcome]}`).join(', ');
  return `c3 missed ${formatCount(total, 'event')} ${time}: ${shown}`;
}

const SUMMARY: Readonly<Record<Outcome, string>> = {
  sent: 'sent again',
  'would-be-sent': 'would be sent again',
  'refused-by-c3': 'refused by c3 before',
  'refused-by-forge': 'refused by the forge',
};
