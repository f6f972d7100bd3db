import { createHmac, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { beforeAll, expect } from 'vitest';
import type { EmbeddedCluster } from '../../dev/cluster/index.ts';
import { useFixture, type Fixture, type SetUp } from '../e2e/fixture.ts';
import { getSharedCluster, openSharedTarget } from '../fakes/shared-cluster.ts';

/** The view of an outsider without rights on a c3 that serves others, and the requests that they can send. */
export interface Outsider {
  readonly fixture: Fixture;
  readonly cluster: EmbeddedCluster;
  /** Sends an HTTP request to c3 without any correction. */
  send(path: string, message?: Message): Promise<Answer>;
  /** Sends a push event of the hook's repository with these changes, signed with the hook's secret. */
  deliver(hook: Pick<SetUp, 'url' | 'secret'>, payload: object, headers?: Message['headers']): Promise<Answer>;
  /** Runs `act`, and expects no new Pod and no new exec. */
  spare(act: () => Promise<void>): Promise<void>;
  /** Resolves with the reason why the build of this commit was refused; it matches `reason`. */
  waitForRefusal(sha: string, reason?: RegExp): Promise<string>;
  /** Resolves when a build of this commit ended as a replay, which c3 reports only in its log. */
  waitForReplay(sha: string): Promise<void>;
  /**
   * Delivers a push that c3 must refuse before it opens or starts anything. Resolves with the reason, which matches
   * `reason`.
   */
  refuse(hook: SetUp, payload: object, reason: RegExp): Promise<string>;
}

export interface Message {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Buffer;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Registers the hooks that create and close c3 and its environment. The members exist when the tests run. */
export function useOutsider(settings?: Readonly<Record<string, string>>): Outsider {
  let made: EmbeddedCluster | undefined;
  beforeAll(async () => {
    made = await getSharedCluster();
  });
  const fixture = useFixture(openSharedTarget, { settings });

  function cluster(): EmbeddedCluster {
    if (made === undefined) throw new Error('the cluster does not exist before the tests run');
    return made;
  }

  function names(): (string | undefined)[] {
    return cluster()
      .pods()
      .map(({ metadata }) => metadata.name);
  }

  async function spare(act: () => Promise<void>): Promise<void> {
    const before = new Set(names());
    const { create, exec } = cluster().stats();
    await act();
    // An earlier test's idle Pod may go meanwhile, but no new one may come.
    expect(names().filter((name) => !before.has(name))).toEqual([]);
    expect(cluster().stats()).toMatchObject({ create, exec });
  }

  /** Reads c3's log: Telegram gets only some of many refusals in a minute. */
  async function waitForEnding(sha: string, kind: string, reason: RegExp): Promise<string> {
    const find = (): string | undefined =>
      fixture.world.c3.log
        .filter((line) => line.startsWith('{') && line.includes(sha))
        .map((line) => JSON.parse(line) as { ending?: string; msg?: string })
        .find(({ ending, msg = '' }) => ending === kind && reason.test(msg))?.msg;
    await expect.poll(find).toBeDefined();
    return find() ?? '';
  }
  const waitForRefusal: Outsider['waitForRefusal'] = (sha, reason = /^/) => waitForEnding(sha, 'refused', reason);

  const deliver: Outsider['deliver'] = (hook, payload, headers) => {
    const body = JSON.stringify(payload);
    return post(hook.url, { headers: { ...toHeaders(hook.secret, body), ...headers }, body });
  };

  return {
    fixture,
    get cluster() {
      return cluster();
    },
    send: (path, message) => post(`${fixture.world.c3.url}${path}`, message),
    deliver,
    spare,
    waitForRefusal,
    async waitForReplay(sha): Promise<void> {
      await waitForEnding(sha, 'skipped', /was built before/);
    },
    async refuse(hook, payload, reason): Promise<string> {
      const { after } = payload as { after: string };
      const countPending = (): number =>
        fixture.world.forge.statuses.filter(({ sha, state }) => sha === after && state === 'pending').length;
      const pending = countPending();
      let told = '';
      await spare(async () => {
        expect(await deliver(hook, payload)).toMatchObject({ status: 202 });
        told = await waitForRefusal(after, reason);
      });
      expect(countPending()).toBe(pending);
      return told;
    },
  };
}

/** Creates the headers of a delivery as GitHub sends it. */
export function toHeaders(secret: string, body: string | Buffer): Record<string, string> {
  return {
    'content-type': 'application/json',
    'x-github-event': 'push',
    'x-github-delivery': randomUUID(),
    'x-hub-signature-256': toSignature(secret, body),
  };
}

export function toSignature(secret: string, body: string | Buffer): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}

/** Creates the body of a push event with the fields that c3 reads. */
export function toPayload(hook: Pick<SetUp, 'user'>, sha: string, changes: object = {}): { after: string } {
  return {
    ref: 'refs/heads/main',
    before: '0'.repeat(40),
    after: sha,
    deleted: false,
    head_commit: { id: sha, message: 'a change', author: { name: 'Mallory', username: 'mallory' } },
    repository: { full_name: hook.user.fullName },
    pusher: { name: 'mallory' },
    ...changes,
  } as { after: string };
}

/** Returns the path and the query of a hook URL. */
export function toPath(url: string, parameters: Readonly<Record<string, string>> = {}): string {
  const { pathname, searchParams } = new URL(url);
  for (const [name, value] of Object.entries(parameters)) searchParams.set(name, value);
  return `${pathname}?${searchParams.toString()}`;
}

function post(url: string, { method = 'POST', headers = {}, body }: Message = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers: { ...headers }, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          text: Buffer.concat(chunks).toString('utf8').trimEnd(),
          headers: incoming.headers,
        }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
