import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { WorkspaceRequest } from '../engine/cluster.ts';
import type { JsonObject } from '../pipeline/pipeline.ts';
import { toPod } from './api-types.ts';
import { canonicalJson, findMismatch, isFormerJob, planPod, toSuffix } from './pod.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-11-22T12:00:00Z');

function order(changes: Partial<WorkspaceRequest> = {}): WorkspaceRequest {
  return {
    manifest: { metadata: { name: 'shop' }, spec: { containers: [{ name: 'main', image: 'a' }] } },
    scope: 'github.com/acme/shop',
    owner: 'refs/heads/main',
    root: '/c3/.c3',
    buildId: 'b1',
    isResumed: false,
    reuse: true,
    idleMs: HOUR,
    maxAgeMs: 12 * HOUR,
    neededMs: HOUR,
    ...changes,
  };
}

function plan(changes: Partial<WorkspaceRequest> = {}): ReturnType<typeof planPod> {
  return planPod(order(changes), { namespace: 'ci' });
}

describe('planPod', () => {
  test('keeps the job and adds name, labels, annotations, age limit and restart policy', () => {
    const metadata = { name: 'shop', labels: { team: 'a' }, annotations: { note: 'n' } };
    const { manifest, name, namespace, specHash } = plan({
      manifest: { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [], hostNetwork: true } },
    });
    expect(namespace).toBe('ci');
    expect(name).toBe(`shop-${specHash.slice(0, 10)}`);
    expect(manifest).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        labels: {
          team: 'a',
          'app.kubernetes.io/managed-by': 'c3',
          'c3.build/scope': expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
          'c3.build/owner': expect.stringMatching(/^[0-9a-f]{32}$/) as string,
          'c3.build/job': 'shop',
        },
        annotations: {
          'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
          'karpenter.sh/do-not-disrupt': 'true',
          note: 'n',
          'c3.build/scope': 'github.com/acme/shop',
          'c3.build/owner': 'refs/heads/main',
          'c3.build/spec-hash': specHash,
        },
      },
      spec: {
        restartPolicy: 'Never',
        containers: [],
        hostNetwork: true,
        automountServiceAccountToken: false,
        activeDeadlineSeconds: 43_200,
      },
    });
  });

  test('uses the smaller of two age limits, and the restart policy and namespace of the job', () => {
    const spec = { restartPolicy: 'Always', activeDeadlineSeconds: 60, containers: [] };
    const short = plan({ manifest: { metadata: { name: 'a', namespace: 'own' }, spec } });
    expect(short.namespace).toBe('own');
    expect(short.manifest['spec']).toMatchObject({ restartPolicy: 'Always', activeDeadlineSeconds: 60 });
    const long = plan({ maxAgeMs: HOUR, manifest: { metadata: { name: 'a' }, spec: { activeDeadlineSeconds: 1e6 } } });
    expect(long.manifest['spec']).toMatchObject({ activeDeadlineSeconds: 3600 });
  });

  test.each([
    [undefined, false],
    [null, false],
    [false, false],
    [true, true],
  ])('gives containers a token of a service account only if the job asks for it: %s', (asked, given) => {
    const automount = asked === undefined ? {} : { automountServiceAccountToken: asked };
    const { manifest } = plan({ manifest: { metadata: { name: 'a' }, spec: { containers: [], ...automount } } });
    expect(manifest['spec']).toMatchObject({ automountServiceAccountToken: given });
  });

  test('removes what a job claims under c3.build/', () => {
    const forged = { 'c3.build/spec-hash': 'f'.repeat(64), 'c3.build/scope': 'x' };
    const metadata = { name: 'shop', labels: forged, annotations: forged };
    const { manifest, specHash } = plan({ manifest: { metadata, spec: { containers: [] } } });
    expect(manifest['metadata']).toMatchObject({
      annotations: { 'c3.build/spec-hash': specHash, 'c3.build/scope': 'github.com/acme/shop' },
    });
  });

  test('gives another name for another scope, trust class, root, job or age limit, and the same name otherwise', () => {
    const names = [
      plan(),
      plan({ scope: 'github.com/acme/other' }),
      plan({ owner: 'branches' }),
      plan({ root: '/build/.c3' }),
      plan({ maxAgeMs: HOUR }),
      plan({ manifest: { metadata: { name: 'shop' }, spec: { containers: [{ name: 'main', image: 'b' }] } } }),
    ].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(plan({ buildId: 'b2', idleMs: 1, neededMs: 1 }).name).toBe(names[0]);
  });

  test('a suffix changes the name but not the hash', () => {
    const unique = planPod(order(), { namespace: 'ci', suffix: 'abc123' });
    expect(unique.name).toBe(`${plan().name}-abc123`);
    expect(unique.specHash).toBe(plan().specHash);
  });

  test('a build always has the same suffix, and another build has another one', () => {
    expect(toSuffix('b1')).toBe(toSuffix('b1'));
    expect(toSuffix('b1')).not.toBe(toSuffix('b2'));
    expect(toSuffix('b1')).toMatch(/^[0-9a-f]{8}$/);
  });

  test('a changed job keeps its labels, and another job, scope or trust class has others', () => {
    const { labels } = plan({ maxAgeMs: HOUR });
    expect(isFormerJob(labels, plan())).toBe(true);
    expect(isFormerJob(labels, plan({ scope: 'github.com/acme/other' }))).toBe(false);
    expect(isFormerJob(labels, plan({ owner: 'branches' }))).toBe(false);
    expect(isFormerJob(labels, plan({ manifest: { metadata: { name: 'other' }, spec: {} } }))).toBe(false);
  });

  test('a job can set the annotations for autoscalers', () => {
    const annotations = { 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true' };
    const { manifest } = plan({ manifest: { metadata: { name: 'a', annotations }, spec: {} } });
    expect(manifest['metadata']).toMatchObject({ annotations });
  });

  test('every name is valid for a Pod and its host', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), fc.boolean(), (name, isUnique) => {
        const manifest: JsonObject = { metadata: { name }, spec: { containers: [] } };
        const planned = planPod(order({ manifest }), {
          namespace: 'ci',
          ...(isUnique ? { suffix: toSuffix('b') } : {}),
        });
        expect(planned.name).toMatch(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])$/);
      }),
    );
  });

  test('the canonical form is independent of the order of keys, and parses back', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const shuffled = Object.fromEntries(Object.entries(value).toReversed());
        expect(canonicalJson(shuffled as JsonObject)).toBe(canonicalJson(value as JsonObject));
        expect(canonicalJson(JSON.parse(canonicalJson(value as JsonObject)) as JsonObject)).toBe(
          canonicalJson(value as JsonObject),
        );
      }),
    );
  });
});

