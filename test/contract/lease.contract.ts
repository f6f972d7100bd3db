import { describe, expect, test } from 'vitest';
import { toList, toMetadata } from '../../src/kube/api-types.ts';
import type { KubeAnswer } from '../../src/kube/client.ts';
import { toRecord } from '../../src/kube/leases/lease-record.ts';
import type { ContractFixture } from './contract-fixture.ts';

/** Tests what c3 relies on for exclusive Pods: only a client that knows the version of a Lease can change it. */
export function describeLeases(fixture: ContractFixture): void {
  const { client, namespace, podName, adopt } = fixture;
  const folder = (): string => `/apis/coordination.k8s.io/v1/namespaces/${namespace()}/leases`;
  const path = (stem: string): string => `${folder()}/${podName(stem)}`;

  function format(stem: string, holder: string, version?: string): object {
    adopt(podName(stem));
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name: podName(stem),
        labels: { contract: podName(stem) },
        annotations: { 'c3.build/queue': JSON.stringify([holder]) },
        ...(version === undefined ? {} : { resourceVersion: version }),
      },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: 30,
        leaseTransitions: 28_000_000,
        renewTime: '2026-11-22T10:00:00.123000Z',
      },
    };
  }
  async function create(stem: string, holder: string): Promise<KubeAnswer> {
    return await client().request({ method: 'POST', path: folder(), body: format(stem, holder) });
  }
  async function update(stem: string, holder: string, version: string): Promise<KubeAnswer> {
    return await client().request({ method: 'PUT', path: path(stem), body: format(stem, holder, version) });
  }
  function versionOf(answer: KubeAnswer): string {
    if (answer.kind === 'refused') throw new Error(answer.message);
    return toRecord(answer.body).version;
  }

  describe('a Lease', () => {
    test('is created once under its name, and read back as it was written', async () => {
      versionOf(await create('l-once', 'a@1'));
      expect(await create('l-once', 'b@2')).toMatchObject({ kind: 'refused', code: 409, reason: 'AlreadyExists' });
      const answer = await client().request({ method: 'GET', path: path('l-once') });
      expect(toRecord(answer.kind === 'ok' ? answer.body : undefined)).toMatchObject({
        holder: 'a@1',
        durationMs: 30_000,
        epoch: 28_000_000,
        renewedAt: Date.UTC(2026, 10, 22, 10, 0, 0, 123),
        queue: ['a@1'],
      });
    });

    test('is changed only with its current version', async () => {
      const first = versionOf(await create('l-version', 'a@1'));
      const second = versionOf(await update('l-version', '', first));
      expect(second).not.toBe(first);
      const answers = await Promise.all(
        ['b@2', 'c@3', 'd@4'].map(async (holder) => await update('l-version', holder, second)),
      );
      expect(answers.filter(({ kind }) => kind === 'ok')).toHaveLength(1);
      const [refusal] = answers.filter(({ kind }) => kind === 'refused');
      expect(refusal).toMatchObject({ code: 409, reason: 'Conflict' });
    });

    test('keeps its version when nothing changes', async () => {
      const version = versionOf(await create('l-same', 'a@1'));
      expect(versionOf(await update('l-same', 'a@1', version))).toBe(version);
    });

    test('is deleted only with its current version', async () => {
      const first = versionOf(await create('l-delete', 'a@1'));
      const second = versionOf(await update('l-delete', '', first));
      async function remove(resourceVersion: string): Promise<KubeAnswer> {
        const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { resourceVersion } };
        return await client().request({ method: 'DELETE', path: path('l-delete'), body });
      }
      expect(await remove(first)).toMatchObject({ kind: 'refused', code: 409, reason: 'Conflict' });
      expect((await remove(second)).kind).toBe('ok');
      expect(await client().request({ method: 'GET', path: path('l-delete') })).toMatchObject({ code: 404 });
    });

    test('that was deleted does not return with another holder after a change', async () => {
      const version = versionOf(await create('l-gone', 'a@1'));
      await client().request({ method: 'DELETE', path: path('l-gone') });
      const answer = await update('l-gone', 'a@1', version);
      // Kubernetes creates a missing Lease with PUT. A refusal is fine too.
      expect(answer.kind === 'ok' ? toRecord(answer.body).holder : answer.code).toBeOneOf(['a@1', 404, 409]);
    });

    test('is listed by its labels', async () => {
      versionOf(await create('l-listed', 'a@1'));
      const query = { labelSelector: `contract=${podName('l-listed')}` };
      const answer = await client().request({ method: 'GET', path: folder(), query });
      const { items } = toList(answer.kind === 'ok' ? answer.body : undefined);
      expect(items.map((item) => toMetadata(item).name)).toEqual([podName('l-listed')]);
    });
  });
}
