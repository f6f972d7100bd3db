import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAccounts, type Accounts, type User } from './accounts.ts';
import { createChanges, type Changes } from './changes.ts';
import type { Dialect } from './dialect.ts';
import { createEvents, type Events } from './events.ts';
import { createFaults, type Faults } from './faults.ts';
import { gitea } from './gitea/index.ts';
import { github } from './github/index.ts';
import { gitlab } from './gitlab/index.ts';
import { createRepositories, type NewRepository, type Repositories, type Repository } from './repositories.ts';
import { createRequestHandler, type LoggedRequest } from './request-handler.ts';
import { createPulls, type Pulls } from './pulls.ts';
import type { Status } from './route.ts';
import { createSmartHttp } from './smart-http.ts';
import { createWebhooks, type Hook, type Webhooks } from './webhooks.ts';

/** Which forge the server imitates. */
export type ForgeKind = 'github' | 'gitea' | 'gitlab';

/** A new kind of forge needs a folder and a line here. */
const DIALECTS: Readonly<Record<ForgeKind, Dialect>> = { github, gitea, gitlab };

export interface ForgeServerOptions {
  /** Default `github`. */
  readonly kind?: ForgeKind;
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
  readonly kind: ForgeKind;
  /** At GitHub `ORIGIN/api/v3`. */
  readonly apiBase: string;
  /** `127.0.0.1:34567`, the first part of scopes. */
  readonly host: string;
  createRepository(options: NewRepository): Promise<Repository>;
  /** After a push to the fork, the parent's API serves the commits by sha. */
  createFork(parent: Repository, owner: string): Promise<Repository>;
  protectBranch(repository: Repository, branch: string): void;
  /** Deletes a fork, as its owner may do at any time. */
  deleteRepository(repository: Repository): void;
  /** Gives a repository another name. Its hooks, statuses and permissions stay. */
  renameRepository(repository: Repository, name: string): void;
  /** The pull requests. Opens, changes and comments send webhooks. */
  readonly pulls: Omit<Pulls, 'pushed' | 'forget'>;
  /** Adds a webhook and pings it, as the API does. Defaults: JSON, no secret, push, active. */
  createHook(repository: Repository, options: NewHook): Hook;
  readonly deliveries: Webhooks['deliveries'];
  redeliver: Webhooks['redeliver'];
  /** The headers of a delivery that a test makes itself. */
  toHeaders: Dialect['toHeaders'];
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

export interface NewHook extends Partial<
  Pick<Hook, 'contentType' | 'secret' | 'signingToken' | 'events' | 'isActive' | 'isInsecure'>
> {
  readonly url: string;
}

const HOOK_DEFAULTS = {
  contentType: 'json',
  secret: undefined,
  isActive: true,
  isInsecure: false,
} as const;

/**
 * Starts a forge for tests and demonstrations: the API and webhooks of a kind of forge, for real bare git repositories on
 * this machine.
 */
export async function createForgeServer(options: ForgeServerOptions): Promise<ForgeServer> {
  const accounts = createAccounts(options.users ?? []);
  const faults = createFaults();
  const changes = createChanges();
  const onChange = (_length?: number): void => changes.announce();
  const dialect: Dialect = DIALECTS[options.kind ?? 'github'];
  const { toHeaders, apiPath } = dialect;
  const webhooks = createWebhooks({ toHeaders, onChange, timeoutMs: options.deliveryTimeoutMs });
  const statuses: Status[] = [];
  const requests: LoggedRequest[] = [];
  const closing = new AbortController();
  const git = createSmartHttp(accounts);
  const server = createServer();
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const host = `${options.publicHost ?? options.host ?? '127.0.0.1'}:${port}`;
  const origin = `http://${host}`;
  const { events, repositories, pulls } = await createModel(options.root, origin, { dialect, webhooks, changes });
  const onHook = (hook: Hook): void => events.ping(hook, repositories.find(...splitName(hook.repository)));
  const answerApi = dialect.createApi({ origin, accounts, repositories, pulls, webhooks, statuses, onChange, onHook });

  const serve = createRequestHandler({
    origin,
    accounts,
    repositories,
    faults,
    git,
    apiPath,
    answerApi,
    signal: closing.signal,
    onRequest: (request) => onChange(requests.push(request)),
  });
  server.on('request', (request, response) => void serve(request, response).catch(() => response.destroy()));

  return {
    origin,
    kind: options.kind ?? 'github',
    apiBase: origin + apiPath,
    host,
    ...accounts,
    createRepository: (options) => repositories.create(options),
    createFork: (parent, owner) => repositories.createFork(parent, owner),
    protectBranch: ({ protectedBranches }, branch) => void protectedBranches.add(branch),
    deleteRepository(repository) {
      repositories.delete(repository);
      pulls.forget(repository);
    },
    renameRepository: (repository, name) => rename(repository, name, { accounts, repositories, webhooks, statuses }),
    pulls,
    createHook(repository, hookOptions) {
      const { defaultEvents: events } = dialect;
      const hook = webhooks.add({ ...HOOK_DEFAULTS, events, ...hookOptions, repository: repository.fullName });
      onHook(hook);
      return hook;
    },
    deliveries: webhooks.deliveries,
    redeliver: (id) => webhooks.redeliver(id),
    toHeaders,
    statuses,
    requests,
    faults,
    waitFor: (find, signal) => changes.waitFor(find, signal),
    async close() {
      closing.abort(new Error('the forge was closed'));
      git.close();
      await closeServer(server);
      await repositories.close();
      await webhooks.close();
      await events.settled();
    },
  };
}

interface NamedParts {
  readonly accounts: Accounts;
  readonly repositories: Repositories;
  readonly webhooks: Webhooks;
  readonly statuses: Status[];
}

/** Gives a repository another name wherever it is known by its name. */
function rename(repository: Repository, name: string, parts: NamedParts): void {
  const { accounts, repositories, webhooks, statuses } = parts;
  const { fullName: before } = repository;
  repositories.rename(repository, name);
  accounts.renameTarget(before, repository.fullName);
  webhooks.rename(before, repository.fullName);
  for (const [index, status] of statuses.entries()) {
    if (status.repository === before) statuses[index] = { ...status, repository: repository.fullName };
  }
}

interface Model {
  readonly events: Events;
  readonly repositories: Repositories;
  readonly pulls: Pulls;
}

/** Creates the repositories and their pull requests, whose changes send webhooks. */
async function createModel(
  root: string,
  origin: string,
  { dialect, webhooks, changes }: { readonly dialect: Dialect; readonly webhooks: Webhooks; readonly changes: Changes },
): Promise<Model> {
  const events = createEvents(origin, dialect, webhooks);
  const pulls = createPulls({
    changes,
    toRef: (number) => dialect.toPullRef(number),
    send: (change) => events.send(change),
  });
  const repositories = await createRepositories(root, async (push) => {
    const tags = push.changes.filter(({ ref }) => ref.startsWith('refs/tags/'));
    const sent = push.changes.filter((change) => tags.length <= dialect.maxTags || !tags.includes(change));
    for (const change of sent) await events.send({ kind: 'push', push, change }, push.receivedAt);
    await pulls.pushed(push);
  });
  return { events, repositories, pulls };
}

function splitName(fullName: string): [owner: string, name: string] {
  const at = fullName.lastIndexOf('/');
  return [fullName.slice(0, at), fullName.slice(at + 1)];
}

function closeServer(server: ReturnType<typeof createServer>): Promise<unknown> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
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
