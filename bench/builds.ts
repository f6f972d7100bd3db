import { createHmac } from 'node:crypto';
import { createUser, type User } from '../dev/demo/user.ts';
import type { World } from '../dev/demo/world.ts';
import { openPods, type Pods } from '../test/e2e/pods.ts';
import { formatPipeline, type Target } from '../test/e2e/target.ts';

/** Builds of one repository, started by a signed webhook that is sent by hand: the forge's own time is not c3's. */
export interface Builds {
  /** Makes these the steps of the next builds. `isReused`: in the warm Pod, else each in a new one. */
  setSteps(steps: string, isReused: boolean): Promise<void>;
  /** Sends a push and waits for the end; when it was sent and when the final status arrived, epoch milliseconds. */
  build(): Promise<{ sentAt: number; endedAt: number }>;
  /** What the last build wrote into a file of the warm Pod. */
  read(file: string): Promise<string>;
  pod(): Promise<string>;
  readonly pods: Pods;
}

export async function createBuilds(world: World, target: Target, name: string): Promise<Builds> {
  await world.forge.createRepository({ owner: 'acme', name, isPrivate: true });
  const user: User = await createUser(world, { owner: 'acme', name });
  const [url = '', secret = ''] = (await user.seal('hook', world.owner.token)).split('\n');
  const k8s = await user.seal('k8s', target.kubeconfig);
  const pods = await openPods(target.kubeconfig);
  let isReused = true;

  async function pod(): Promise<string> {
    const found = (await pods.names()).find((one) => one.startsWith('shop-'));
    if (found === undefined) throw new Error('there is no warm Pod');
    return found;
  }

  return {
    pods,
    pod,
    async setSteps(steps, reuse): Promise<void> {
      isReused = reuse;
      const extra = isReused ? '' : 'pod: {reuse: false}\n';
      await user.tree.commit({ 'c3.yaml': formatPipeline(target, k8s, steps, extra) }, 'steps');
    },
    async build(): Promise<{ sentAt: number; endedAt: number }> {
      const sha = await user.tree.commit({}, `build ${Math.random()}`);
      await user.tree.git('push', '--quiet', '--force', user.cloneUrl, 'HEAD:refs/heads/main');
      const body = toPayload(user.fullName, sha);
      const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
      const sentAt = Date.now();
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-github-event': 'push', 'x-hub-signature-256': signature },
        body,
      });
      if (answer.status !== 202) throw new Error(await answer.text());
      const status = await user.waitForEnd(sha);
      if (status.state !== 'success')
        throw new Error(`A build of the benchmark ended with ${status.state}: ${status.description}`);
      return { sentAt, endedAt: Date.parse(status.createdAt) };
    },
    read: async (file) => pods.run(await pod(), 'main', ['cat', file]),
  };
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
