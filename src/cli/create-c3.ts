import { matchRepo, type Config } from '../config/index.ts';
import {
  createLinePool,
  runBuild,
  DEFAULT_STEP_LIMITS,
  type BuildDependencies,
  type BuildLimits,
  type BuildRequest,
  type Reporter,
} from '../engine/index.ts';
import { C3Error, toMessage } from '../errors.ts';
import { createForges } from '../forges/index.ts';
import { createClusterPool } from '../kube/index.ts';
import type { Log } from '../log.ts';
import {
  combineReporters,
  createChatThrottle,
  createCommitStatusReporter,
  createTelegramReporter,
  parseDestination,
  systemClock,
  type TelegramDestination,
} from '../reporters/index.ts';
import { formatScope, openSealed, parseKeyring, type Scope } from '../sealing/index.ts';
import { createApp, createBuilds, listen } from '../server/index.ts';

/** A c3 that serves. */
export interface C3 {
  /** Where it listens. */
  readonly origin: string;
  /** Ends the builds that run, at once when `signal` says so, then everything else. */
  close(signal: AbortSignal): Promise<void>;
  readonly buildCount: number;
}

/** An autoscaler may need minutes to bring a node. */
const START_TIMEOUT_MS = 10 * 60_000;

const LIMITS: BuildLimits = { ...DEFAULT_STEP_LIMITS, startTimeoutMs: START_TIMEOUT_MS };

/** Constructs every room and wires them: the one place that knows all of them. */
export async function createC3(config: Config, log: Log): Promise<C3> {
  const keyring = parseKeyring(config.secret);
  const forges = createForges(config.forges);
  const clusters = createClusterPool();
  const lines = createLinePool();
  const openReporter = createReporterFactory(config, log);

  function checkScope(scope: Scope): void {
    if (matchRepo(config.allowRepos, formatScope(scope))) return;
    throw new C3Error('SCOPE_REFUSED', `This c3 does not serve ${formatScope(scope)}`, {
      hint: 'its operator lists the repositories that it serves in C3_ALLOW_REPOS',
    });
  }

  const builds = createBuilds({
    log,
    run(request, scope) {
      const dependencies: BuildDependencies = {
        open: (token, purpose) => openSealed(keyring, token, { scope, purpose }),
        openCluster: (kubeconfig) => clusters.getCluster(kubeconfig),
        openReporter,
        lines,
        now: Date.now,
        onFault: (error) => log.error({ build: request.id, error: toMessage(error) }, 'a fault that no report carries'),
        limits: LIMITS,
      };
      return runBuild(request, dependencies);
    },
  });

  const app = createApp({
    keyring,
    // Where the system chose the port, the default base URL is known only now.
    baseUrl: () => (config.port === 0 ? config.url.replace(/:0$/, `:${new URL(listener.origin).port}`) : config.url),
    checkScope,
    forgeFor: (scope) => forges.forgeFor(scope),
    builds,
    log,
  });
  const listener = await listen(app, { host: config.host, port: config.port });

  return {
    origin: listener.origin,
    get buildCount() {
      return builds.count;
    },
    async close(signal): Promise<void> {
      // Answers "shutting down" while it drains, so that a load balancer can tell.
      await builds.drain(signal);
      lines.close();
      await listener.close();
      await Promise.all([clusters.close(), forges.close()]);
    },
  };
}

/** Reporters share what a process shares: the limits of a chat. */
function createReporterFactory(config: Config, log: Log): BuildDependencies['openReporter'] {
  const throttle = createChatThrottle(systemClock);
  return (request: BuildRequest, telegram: string | undefined): Reporter => {
    const fields = { build: request.id };
    const reporterLog = { warn: (message: string): void => log.warn(fields, message) };
    const reporters: Reporter[] = [
      createCommitStatusReporter({
        setStatus: (status, signal) => request.repository.setStatus(request.push.sha, status, signal),
        log: reporterLog,
      }),
    ];
    const destination: TelegramDestination | undefined =
      telegram === undefined ? config.telegram : parseDestination(telegram);
    if (destination) {
      reporters.push(createTelegramReporter({ destination, apiBase: config.telegramApi, throttle, log: reporterLog }));
    }
    return combineReporters(reporters);
  };
}
