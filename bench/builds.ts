import { createHmac } from 'node:crypto';
import { parse } from 'yaml';
import { createUser, type User } from '../dev/demo/user.ts';
import type { World } from '../dev/demo/world.ts';
import type { JsonObject } from '../src/pipeline/pipeline.ts';
import { openPods } from '../test/e2e/pods.ts';
import { formatPipeline, type Target } from '../test/e2e/target.ts';

/** The times of the webhook and of the final status, in epoch milliseconds. */
export interface Timing {
  readonly sentAt: number;
  readonly endedAt: number;
}

/** Builds of one repository. It sends the signed webhooks itself, because the forge's own time is not c3's. */
export interface Builds {
  /** The job of the builds. */
  readonly manifest: JsonObject;
  /** Sets the steps of the next builds. `isReused`: in the warm Pod; else each build gets a new one. */
  setSteps(steps: string, isReused: boolean): Promise<void>;
  /** Pushes another commit with these changes and returns its sha. Default: an empty commit. */
  commit(files?: Readonly<Record<string, string>>): Promise<string>;
  /** Sends the webhook of a commit and returns the time. */
  send(sha: string): Promise<number>;
  /** Sends the webhook and waits for the end of the build. @throws when the build does not pass */
  run(sha: string): Promise<Timing>;
  /** Resolves with the address of the build page of a commit, when its status has it. */
  findPage(sha: string): Promise<string>;
  /** Pushes a new commit and builds it. */
  build(): Promise<Timing>;
  /** Reads a file that the last build wrote in the warm Pod. */
  read(file: string): Promise<string>;
  /** Runs a shell script in a container of the warm Pod and returns its output. Default: `main`. */
  look(script: string, container?: string): Promise<string>;
  /** Returns the name of the warm Pod, if there is one. */
  findPod(): Promise<string | undefined>;
  pod(): Promise<string>;
  close(): Promise<void>;
}

const PAGE_MS = 60_000;

export interface BuildsTarget extends Target {
  /** The kubeconfig that c3 uses. Default: the benchmark's own. */
  readonly c3Kubeconfig?: string;
  /** The URL of the c3 that receives the webhooks. Default: the world's c3. */
  readonly c3Url?: string;
}

export async function createBuilds(world: World, target: BuildsTarget, name: string): Promise<Builds> {
  await world.forge.createRepository({ owner: 'acme', name, isPrivate: true });
  const user: User = await createUser(world, { owner: 'acme', name });
  const [url = '', secret = ''] = (await user.seal('hook', world.owner.token)).split('\n');
  const k8s = await user.seal('k8s', target.c3Kubeconfig ?? target.kubeconfig);
  const pods = await openPods(target.kubeconfig);
  let isReused = true;

  /** A name of its own: the Pods of all repositories are in one namespace. */
  function format(steps: string, extra?: string): string {
    return formatPipeline(target, k8s, steps, extra).replace('metadata: {name: shop}', `metadata: {name: ${name}}`);
  }
  async function findPod(): Promise<string | undefined> {
    return (await pods.names()).find((one) => one.startsWith(`${name}-`));
  }
  async function pod(): Promise<string> {
    const found = await findPod();
    if (found === undefined) throw new Error('there is no warm Pod');
    return found;
  }
  async function commit(files: Readonly<Record<string, string>> = {}): Promise<string> {
    const sha = await user.tree.commit(files, `build ${Math.random()}`);
    await user.tree.git('push', '--quiet', '--force', user.cloneUrl, 'HEAD:refs/heads/main');
    return sha;
  }
  const hookUrl = url.replace(world.c3.url, target.c3Url ?? world.c3.url);
  const send = async (sha: string): Promise<number> => await sendPush(hookUrl, secret, toPayload(user.fullName, sha));
  async function run(sha: string): Promise<Timing> {
    const sentAt = await send(sha);
    const status = await user.waitForEnd(sha);
    if (status.state !== 'success')
      throw new Error(`A build of the benchmark ended with ${status.state}: ${status.description}`);
    return { sentAt, endedAt: Date.parse(status.createdAt) };
  }

  async function look(script: string, container = 'main'): Promise<string> {
    return await pods.run(await pod(), container, ['sh', '-c', script]);
  }

  return {
    look,
    send,
    manifest: (parse(format('')) as { job: JsonObject }).job,
    findPod,
    pod,
    commit,
    run,
    async setSteps(steps, reuse): Promise<void> {
      isReused = reuse;
      const extra = isReused ? '' : 'pod: {reuse: false}\n';
      await user.tree.commit({ 'c3.yaml': format(steps, extra) }, 'steps');
    },
    async findPage(sha): Promise<string> {
      const status = await world.forge.waitFor(
        () => world.forge.statuses.find((one) => one.sha === sha && one.targetUrl !== null),
        AbortSignal.timeout(PAGE_MS),
      );
      const { pathname } = new URL(status.targetUrl ?? '');
      return `${target.c3Url ?? world.c3.url}${pathname}`;
    },
    build: async () => await run(await commit()),
    read: async (file) => await pods.run(await pod(), 'main', ['cat', file]),
    close: () => pods.close(),
  };
}

/** Returns the time of the webhook. */
async function sendPush(url: string, secret: string, body: string): Promise<number> {
  const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
  const sentAt = Date.now();
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-github-event': 'push', 'x-hub-signature-256': signature },
    body,
  });
  if (answer.status !== 202) throw new Error(await answer.text());
  return sentAt;
}

function toPayload(fullName: string, sha: string): string {
  return JSON.stringify({
    ref: 'refs/heads/main',
    before: '0'.repeat(40),
    after: sha,
    created: false,
    deleted: false,
    forced: false,
    repository: { full_name: fullName },
    head_commit: { id: sha, message: 'build', author: { name: 'bench' } },
    pusher: { name: 'bench' },
  });
}

/** Builds a commit, by default a new one, and returns the time from its webhook to the stamp of its first step. */
export async function toFirstByte(builds: Builds, sha?: string): Promise<number> {
  const { sentAt } = await builds.run(sha ?? (await builds.commit()));
  return Number(await builds.read('/c3/stamp')) / 1e6 - sentAt;
}
