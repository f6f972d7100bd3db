import { describe, expect, it, test } from 'vitest';
import { findLastingDirectories, findSharedMounts } from './lasting-directory.ts';
import { parsePipeline } from './parse-pipeline.ts';
import type { JsonObject } from './pipeline.ts';

function job(volume: JsonObject, mount: JsonObject = { mountPath: '/c3' }): JsonObject {
  const other = { name: 'tools', emptyDir: {} };
  const mounts = [
    { name: 'tools', mountPath: '/opt' },
    { name: 'work', ...mount },
  ];
  return {
    spec: { volumes: [other, { name: 'work', ...volume }], containers: [{ name: 'git', volumeMounts: mounts }] },
  };
}

function findKeys(manifest: JsonObject, path = '/c3/project'): string[] {
  return findLastingDirectories(manifest, path).map(({ key }) => key);
}

const CLAIM = { persistentVolumeClaim: { claimName: 'cache' } };

describe('the directory of the commit', () => {
  it.each(['emptyDir', 'ephemeral', 'csi', 'image', 'configMap', 'secret', 'projected', 'downwardAPI'])(
    'ends with the Pod in %s',
    (kind) => {
      expect(findKeys(job({ [kind]: {} }))).toEqual([]);
    },
  );

  it.each([
    [{ hostPath: { path: '/srv/c3' } }, {}, 'hostPath [] /srv/c3'],
    [{ hostPath: { path: '/srv/c3/', type: 'Directory' } }, { subPath: 'a' }, 'hostPath [] /srv/c3/a'],
    [{ hostPath: { path: '/srv/c3' } }, { subPath: '', subPathExpr: 'a/' }, 'hostPath [] /srv/c3/a'],
    [{ emptyDir: null, hostPath: { path: '/srv/c3' } }, { subPath: null }, 'hostPath [] /srv/c3'],
    [CLAIM, {}, 'persistentVolumeClaim [["claimName","cache"]] '],
    [CLAIM, { mountPath: '/c3/' }, 'persistentVolumeClaim [["claimName","cache"]] '],
    [CLAIM, { subPath: 'x/../y' }, 'persistentVolumeClaim [["claimName","cache"]] /y'],
    [CLAIM, { mountPath: '/' }, 'persistentVolumeClaim [["claimName","cache"]] /c3'],
    [
      { persistentVolumeClaim: { readOnly: true, claimName: 'cache', x: null } },
      {},
      'persistentVolumeClaim [["claimName","cache"]] ',
    ],
    [{ nfs: { server: 's', path: '/x/', readOnly: false } }, {}, 'nfs [["server","s"]] /x'],
  ])('outlives the Pod in %j, mounted at %j', (volume, mount, key) => {
    expect(findLastingDirectories(job(volume, { mountPath: '/c3', ...mount }), '/c3/project')).toEqual([
      { volume: 'work', key: `${key}/.c3` },
      { volume: 'work', key: `${key}/project` },
    ]);
  });

  it('is in the innermost volume, and the directory of c3 in its own', () => {
    const { spec } = job(CLAIM) as { spec: { volumes: JsonObject[]; containers: { volumeMounts: JsonObject[] }[] } };
    spec.volumes.push({ name: 'inner', emptyDir: {} });
    spec.containers[0]?.volumeMounts.push({ name: 'inner', mountPath: '/c3/project' });
    const claim = 'persistentVolumeClaim [["claimName","cache"]]';
    expect(findKeys({ spec })).toEqual([`${claim} /.c3`]);
    expect(findKeys({ spec }, '/c3/other')).toEqual([`${claim} /.c3`, `${claim} /other`]);
  });

  it('is found in every container', () => {
    const containers = ['a', 'b', 'a'].map((name) => ({
      name,
      volumeMounts: [{ name, mountPath: '/c3/project' }],
    }));
    const volumes = ['a', 'b'].map((name) => ({ name, hostPath: { path: `/${name}` } }));
    expect(findKeys({ spec: { volumes, containers } })).toEqual(['hostPath [] /a', 'hostPath [] /b']);
  });

  it.each([
    [{}],
    [{ spec: 'x' }],
    [{ spec: { volumes: {}, containers: [1, { volumeMounts: 'x' }] } }],
    [{ spec: { containers: [{ volumeMounts: [{ name: 'no-such', mountPath: '/c3' }] }] } }],
    [job(CLAIM, { mountPath: 'c3' })],
    [job(CLAIM, { mountPath: '/c3x' })],
  ] satisfies [JsonObject][])('is not in a volume of %j', (manifest) => {
    expect(findKeys(manifest)).toEqual([]);
  });
});

test('a volume that outlives the Pod is a warning, at the volume', () => {
  const { problems } = parsePipeline(
    `job:
  apiVersion: v1
  kind: Pod
  metadata: {name: shop}
  spec:
    volumes:
    - {name: work, persistentVolumeClaim: {claimName: cache}}
    containers:
    - {name: git, image: alpine/git, command: [sleep, '7d'], volumeMounts: [{name: work, mountPath: /c3}]}
steps:
- git: echo
`,
    { withoutSeals: true },
  );
  expect(problems).toMatchObject([
    {
      severity: 'warning',
      line: 7,
      column: 7,
      message: expect.stringMatching(/^this volume outlives the Pod/) as string,
    },
  ]);
});

it('lists the mounts of a container that others can reach', () => {
  const volumes = [
    { name: 'work', emptyDir: {} },
    { name: 'own', emptyDir: {} },
    { name: 'node', hostPath: { path: '/data' } },
    { name: 'early', emptyDir: {} },
  ];
  const mount = (name: string, mountPath: string): object => ({ name, mountPath });
  const manifest = {
    spec: {
      volumes,
      initContainers: [{ name: 'init', volumeMounts: [mount('early', '/e')] }],
      containers: [
        {
          name: 'git',
          volumeMounts: [mount('work', '/c3/'), mount('own', '/tmp'), mount('node', '/data'), mount('early', '/early')],
        },
        { name: 'main', volumeMounts: [mount('work', '/w')] },
      ],
    },
  };
  expect(findSharedMounts(manifest as never, 'git')).toEqual(['/c3', '/data', '/early']);
  expect(findSharedMounts({}, 'git')).toEqual([]);
});