describe('findMismatch', () => {
  const planned = plan();
  const running = {
    metadata: { name: planned.name, uid: 'u', annotations: { 'c3.build/spec-hash': planned.specHash } },
    spec: { activeDeadlineSeconds: 43_200, containers: [{ name: 'main' }] },
    status: {
      phase: 'Running',
      startTime: '2026-11-22T11:00:00Z',
      containerStatuses: [{ name: 'main', ready: true, restartCount: 0, state: { running: {} } }],
    },
  };

  test('finds none in a Pod that is as planned, and runs or starts', () => {
    expect(findMismatch(toPod(running), planned, { neededMs: HOUR, now: NOW })).toBeUndefined();
    const pending = { ...running, status: { phase: 'Pending' } };
    expect(findMismatch(toPod(pending), planned, { neededMs: HOUR, now: NOW })).toBeUndefined();
  });

  test.each<[string, object]>([
    ['it was made from another job', { metadata: { annotations: { 'c3.build/spec-hash': 'other' } } }],
    ['it was made from another job', { metadata: {} }],
    ['it is being deleted', { metadata: { ...running.metadata, deletionTimestamp: '2026-11-22T11:59:59Z' } }],
    ['it is Failed', { status: { ...running.status, phase: 'Failed' } }],
    [
      'container "main" has restarted',
      { status: { ...running.status, containerStatuses: [{ name: 'main', restartCount: 1, state: { running: {} } }] } },
    ],
    [
      'container "main" has ended',
      { status: { ...running.status, containerStatuses: [{ name: 'main', state: { terminated: { exitCode: 0 } } }] } },
    ],
    [
      'it is being evicted',
      { status: { ...running.status, conditions: [{ type: 'DisruptionTarget', status: 'True' }] } },
    ],
    [
      'its node "n1" does not answer',
      {
        spec: { ...running.spec, nodeName: 'n1' },
        status: {
          ...running.status,
          conditions: [
            { type: 'Ready', status: 'False' },
            { type: 'ContainersReady', status: 'True' },
          ],
        },
      },
    ],
    ['it has no age limit', { spec: { containers: [] } }],
    ['it is too old for another build', { status: { ...running.status, startTime: '2026-11-22T00:30:00Z' } }],
  ])('%s', (reason, changes) => {
    expect(findMismatch(toPod({ ...running, ...changes }), planned, { neededMs: HOUR, now: NOW })).toBe(reason);
  });

  test('any JSON can be read as a Pod, and never as one to reuse', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (metadata, status) => {
        const pod = toPod({ metadata, status, spec: metadata });
        expect(findMismatch(pod, planned, { neededMs: HOUR, now: NOW })).toBeTypeOf('string');
      }),
    );
  });
});
