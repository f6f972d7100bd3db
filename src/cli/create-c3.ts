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
import { checkPodPolicy, createClusterPool, listKubeconfigSecrets } from '../kube/index.ts';
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
import { createApp, createBodyReader, createBucket, createBuilds, createHookLimits, listen } from '../server/index.ts';
import { describeCrash } from './create-log.ts';
import { quietRefusals } from './quiet-refusals.ts';

/** A c3 that serves. */
export interface C3 {
  /** Where it listens. */
  readonly origin: string;
  /** Waits for the builds that run, then ends everything. `cancel` cancels them, `halt` cuts short what they do in `finally`. */
  close(cancel: AbortSignal, halt?: AbortSignal): Promise<void>;
  readonly buildCount: number;
}

/** An autoscaler may need minutes to bring a node. */
const START_TIMEOUT_MS = 10 * 60_000;

const LIMITS: BuildLimits = { ...DEFAULT_STEP_LIMITS, startTimeoutMs: START_TIMEOUT_MS };

/**
 * Values that `/encrypt` seals a minute, of everybody together. Setting up a repository takes four; whoever finds the server busy
 * seals with its public key.
 */
const SEALINGS_PER_MINUTE = 600;

/** Messages a minute of refused builds in the operator's chat: of the twenty that Telegram takes for a group. */
const REFUSALS_TOLD_PER_MINUTE = 12;

/** Constructs every room and wires them: the one place that knows all of them. */
export async function createC3(config: Config, log: Log): Promise<C3> {
  const keyring = parseKeyring(config.secret);
  const forges = createForges(config.forges);
  const clusters = createClusterPool(config);
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
        checkJob: (manifest) => checkPodPolicy(manifest, config.podPolicy),
        listSecrets,
        cancelPrevious: () => builds.cancelPrevious(request.id),
        openReporter,
        lines,
        now: Date.now,
        onFault: (error) => log.error({ build: request.id, error: toMessage(error) }, 'a fault that no report carries'),
        limits: LIMITS,
      };
      return runBuild(request, dependencies);
    },
  });

  const monotonic = { now: () => performance.now() };
  const app = createApp({
    keyring,
    limits: createHookLimits({ ...config, ...monotonic }),
    sealings: createBucket(SEALINGS_PER_MINUTE, monotonic.now),
    bodies: createBodyReader(),
    // Where the system chose the port, the default base URL is known only now.
    baseUrl: () => (config.port === 0 ? config.url.replace(/:0$/, `:${new URL(listener.origin).port}`) : config.url),
    checkScope,
    forgeFor: (scope) => forges.forgeFor(scope),
    builds,
    log,
  });
  const listener = await listen(app, {
    host: config.host,
    port: config.port,
    onFault: (error) => log.error(describeCrash(error), 'request failed inside c3'),
  });

  return {
    origin: listener.origin,
    get buildCount() {
      return builds.count;
    },
    async close(cancel, halt): Promise<void> {
      // Answers "shutting down" while it drains, so that a load balancer can tell.
      await builds.drain(cancel, halt);
      lines.close();
      await listener.close();
      await Promise.all([clusters.close(), forges.close()]);
    },
  };
}

/** What the kubeconfig and the Telegram destination hold that no output may show. */
function listSecrets({ kubeconfig, telegram }: { kubeconfig: string; telegram: string | undefined }): string[] {
  return [...listKubeconfigSecrets(kubeconfig), ...(telegram === undefined ? [] : [parseDestination(telegram).token])];
}

/** Reporters share what a process shares: the limits of a chat. */
function createReporterFactory(config: Config, log: Log): BuildDependencies['openReporter'] {
  const throttle = createChatThrottle(systemClock);
  const refusals = createBucket(REFUSALS_TOLD_PER_MINUTE, () => performance.now());
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
      const reporter = createTelegramReporter({ destination, apiBase: config.telegramApi, throttle, log: reporterLog });
      function note(): void {
        log.warn(fields, 'a refused build was not told in Telegram: there were too many');
      }
      reporters.push(telegram === undefined ? quietRefusals(reporter, refusals.take, note) : reporter);
    }
    return combineReporters(reporters);
  };
}
