import { expect, test } from 'vitest';
import { parsePipeline } from '../parse-pipeline.ts';

interface Parts {
  readonly git?: string;
  readonly node?: string;
  readonly spec?: string;
  readonly steps?: string;
  readonly more?: string;
}

function problemsOf({ git = '', node = '', spec = '', steps = '- node: make', more = '' }: Parts): string[] {
  const mounts = 'volumeMounts: [{name: all, mountPath: /c3}]';
  const source = [
    'k8s: aa.aXY.Y3Q.dGFn',
    'job:',
    '  apiVersion: v1',
    '  kind: Pod',
    '  metadata: {name: demo}',
    '  spec:',
    '    volumes: [{name: all, emptyDir: {}}]',
    '    initContainers: [{name: db, image: postgres, restartPolicy: Always}, {name: setup, image: busybox}]',
    ...(spec === '' ? [] : [`    ${spec}`]),
    '    containers:',
    `    - {name: git, image: x, ${mounts}${git}}`,
    `    - {name: node, image: x, ${mounts}${node}}`,
    `steps:`,
    steps,
    more,
  ].join('\n');
  return parsePipeline(`${source}\n`).problems.map(({ severity, message, hint }) => `${severity}: ${message}: ${hint}`);
}

const SIDECAR = 'steps cannot run in an init container or a sidecar: move it to job.spec.containers';

test.each([
  ['- db: psql', `error: the job has no container "db": ${SIDECAR}`],
  ['- setup: make', `error: the job has no container "setup": ${SIDECAR}`],
  ['- {container: db, run: psql}', `error: the job has no container with this name: ${SIDECAR}`],
])('the step %s names a container of job.spec.initContainers', (steps, expected) => {
  expect(problemsOf({ steps })).toEqual([expected]);
});

test('the checkout cannot be in a sidecar', () => {
  expect(problemsOf({ more: 'checkout: {container: db}' })).toEqual([
    `error: the job has no container with this name: ${SIDECAR}`,
  ]);
});

const as = (user: number): string => `, securityContext: {runAsUser: ${user}}`;

test.each<readonly [string, Parts, string | undefined]>([
  ['root and 1000', { git: as(0), node: as(1000) }, 'user 0'],
  ['root and 1000, with fsGroup', { git: as(0), node: as(1000), spec: 'securityContext: {fsGroup: 1000}' }, 'user 0'],
  ["the image's user and 1000", { node: as(1000) }, 'the user of its image'],
  ['2000 of the Pod and 1000', { node: as(1000), spec: 'securityContext: {runAsUser: 2000}' }, 'user 2000'],
  ['1000 and 1000', { git: as(1000), node: as(1000) }, undefined],
  ['1000 of the Pod', { spec: 'securityContext: {runAsUser: 1000}' }, undefined],
  ['1000 and root, who can change all files', { git: as(1000), node: as(0) }, undefined],
])('of the users %s, who cannot change the work tree is reported', (_what, parts, owner) => {
  const hint =
    'set one securityContext.runAsUser for both, or let a step of the other container run `chmod -R a+rwX .` first';
  const message = `container "node" runs as user 1000, and container "git" checks the commit out as ${owner}`;
  const consequence = 'if they differ, its steps cannot change or create files there';
  expect(problemsOf(parts)).toEqual(owner === undefined ? [] : [`warning: ${message}: ${consequence}: ${hint}`]);
});

test.each([
  ['/c3/my project', undefined],
  ['/c3/my project/', undefined],
  ['/c3/my dir/project', 'a space is allowed only in the name of the directory itself, not in those above it'],
  ['/c3 /project', 'a space is allowed only in the name of the directory itself, not in those above it'],
])('checkout.path %j', (path, hint) => {
  const expected = hint === undefined ? [] : [`error: checkout.path is not a directory that c3 can fill: ${hint}`];
  const found = problemsOf({ more: `checkout: {path: '${path}'}` });
  expect(found.filter((problem) => problem.includes('checkout.path is'))).toEqual(expected);
});
