import { type BuildPhase, type BuildState, replaceStatus, type Reporter, toLogFields } from '../build/index.ts';
import type { Config } from '../config/index.ts';
import type { BuildRequest, TelegramOptions } from '../engine/index.ts';
import { Semaphore, TokenBucket, type Release } from '../limiter.ts';
import type { Log } from '../log.ts';
import {
  combineReporters,
  ChatThrottle,
  createCommitStatusReporter,
  createTelegramReporter,
  parseDestination,
  systemClock,
} from '../reporters/index.ts';

/**
 * Messages about unproven builds in the operator's chat. Telegram accepts twenty per minute for a group. `waiting`:
 * those that may wait for Telegram. Each of them holds a build. Everyone can start builds of new hooks, so these have
 * the smaller part.
 */
const UNPROVEN = { known: { perMinute: 8, waiting: 16 }, new: { perMinute: 4, waiting: 8 } } as const;

export interface ReporterRequest {
  readonly request: BuildRequest;
  /** The `telegram:` part of c3.yaml, if c3.yaml was read. */
  readonly order: TelegramOptions | undefined;
  /** Whether the forge has proven the push by now. It does so before the first report, or never. */
  isProven(): boolean;
  /** Whether the hook was new when the build started. */
  readonly isFromNewHook: boolean;
}

/** Creates what makes the reporters of a build. They share Telegram's limits for each chat. */
export function createReporterFactory(config: Config, log: Log): (order: ReporterRequest) => Reporter {
  const throttle = new ChatThrottle(systemClock);
  const acquire = { known: createUnprovenLimit(UNPROVEN.known), new: createUnprovenLimit(UNPROVEN.new) };
  return ({ request, order, isProven, isFromNewHook }) => {
    const fields = toLogFields(request.build);
    const reporterLog = { warn: (message: string): void => log.warn(fields, message) };
    const reporters: Reporter[] = [
      createCommitStatusReporter({
        setStatus: (status, signal) => replaceStatus(request.repository, request.build.sha, { status, signal }),
        log: reporterLog,
      }),
    ];
    const destination = order?.destination === undefined ? config.telegram : parseDestination(order.destination);
    if (destination) {
      const reporter = createTelegramReporter({
        destination,
        apiBase: config.telegramApi,
        throttle,
        log: reporterLog,
        ...(order === undefined ? {} : { notify: order.notify, isLogSent: order.log }),
      });
      const onDropped = (): void => reporterLog.warn('too many unproven builds: this one is not reported to Telegram');
      const quiet = quietUnproven(reporter, {
        acquire: isFromNewHook ? acquire.new : acquire.known,
        isProven,
        onDropped,
      });
      reporters.push(order?.destination === undefined ? quiet : reporter);
    }
    return combineReporters(reporters, reporterLog);
  };
}

/**
 * Limits the messages about unproven builds in the operator's chat, and the builds that wait for them (threat A12).
 */
function createUnprovenLimit(limits: typeof UNPROVEN.known | typeof UNPROVEN.new): () => Release | undefined {
  const messages = new TokenBucket(limits);
  const waiting = new Semaphore(limits.waiting);
  return () => {
    const release = waiting.tryAcquire();
    if (!release || messages.take() === 0) return release;
    release();
    return undefined;
  };
}

const NOT_SHOWN = 'not confirmed by the forge, so its texts are not shown';

/**
 * Wraps a reporter to the operator's chat. It reports an unproven build only if there are few of them, and only in
 * c3's own words. Any user can start such a build for any repository with their own token. They must not flood
 * the chat, show their texts there, or delay the builds of others (threats A2 and A12).
 *
 * @param options `acquire` acquires the right to one more message, which is released when the message was delivered
 *   or given up. `onDropped` is called when the build is not reported.
 */
export function quietUnproven(
  reporter: Reporter,
  {
    isProven,
    acquire,
    onDropped,
  }: Pick<ReporterRequest, 'isProven'> & { acquire(): Release | undefined; onDropped(): void },
): Reporter {
  let admission: 'proven' | 'dropped' | Release | undefined;
  function admit(): typeof admission {
    if (isProven()) return 'proven';
    const release = acquire();
    if (!release) onDropped();
    return release ?? 'dropped';
  }
  return {
    ...reporter,
    report(state) {
      // An unproven build is reported once, at its end.
      admission ??= admit();
      if (admission === 'proven') reporter.report(state);
      else if (admission !== 'dropped') reporter.report(withoutPayload(state));
    },
    async finish() {
      await reporter.finish();
      if (typeof admission === 'function') admission();
    },
  };
}

/**
 * Keeps the repository, which the hook's key names and c3 serves, and the commit's hash. Every other text may be a
 * stranger's.
 */
function withoutPayload({ build, phase, ...state }: BuildState): BuildState {
  const commit = { subject: NOT_SHOWN, author: '' };
  const shown = { ...build, ref: { kind: 'branch', name: '' }, pull: undefined, commit } as const;
  return { ...state, build: shown, phase: withoutRef(phase, build.ref.name) };
}

/** Removes the ref's name, which the forge's refusal may contain. */
function withoutRef(phase: BuildPhase, name: string): BuildPhase {
  if (phase.kind !== 'ended' || !('message' in phase.ending) || name === '') return phase;
  const { message: told } = phase.ending;
  const shown = told.startsWith(`${name} `) ? `…${told.slice(name.length)}` : told;
  const message = shown.replaceAll(`/${name}`, '/…').replaceAll(`/${encodeURI(name)}`, '/…');
  return { kind: 'ended', ending: { ...phase.ending, message } };
}
