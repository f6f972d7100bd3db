import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAccounts, type Accounts, type User } from './accounts.ts';
import { createChanges } from './changes.ts';
import { createEvents } from './events.ts';
import { createFaults, type Faults } from './faults.ts';
import { createRepositories, type NewRepository, type Repository } from './repositories.ts';
import { createRequestHandler, type LoggedRequest } from './request-handler.ts';
import { createRestApi } from './rest-api.ts';
import type { Status } from './route.ts';
import { createSmartHttp } from './smart-http.ts';
import { createWebhooks, type Hook, type Webhooks } from './webhooks.ts';

export interface ForgeServerOptions {
  /** An existing, empty directory for the repositories. The caller removes it. */
  readonly root: string;
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /**
   * The host in {@link ForgeServer.origin}, if clients (for example Pods) reach it by another name than `host`.
   * Default: `host`.
   */
  readonly publicHost?: string;
  readonly users?: readonly User[];
  /** How long a webhook may take. Default: ten seconds, as at GitHub. */
  readonly deliveryTimeoutMs?: number | undefined;
}

export interface ForgeServer extends Pick<Accounts, 'setUser' | 'setPermission' | 'revokeToken'> {
  /** `http://127.0.0.1:34567`; clone URLs are `ORIGIN/OWNER/NAME.git`. */
  readonly origin: string;
  /** `ORIGIN/api/v3`. */
  readonly apiBase: string;
  /** `127.0.0.1:34567`, the first part of scopes. */
  readonly host: string;
  createRepository(options: NewRepository): Promise<Repository>;
  /** After a push to the fork, the parent's API serves the commits by sha. */
  createFork(parent: Repository, owner: string): Promise<Repository>;
  protectBranch(repository: Repository, branch: string): void;
  /** Adds a webhook and pings it, as the API does. Defaults: JSON, no secret, push, active. */
  createHook(repository: Repository, options: NewHook): Hook;
  readonly deliveries: Webhooks['deliveries'];
  redeliver: Webhooks['redeliver'];
  /** Every commit status, in order. */
  readonly statuses: readonly Status[];
  /** Every answered request, in order. */
  readonly requests: readonly LoggedRequest[];
  readonly faults: Faults;
  /**
   * Resolves with the first result of `find`, now or after a request, status or delivery. Rejects with the signal's
   * reason.
   */
  waitFor<T>(find: () => T | undefined, signal: AbortSignal): Promise<T>;
  close(): Promise<void>;
}

export interface NewHook extends Partial<Pick<Hook, 'contentType' | 'secret' | 'events' | 'isActive' | 'isInsecure'>> {
  readonly url: string;
}

const HOOK_DEFAULTS = {
  contentType: 'json',
  secret: undefined,
  events: ['push'],
  isActive: true,
  isInsecure: false,
} as const;

/**
 * Starts a forge for tests and demonstrations: GitHub's API and webhooks for real bare git repositories on this
 * machine.
 */
export async function createForgeServer(options: ForgeServerOptions): Promise<ForgeServer> {
  const accounts = createAccounts(options.users ?? []);
  const faults = createFaults();
  const changes = createChanges();
  const onChange = (): void => changes.announce();
  const webhooks = createWebhooks(onChange, options.deliveryTimeoutMs);
  const statuses: Status[] = [];
  const requests: LoggedRequest[] = [];
  const closing = new AbortController();
  const git = createSmartHttp(accounts);
  const server = createServer();
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const host = `${options.publicHost ?? options.host ?? '127.0.0.1'}:${port}`;
  const origin = `http://${host}`;
  const events = createEvents(origin, webhooks);
  const repositories = await createRepositories(options.root, (push) => events.pushed(push));
  const onHook = (hook: Hook): void => events.ping(hook, repositories.find(...splitName(hook.repository)));
  const answerApi = createRestApi({ origin, repositories, webhooks, statuses, onChange, onHook });

  const serve = createRequestHandler({
    origin,
    accounts,
    repositories,
    faults,
    git,
    answerApi,
    signal: closing.signal,
    onRequest(request) {
      requests.push(request);
      onChange();
    },
  });
  server.on('request', (request, response) => {
    serve(request, response).catch(() => response.destroy());
  });

  return {
    origin,
    apiBase: `${origin}/api/v3`,
    host,
    setUser: (user) => accounts.setUser(user),
    setPermission: (token, fullName, permission) => accounts.setPermission(token, fullName, permission),
    revokeToken: (token) => accounts.revokeToken(token),
    createRepository: (options) => repositories.create(options),
    createFork: (parent, owner) => repositories.createFork(parent, owner),
    protectBranch(repository, branch) {
      repository.protectedBranches.add(branch);
    },
    createHook(repository, hookOptions) {
      const hook = webhooks.add({ ...HOOK_DEFAULTS, ...hookOptions, repository: repository.fullName });
      onHook(hook);
      return hook;
    },
    deliveries: webhooks.deliveries,
    redeliver: (id) => webhooks.redeliver(id),
    statuses,
    requests,
    faults,
    waitFor: (find, signal) => changes.waitFor(find, signal),
    async close() {
      closing.abort(new Error('the forge was closed'));
      git.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await repositories.close();
      await webhooks.close();
      await events.settled();
    },
  };
}

function splitName(fullName: string): [owner: string, name: string] {
  const [owner = '', name = ''] = fullName.split('/');
  return [owner, name];
}

function listen(server: ReturnType<typeof createServer>, options: ForgeServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}
