import { describe, expect, test } from 'vitest';
import { findForkFaults, toForkJob } from './fork-job.ts';
import type { JsonObject } from './pipeline.ts';

const container = (part: JsonObject): JsonObject => ({ containers: [{ name: 'main', image: 'busybox', ...part }] });

describe('the job of a fork', () => {
  test('has no service account token, and a label, whatever the job says', () => {
    const manifest = {
      kind: 'Pod',
      metadata: { name: 'build', labels: { app: 'x', 'c3/trust': 'protected' } },
      spec: { automountServiceAccountToken: true, serviceAccountName: 'ci', containers: [] },
    };
    expect(toForkJob(manifest)).toEqual({
      kind: 'Pod',
      metadata: { name: 'build', labels: { app: 'x', 'c3/trust': 'fork' } },
      spec: { automountServiceAccountToken: false, serviceAccountName: 'ci', containers: [] },
    });
    expect(manifest.spec.automountServiceAccountToken).toBe(true);
  });

  test.each<[string, JsonObject, readonly string[]]>([
    ['an emptyDir', { volumes: [{ name: 'v', emptyDir: {} }] }, []],
    ['a volume without a source', { volumes: [{ name: 'v' }] }, []],
    ['a configMap', { volumes: [{ name: 'v', configMap: { name: 'c' } }] }, []],
    ['a projected configMap', { volumes: [{ name: 'v', projected: { sources: [{ configMap: {} }] } }] }, []],
    [
      'a Secret',
      { volumes: [{ name: 'v', secret: { secretName: 's' } }] },
      ['volume "v" (secret) can hold secrets or files of other builds'],
    ],
    [
      'a persistent volume',
      { volumes: [{ name: 'cache', persistentVolumeClaim: { claimName: 'c' } }] },
      ['volume "cache" (persistentVolumeClaim) can hold secrets or files of other builds'],
    ],
    [
      'a directory of the node',
      { volumes: [{ name: 'v', hostPath: { path: '/' } }] },
      ['volume "v" (hostPath) can hold secrets or files of other builds'],
    ],
    [
      'a kind of volume that c3 does not know',
      { volumes: [{ name: 'v', emptyDir: {}, floppy: {} }] },
      ['volume "v" (emptyDir, floppy) can hold secrets or files of other builds'],
    ],
    [
      'a projected token',
      { volumes: [{ name: 'v', projected: { sources: [{ serviceAccountToken: {} }, { secret: {} }] } }] },
      ['volume "v" contains a serviceAccountToken', 'volume "v" contains a secret'],
    ],
    [
      'a variable from a Secret',
      container({ env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }),
      ['container "main" reads a Secret into the variable "TOKEN"'],
    ],
    [
      'all variables of a Secret, in an init container',
      { initContainers: [{ name: 'init', envFrom: [{ secretRef: { name: 's' } }, { configMapRef: { name: 'c' } }] }] },
      ['container "init" reads a Secret with envFrom'],
    ],
    ['plain variables', container({ env: [{ name: 'A', value: 'b' }] }), []],
  ])('with %s', (_, spec, faults) => {
    const prefix = 'the build of a fork may not use this job: ';
    expect(findForkFaults({ spec })).toEqual(faults.map((fault) => prefix + fault));
  });
});
