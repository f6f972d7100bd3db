import { afterAll, beforeAll, expect } from 'vitest';
import type { C3Process } from '../../dev/demo/c3-process.ts';
import { FORGE_USES } from '../../dev/demo/forge-use.ts';
import { createUser, type User } from '../../dev/demo/user.ts';
import { createWorld, type World } from '../../dev/demo/world.ts';
import type { Delivery, ForgeKind, Repository } from '../../dev/forge/index.ts';
import { createOfflineHook, type OfflineHook } from '../fakes/offline-hook.ts';
import { WAIT_MS } from '../time-limits.ts';
import { onWorkerEnd } from '../worker.ts';
import { openPods, type Pods } from './pods.ts';
import type { Target } from './target.ts';

/** A push to a repository, and its results. */
export interface Outcome {
  readonly sha: string;
  readonly answer: { status: number; body: string };
  readonly status: { state: string; description: string | null; targetUrl: string | null };
  readonly text: string;
}

export interface SetUpOptions {
  /** Replaces the owner's. */
  readonly token?: string;
  /** Another c3 that receives the webhook. */
  readonly c3?: C3Process;
  /** Default: private. */
  readonly isPublic?: boolean;
}

export interface SetUp {
  readonly user: User;
  /** The sealed kubeconfig. */
  readonly k8s: string;
  /** The URL of the webhook. */
  readonly url: string;
  readonly secret: string;
  readonly repository: Repository;
}

/** The world around a cluster for the tests of a `describe`, and their common actions. */
export interface Fixture {
  readonly target: Target;
  readonly world: World;
  readonly pods: Pods;
  /** The state of a commit whose build ended because of c3.yaml or of the cluster: GitLab has no state `error`. */
  readonly faultState: 'error' | 'failure';
  /** Creates a repository with a webhook. */
  setUp(options?: SetUpOptions): Promise<SetUp>;
  push(user: User, files: Record<string, string>, ref?: string): Promise<Outcome>;
  /** Runs `act` and expects no new Pod. */
  expectNoPod(act: () => Promise<void>): Promise<void>;
  /** Sends a push event to a branch, signed with `secret`, or not signed. */
  deliver(url: string, secret: string | undefined, body: string): Promise<{ status: number; text: string }>;
  /** Pushes to main and returns the body of the forge's delivery, and the pushed commit. */
  recordDelivery(user: User): Promise<{ sha: string; body: string }>;
  /** Finds the delivery of a push. */
  findPush(sha: string): Delivery | undefined;
}

/** Counts the repositories of this process, which share a cluster. */
let number = 0;

/**
 * Without Telegram's limits: twenty builds a minute in one group exceed them, which the reporter's tests cover. On a busy
 * machine, c3 may take more than the ten seconds that GitHub waits for an answer.
 */
const WORLD = { hasLimits: false, deliveryTimeoutMs: WAIT_MS };

/** The owner of the repositories: where a kind of forge has groups in groups, one of those. */
export const OWNERS: Readonly<Record<ForgeKind, string>> = { github: 'acme', gitea: 'acme', gitlab: 'acme/web' };

/** The kinds of forges with which the suites run. */
export const FORGE_KINDS: readonly ForgeKind[] = ['github', 'gitea', 'gitlab'];

const sharedWorlds = new Map<ForgeKind, Promise<World>>();

/**
 * Returns the world that the files of this worker share. The limit of new webhooks a minute is high enough for all of
 * them.
 */
function getSharedWorld(kind: ForgeKind, forgeHost: string): Promise<World> {
  let world = sharedWorlds.get(kind);
  if (world === undefined) {
    const made = createWorld({ ...WORLD, kind, forgeHost, settings: { C3_RATE_LIMIT_NEW: '3000' } });
    onWorkerEnd(async () => await (await made).close());
    sharedWorlds.set(kind, (world = made));
  }
  return world;
}

