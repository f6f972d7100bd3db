import { type BuildLinks, sealLink } from '../build/index.ts';
import { matchRepo, type Config } from '../config/index.ts';
import { createConnectionPool, DEFAULT_STEP_LIMITS } from '../agent/index.ts';
import { openView } from '../logs/index.ts';
import { runBuild, type BuildDependencies, type BuildLimits, type Cluster, type ProvenBuild } from '../engine/index.ts';
import { C3Error, toMessage } from '../errors.ts';
import { createForges } from '../forges/index.ts';
import { checkPodSecurity, createClusterPool, listKubeconfigSecrets, type ClusterPool } from '../kube/index.ts';
import { TokenBucket } from '../limiter.ts';
import type { Log } from '../log.ts';
import { parseDestination } from '../reporters/index.ts';
import { formatScope, parseKeyring, type Keyring, type Scope } from '../sealing/index.ts';
import { createApp, createBodyReader, createBuilds, createOpenViews, HookLimits, listen } from '../server/index.ts';
import { describeCrash } from './create-log.ts';
import { createOpener, createReporterFactory, type Opener } from './create-reporters.ts';

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

/** Constructs every room and wires them: the one place that knows all of them. */
export async function createC3(config: Config, log: Log): Promise<C3> {
  const keyring = parseKeyring(config.secret);
  const forges = createForges(config.forges);
  const clusters = createClusterPool(config);
  const lines = createConnectionPool();
  const openReporter = createReporterFactory(config, log);
  const openReading = createReading(config, createOpener(keyring, config.telegramToken), clusters);
  const checkScope = createScopeCheck(config);

  // Where the system chose the port, the default base URL is known only when it listens.
  function baseUrl(): string {
    return config.port === 0 ? config.url.replace(/:0$/, `:${new URL(listener.origin).port}`) : config.url;
  }

  const limits = new HookLimits(config);
  const builds = createBuilds({
    limits,
    log,
    run: (request, context) =>
      runBuild(request, {
        ...openReading(request.build.scope),
        createLinks: (build) => createLinks(keyring, baseUrl(), { build, token: context.token }),
        onState: context.onState,
        onOver: context.onOver,
        cancelPrevious: () => builds.cancelPrevious(request.build),
        openReporter: (_, order) => openReporter({ request, order, isProven: context.isProven }),
        lines,
        onFault: toFaultNote(log, request.build.id),
        limits: LIMITS,
      }),
  });

  const closing = new AbortController();
  const views = createOpenViews({
    keyring,
    forgeFor: (scope) => forges.forgeFor(scope),
    checkScope,
    findRunning: builds.find,
    open: (view) => openView(view, { ...openReading(view.build.scope), onFault: toFaultNote(log, view.build.id) }),
  });

  const app = createApp({
    keyring,
    limits,
    sealings: new TokenBucket({ perMinute: SEALINGS_PER_MINUTE }),
    bodies: createBodyReader(),
    baseUrl,
    checkScope,
    forgeFor: (scope) => forges.forgeFor(scope),
    builds,
    openView: views.open,
    now: Date.now,
    closing: closing.signal,
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
      // Whoever looks has seen the builds end, and asks the next c3 from here on.
      closing.abort();
      await listener.close();
      await views.close();
      lines.close();
      await Promise.all([clusters.close(), forges.close()]);
    },
  };
}

function toFaultNote(log: Log, build: string): (error: unknown) => void {
  return (error) => log.error({ build, error: toMessage(error) }, 'a fault that no report carries');
}

function createScopeCheck({ allowRepos }: Config): (scope: Scope) => void {
  return (scope) => {
    if (matchRepo(allowRepos, formatScope(scope))) return;
    throw new C3Error('SCOPE_REFUSED', `This c3 does not serve ${formatScope(scope)}`, {
      hint: 'its operator lists the repositories that it serves in C3_ALLOW_REPOS',
    });
  };
}

interface Reading extends Pick<BuildDependencies, 'open' | 'checkJob' | 'listSecrets' | 'now'> {
  openCluster(kubeconfig: string): Cluster;
}

/** What of c3.yaml and its cluster a build, and whoever looks at one, are given alike. */
function createReading(config: Config, open: Opener, clusters: ClusterPool): (scope: Scope) => Reading {
  return (scope) => ({
    open: (token, purpose) => open(token, { scope, purpose }),
    openCluster: (kubeconfig) => clusters.getCluster(kubeconfig),
    checkJob: (manifest) => checkPodSecurity(manifest, config.podPolicy),
    listSecrets,
    now: Date.now,
  });
}

/** Makes the addresses of a build's page. @param baseUrl c3's public base URL, without a slash at its end */
async function createLinks(
  keyring: Keyring,
  baseUrl: string,
  link: { readonly build: ProvenBuild; readonly token: string },
): Promise<BuildLinks> {
  const [view, control] = await Promise.all([
    sealLink(keyring, { ...link, right: 'view' }),
    sealLink(keyring, { ...link, right: 'control' }),
  ]);
  return { view: `${baseUrl}/b/${view}`, control: `${baseUrl}/b/${control}` };
}

/** What the kubeconfig and the Telegram destination hold that no output may show. */
function listSecrets({ kubeconfig, telegram }: { kubeconfig: string; telegram: string | undefined }): string[] {
  return [...listKubeconfigSecrets(kubeconfig), ...(telegram === undefined ? [] : [parseDestination(telegram).token])];
}
