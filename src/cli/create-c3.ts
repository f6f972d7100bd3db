import { type Build, type BuildLinks, sealLink, toLogFields } from '../build/index.ts';
import { matchGlob, type Config } from '../config/index.ts';
import { createConnectionPool } from '../agent/index.ts';
import { openView } from '../logs/index.ts';
import {
  type BuildDependencies,
  createClones,
  DEFAULT_BUILD_LIMITS,
  type ProvenBuild,
  runBuild,
} from '../engine/index.ts';
import { C3Error, toMessage } from '../errors.ts';
import { createForges } from '../forges/index.ts';
import {
  checkCredentials,
  checkPodSecurity,
  createClusterPool,
  listKubeconfigSecrets,
  type ClusterPool,
} from '../kube/index.ts';
import { KeyedTokenBucket } from '../limiter.ts';
import type { Log } from '../log.ts';
import { parseDestination } from '../reporters/index.ts';
import { formatScope, parseKeyring, type Keyring, type Scope } from '../sealing/index.ts';
import {
  FairTokenBucket,
  createApp,
  createBodyReader,
  createBuilds,
  createOpenViews,
  HookLimits,
  listen,
  type AppDependencies,
} from '../server/index.ts';
import { describeCrash } from './create-log.ts';
import { createOpener, type Opener } from './create-opener.ts';
import { createReporterFactory } from './create-reporters.ts';

/** A running server. */
export interface C3 {
  /** The address at which it listens. */
  readonly origin: string;
  /** Its public base URL. */
  readonly url: string;
  /**
   * Waits for the running builds, then closes everything. `cancel` cancels the builds, `halt` also ends their
   * `finally`.
   */
  close(cancel: AbortSignal, halt?: AbortSignal): Promise<void>;
  readonly buildCount: number;
}

/**
 * What `/encrypt` seals in a minute, for all callers together, who share it by repository (A12). Setting up a
 * repository takes four values. A caller who is refused can seal with the public key. For a hook it asks the forge.
 */
const SEALINGS = { perMinute: 600, maxKeys: 10_000 } as const;
const HOOK_SEALINGS = { perMinute: 300, maxKeys: 10_000 } as const;

/** For the control links of one repository. Each check is a request to the forge. A key takes about 200 bytes. */
const TOKEN_CHECKS = { perMinute: 10, maxKeys: 10_000 };

function createLimits({ forks }: Config): Pick<AppDependencies, 'bodies' | 'sealings' | 'tokenChecks' | 'forks'> {
  return {
    forks,
    bodies: createBodyReader(),
    sealings: { values: new FairTokenBucket(SEALINGS), hooks: new FairTokenBucket(HOOK_SEALINGS) },
    tokenChecks: new KeyedTokenBucket(TOKEN_CHECKS),
  };
}

/** Constructs every room and wires them. Only this function knows all of them. */
export async function createC3(config: Config, log: Log): Promise<C3> {
  const keyring = parseKeyring(config.secret);
  const forges = createForges(config.forges);
  const clusters = createClusterPool(config);
  const shared = { connections: createConnectionPool(), clones: createClones(), limits: DEFAULT_BUILD_LIMITS };
  const openReporter = createReporterFactory(config, log);
  const openReading = createReading(config, createOpener(keyring, config.telegramToken), clusters);
  const checkScope = createScopeCheck(config);

  // With port 0 the system chooses the port, so the default base URL is known only after listening.
  const baseUrl = (): string =>
    config.port === 0 ? config.url.replace(/:0$/, `:${new URL(listener.origin).port}`) : config.url;

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
        claim: () => builds.claim(request.build),
        cancelPrevious: () => builds.cancelPrevious(request.build),
        openReporter: (_, order) => openReporter({ ...context, request, order }),
        ...shared,
        onFault: toFaultNote(log, request.build),
      }),
  });

  const closing = new AbortController();
  const views = createOpenViews({
    keyring,
    forgeFor: (scope) => forges.forgeFor(scope),
    checkScope,
    findRunning: builds.find,
    open: (view) => openView(view, { ...openReading(view.build.scope), onFault: toFaultNote(log, view.build) }),
  });

  const app = createApp({
    keyring,
    limits,
    ...createLimits(config),
    baseUrl,
    checkScope,
    forgeFor: (scope) => forges.forgeFor(scope),
    checkCredentials: (kubeconfig) => checkCredentials(kubeconfig, Date.now()),
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
    url: baseUrl(),
    get buildCount() {
      return builds.count;
    },
    async close(cancel, halt): Promise<void> {
      // The routes answer "shutting down" while the builds end, so that a load balancer notices.
      await builds.drain(cancel, halt);
      // Every reader has seen the builds end by now.
      closing.abort();
      await listener.close();
      await views.close();
      shared.connections.close();
      await Promise.all([clusters.close(), forges.close()]);
    },
  };
}

function toFaultNote(log: Log, build: Build): (error: unknown) => void {
  return (error) =>
    log.error({ ...toLogFields(build), error: toMessage(error) }, 'a fault that no reporter could show');
}

function createScopeCheck({ allowRepos }: Config): (scope: Scope) => void {
  return (scope) => {
    if (matchGlob(allowRepos, formatScope(scope))) return;
    throw new C3Error('SCOPE_REFUSED', `This c3 does not serve ${formatScope(scope)}`, {
      hint: 'its operator lists the repositories that it serves in C3_ALLOW_REPOS',
    });
  };
}

/** Creates what a build and a view of a build both need to read c3.yaml and reach its cluster. */
function createReading(
  config: Config,
  open: Opener,
  { getCluster }: ClusterPool,
): (scope: Scope) => Pick<BuildDependencies, 'open' | 'checkJob' | 'listSecrets' | 'now' | 'forks'> & {
  openCluster: typeof getCluster;
} {
  const isAllowed = (name: string): boolean => matchGlob(config.allowInJobs, name);
  return (scope) => ({
    open: (token, binding) => open(token, { ...binding, scope }),
    openCluster: getCluster,
    checkJob: (manifest) => checkPodSecurity(manifest, config.podPolicy, { isAllowed }),
    listSecrets,
    forks: config.forks,
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

/** Lists the secrets inside the kubeconfig and the Telegram destination. */
function listSecrets({ kubeconfig, telegram }: { kubeconfig: string; telegram: string | undefined }): string[] {
  return [...listKubeconfigSecrets(kubeconfig), ...(telegram === undefined ? [] : [parseDestination(telegram).token])];
}