export interface FixtureOptions {
  /** Default: `github`. */
  readonly kind?: ForgeKind;
  /**
   * With these the file has its own forge and a c3 with these settings. Without them it shares both with the other files
   * of its worker.
   */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/** Registers the hooks that set the fixture up. */
export function useFixture(getTarget: () => Promise<Target>, options: FixtureOptions = {}): Fixture {
  const { kind = 'github', settings } = options;
  const use = FORGE_USES[kind];
  let made: { target: Target; world: World; pods: Pods } | undefined;

  function get(): { target: Target; world: World; pods: Pods } {
    if (made === undefined) throw new Error('the fixture does not exist before the tests run');
    return made;
  }

  beforeAll(async () => {
    const target = await getTarget();
    const pods = await openPods(target.kubeconfig);
    const world =
      settings === undefined
        ? await getSharedWorld(kind, target.forgeHost)
        : await createWorld({ ...WORLD, kind, forgeHost: target.forgeHost, settings });
    made = { target, world, pods };
  });
  afterAll(async () => {
    if (settings !== undefined) await made?.world.close();
    await made?.pods.clear();
    await made?.pods.close();
  });

  /** Seals the owner's token with `/encrypt`, or any other token with the public key. */
  async function sealHook(user: User, token: string | undefined): Promise<OfflineHook> {
    const { c3, owner } = get().world;
    if (token === undefined) {
      const [url = '', secret = ''] = (await user.seal('hook', owner.token)).split('\n');
      return { url, secret };
    }
    const jwks: unknown = await (await fetch(`${c3.url}/.well-known/jwks.json`)).json();
    return await createOfflineHook({ baseUrl: c3.url, jwks }, user.scope, { token });
  }

  async function setUp(options: SetUpOptions = {}): Promise<SetUp> {
    number += 1;
    const names = { owner: OWNERS[kind], name: `shop${number}` };
    const isPrivate = options.isPublic !== true;
    const repository = await get().world.forge.createRepository({ ...names, isPrivate });
    const user = await createUser(get().world, { ...names, remote: repository.path });
    const { url, secret } = await sealHook(user, options.token);
    await user.createHook(options.c3 ? url.replace(get().world.c3.url, options.c3.url) : url, secret);
    return { user, url, secret, repository, k8s: await user.seal('k8s', get().target.kubeconfig) };
  }

  async function push(user: User, files: Record<string, string>, ref?: string): Promise<Outcome> {
    const { sha } = await user.push(files, `Change ${user.fullName}`, ref);
    const answer = await user.waitForAnswer(sha);
    const [status, { text }] = await Promise.all([user.waitForEnd(sha), user.waitForMessage(sha)]);
    return { sha, answer, status, text };
  }

  async function expectNoPod(act: () => Promise<void>): Promise<void> {
    const before = await get().pods.names();
    await act();
    expect(await get().pods.names()).toEqual(before);
  }

  async function deliver(
    url: string,
    secret: string | undefined,
    body: string,
  ): Promise<{ status: number; text: string }> {
    const signer = { id: 1, ...(secret === undefined ? { secret } : use.toSigner(secret)) };
    const headers = get().world.forge.toHeaders(signer, { event: use.pushEvents[0], guid: 'd', body });
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    return { status: answer.status, text: (await answer.text()).trimEnd() };
  }

  const findPush = (sha: string): Delivery | undefined =>
    get().world.forge.deliveries.find(
      ({ event, request }) => use.pushEvents.includes(event) && request.body.includes(`"after":"${sha}"`),
    );

  async function recordDelivery(user: User): Promise<{ sha: string; body: string }> {
    const { sha } = await user.push({ file: String(number) }, 'to be delivered again');
    await user.waitForEnd(sha);
    return { sha, body: findPush(sha)?.request.body ?? '' };
  }

  return {
    get target() {
      return get().target;
    },
    get world() {
      return get().world;
    },
    get pods() {
      return get().pods;
    },
    faultState: kind === 'gitlab' ? 'failure' : 'error',
    setUp,
    push,
    expectNoPod,
    deliver,
    recordDelivery,
    findPush,
  };
}
