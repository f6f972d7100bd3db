import { describe, expect, test } from 'vitest';
import type { Cluster, Workspace } from '../../src/engine/cluster.ts';
import { toPod } from '../../src/kube/api-types.ts';
import { toPodsPath } from '../../src/kube/watch.ts';
import type { ContractFixture } from './contract-fixture.ts';
import { createRequests } from './requests.ts';

/**
 * A test cannot wait half a minute for a dead holder. 2 s are several renewals, and longer than a slow machine
 * pauses.
 */
const SHORT = { leaseMs: 2_000, renewMs: 300, pollMs: 50 };

/** Tests two c3 processes on one cluster, and a process that resumes the builds of a dead one. */
export function describeSharing(fixture: ContractFixture): void {
  const { client, cluster, namespace, createOther, remove } = fixture;
  const { request, answerTo, open } = createRequests(fixture);

  async function isThere(name: string): Promise<boolean> {
    const answer = await client().request({ method: 'GET', path: `${toPodsPath(namespace())}/${name}` });
    return answer.kind === 'ok' && !toPod(answer.body).isDeleting;
  }
  async function hasLease(name: string): Promise<boolean> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace()}/leases/${name}`;
    return (await client().request({ method: 'GET', path })).kind === 'ok';
  }

  describe('two processes on one cluster', () => {
    test('use the same Pod one after the other, with a greater epoch each', async () => {
      const [one, two] = [createOther(SHORT), createOther(SHORT)];
      const first = await open(request('s-turns', { buildId: 'b1' }), { by: one });
      const reasons: string[] = [];
      let second: Workspace | undefined;
      const opening = open(request('s-turns', { buildId: 'b2' }), { by: two, reasons }).then((got) => (second = got));
      await expect.poll(() => reasons).toContain('another c3 has the Pod');
      expect(second).toBeUndefined();
      await first.release({ isClean: true });
      await opening;
      expect(second).toMatchObject({ id: first.id, isWarm: true, warnings: [] });
      expect(second?.epoch).toBeGreaterThan(first.epoch);
      await second?.release({ isClean: false });
    });

    test('do not create two Pods of one name at the same time', async () => {
      const [one, two] = [createOther(SHORT), createOther(SHORT)];
      const ids: string[] = [];
      async function build(by: typeof one, buildId: string): Promise<void> {
        const workspace = await open(request('s-moment', { buildId }), { by });
        ids.push(workspace.id);
        await workspace.release({ isClean: true });
      }
      await Promise.all([build(one, 'b1'), build(two, 'b2')]);
      expect(new Set(ids).size).toBe(1);
      await (await open(request('s-moment'), { by: one })).release({ isClean: false });
    });

    test('do not both use the Pod when one is silent for too long: it loses the Pod and does not touch it any more', async () => {
      const silent = createOther({ ...SHORT, renewMs: 3_000_000 });
      const alive = createOther(SHORT);
      const first = await open(request('s-taken', { buildId: 'b1' }), { by: silent });
      const second = await open(request('s-taken', { buildId: 'b2' }), { by: alive });
      expect(second).toMatchObject({ id: first.id, isWarm: true });
      expect(second.epoch).toBeGreaterThan(first.epoch);
      await first.release({ isClean: false });
      expect(await isThere(second.name)).toBe(true);
      await second.release({ isClean: true });
      await (await open(request('s-taken'), { by: alive })).release({ isClean: false });
    });

    test('leave neither Pod nor Lease when the last build is not clean', async () => {
      const only = await open(request('s-gone', { reuse: false }));
      expect(await hasLease(only.name)).toBe(true);
      await only.release({ isClean: true });
      expect(await isThere(only.name)).toBe(false);
      expect(await hasLease(only.name)).toBe(false);
    });
  });

  describe('a directory of a volume that outlives Pods', () => {
    const directory = { volume: 'cache', key: 'hostPath /srv/cache/project' };
    const shared = (owner: string, ...below: string[]): ReturnType<typeof request> =>
      request('s-shared', {
        owner,
        directories: ['/a', ...below].map((path) => ({ ...directory, key: `${directory.key} ${namespace()}${path}` })),
      });

    test.each([
      ['of this process', (): Cluster => cluster()],
      ['of another process', (): Cluster => createOther(SHORT)],
    ])('belongs to one Pod at a time: the second one, %s, fails and names the first', async (_, choose) => {
      const first = await open(shared('refs/heads/main'));
      const by = choose();
      const { answer } = await answerTo(shared('refs/heads/dev'), { by });
      expect(answer).toMatchObject({
        kind: 'failed',
        message: expect.stringContaining(`Pod ${first.name} works in the same directory of volume "cache"`) as string,
      });
      await first.release({ isClean: true });
      const second = await open(shared('refs/heads/dev'), { by });
      expect(second.id).not.toBe(first.id);
      await second.release({ isClean: false });
      await (await open(shared('refs/heads/main'))).release({ isClean: false });
    });

    test('is claimed with all others, or none is', async () => {
      const first = await open(shared('refs/heads/main'));
      const wanted = shared('refs/heads/dev', '/b');
      const claims = { ...wanted, directories: wanted.directories?.toReversed() ?? [] };
      const by = createOther(SHORT);
      expect((await answerTo(claims, { by })).answer).toMatchObject({ kind: 'failed' });
      const [, ...onlyB] = wanted.directories ?? [];
      const second = await open({ ...wanted, scope: 'github.com/acme/b', directories: onlyB }, { by });
      await first.release({ isClean: false });
      await second.release({ isClean: false });
    });

    test.each(['', '/a/project/a'])('is not given to another Pod of this process as %j', async (path) => {
      const first = await open(shared('refs/heads/main'));
      const other = { ...directory, key: `${directory.key} ${namespace()}${path}` };
      const { answer } = await answerTo({ ...shared('refs/heads/dev'), directories: [other] });
      expect(answer).toMatchObject({ kind: 'failed' });
      await first.release({ isClean: false });
    });

    test('goes to one of two Pods that want it at the same moment', async () => {
      const clusters = [createOther(SHORT), createOther(SHORT)];
      const opened = await Promise.all(clusters.map((by, index) => answerTo(shared(`refs/heads/${index}`), { by })));
      expect(opened.map(({ answer }) => answer.kind).sort()).toEqual(['failed', 'ready']);
      for (const { answer } of opened) if (answer.kind === 'ready') await answer.workspace.release({ isClean: false });
    });

    test('stays with the Pod whose c3 died, until the Pod is gone', async () => {
      const dead = createOther(SHORT);
      const first = await open(shared('refs/heads/main'), { by: dead });
      await dead.close();
      const other = createOther(SHORT);
      expect((await answerTo(shared('refs/heads/dev'), { by: other })).answer).toMatchObject({ kind: 'failed' });
      const again = await open({ ...shared('refs/heads/main'), isResumed: true }, { by: other });
      expect(again.id).toBe(first.id);
      await again.release({ isClean: false });
      await (await open(shared('refs/heads/dev'), { by: other })).release({ isClean: false });
    });
  });

  describe('a build whose c3 died', () => {
    test('is resumed at once in the Pod in which it began', async () => {
      const dead = createOther();
      const first = await open(request('s-up', { buildId: 'b1' }), { by: dead });
      await dead.close();
      const reasons: string[] = [];
      const again = await open(request('s-up', { buildId: 'b1', isResumed: true }), { by: createOther(), reasons });
      expect(again).toMatchObject({ id: first.id, name: first.name });
      expect(again.epoch).toBeGreaterThan(first.epoch);
      expect(reasons).not.toContain('another c3 has the Pod');
      await again.release({ isClean: false });
    });

    test('finds its own Pod', async () => {
      const dead = createOther();
      const wanted = request('s-own', { buildId: 'b1', reuse: false });
      const first = await open(wanted, { by: dead });
      await dead.close();
      const again = await open({ ...wanted, isResumed: true }, { by: createOther() });
      expect(again.id).toBe(first.id);
      await again.release({ isClean: true });
    });

    test('fails when that Pod is gone, also if another Pod has its name', async () => {
      const dead = createOther(SHORT);
      const first = await open(request('s-lost', { buildId: 'b1' }), { by: dead });
      await dead.close();
      await remove(first.name, { uid: first.id });
      const other = createOther(SHORT);
      const second = await open(request('s-lost', { buildId: 'b2' }), { by: other });
      expect(second.id).not.toBe(first.id);
      await second.release({ isClean: true });
      const { answer } = await answerTo(request('s-lost', { buildId: 'b1', isResumed: true }), { by: other });
      expect(answer).toEqual({
        kind: 'failed',
        message: `Pod ${first.name}, in which the build began, is gone: what its steps did is unknown`,
      });
      await (await open(request('s-lost'), { by: other })).release({ isClean: false });
    });

    test('starts like any other when it had not begun', async () => {
      const workspace = await open(request('s-fresh', { buildId: 'b1', isResumed: true }));
      expect(workspace.isWarm).toBe(false);
      await workspace.release({ isClean: false });
    });
  });

  describe('the next build of a repository', () => {
    test('deletes the idle Pods of a dead c3 and of an earlier version of the job', async () => {
      const scope = `example.com/contract/s-tidy-${Date.now()}`;
      const former = request('s-tidy', { scope, maxAgeMs: 500_000, idleMs: 600_000 });
      const dead = createOther(SHORT);
      const abandoned = await open(request('s-abandoned', { scope }), { by: dead });
      const warm = await open(former, { by: dead });
      await warm.release({ isClean: true });
      await dead.close();
      const alive = createOther(SHORT);
      const next = await open(request('s-tidy', { scope, idleMs: 0 }), { by: alive });
      for (const name of [abandoned.name, warm.name]) {
        await expect.poll(async () => await isThere(name)).toBe(false);
        await expect.poll(async () => await hasLease(name)).toBe(false);
      }
      expect(await isThere(next.name)).toBe(true);
      await next.release({ isClean: false });
    });

    test('does not delete a Pod that another process uses', async () => {
      const scope = `example.com/contract/s-busy-${Date.now()}`;
      const dead = createOther(SHORT);
      const busy = await open(request('s-busy', { scope }), { by: createOther(SHORT) });
      const abandoned = await open(request('s-never', { scope }), { by: dead });
      await dead.close();
      const next = await open(request('s-next', { scope, idleMs: 0 }), { by: createOther(SHORT) });
      // The sweep checks it after the busy one.
      await expect.poll(async () => await hasLease(abandoned.name)).toBe(false);
      expect([await isThere(busy.name), await hasLease(busy.name)]).toEqual([true, true]);
      await Promise.all([busy.release({ isClean: false }), next.release({ isClean: false })]);
    });
  });
}
