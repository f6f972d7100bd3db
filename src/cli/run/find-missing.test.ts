import { expect, test } from 'vitest';
import { findMissing, type Machine } from './find-missing.ts';

const versions: Readonly<Record<string, string>> = {
  node: 'v20.20.2',
  java: 'openjdk version "17.0.1"',
  go: 'go version go1.24.3 x',
};
const machine: Machine = { architecture: 'amd64', readVersion: (program) => versions[program] };
const REAL = 'use a real cluster: --kubeconfig FILE --context NAME';

function find(container: object, spec: object = {}): ReturnType<typeof findMissing> {
  const containers = [{ name: 'a', image: 'x', command: ['sleep'], volumeMounts: [{ name: 'v' }], ...container }];
  return findMissing({ spec: { containers, ...spec } }, machine);
}

test.each([
  ['persistentVolumeClaim', { claimName: 'x' }],
  ['csi', { driver: 'x' }],
  ['image', { reference: 'x' }],
  ['nfs', {}],
  ['secret', { secretName: 'x' }],
  ['projected', { sources: [] }],
])('a volume of the kind %s is missing', (kind, source) => {
  const { errors } = find({}, { volumes: [{ name: 'v', [kind]: source }] });
  const message = `volume "v" is of the kind ${kind}, and the embedded cluster has only emptyDir and hostPath: ${REAL}`;
  expect(errors).toEqual([message]);
});

test.each([{ emptyDir: {} }, { hostPath: { path: '/x' } }, { secret: { secretName: 'x', optional: true } }])(
  'a volume %j is there',
  (source) => {
    expect(find({}, { volumes: [{ name: 'v', ...source }] }).errors).toEqual([]);
  },
);

test.each([
  ['livenessProbe', { exec: {} }, 'has livenessProbe'],
  ['lifecycle', { postStart: {} }, 'has lifecycle'],
  ['envFrom', [], 'has envFrom'],
  ['restartPolicy', 'Always', 'is a sidecar (restartPolicy: Always)'],
])('a container with %s cannot run', (part, value, said) => {
  const message = `container "a" ${said}, which the embedded cluster does not have: ${REAL}`;
  expect(find({ [part]: value }).errors).toEqual([message]);
  expect(find({ [part]: null }).errors).toEqual([]);
});

test('another node is missing', () => {
  const message = `nodeName asks for the node "n1", and the embedded cluster has only "embedded": ${REAL}`;
  expect(find({}, { nodeName: 'n1' }).errors).toEqual([message]);
  expect(find({}, { nodeName: 'embedded' }).errors).toEqual([]);
});

test('a rule that selects a node has no effect, and is reported', () => {
  const resources = { limits: { cpu: 1, 'nvidia.com/gpu': 1 } };
  expect(find({ resources }, { affinity: {}, runtimeClassName: 'gvisor' }).warnings).toEqual([
    'affinity has no effect in the embedded cluster',
    'runtimeClassName has no effect in the embedded cluster',
    'nvidia.com/gpu has no effect in the embedded cluster',
  ]);
});

test('a volume that nothing mounts is not needed', () => {
  expect(find({}, { volumes: [{ name: 'other', persistentVolumeClaim: {} }] }).errors).toEqual([]);
});

test('a service container without a command is explained', () => {
  expect(find({ name: 'db', image: 'postgres:17', command: undefined }).errors).toEqual([
    `container "db" has no command, and the embedded cluster runs no images: set its command to what the image "postgres:17" starts, which must be installed here, or ${REAL}`,
  ]);
});

test('a node of another architecture is missing', () => {
  const { errors } = find({}, { nodeSelector: { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'arm64' } });
  expect(errors).toEqual([
    `nodeSelector asks for a node with kubernetes.io/arch=arm64, and this machine is of amd64 and has no other labels: ${REAL}`,
  ]);
});

test.each([
  ['node:22', 'node is 20.20.2 here'],
  ['node:20.1-alpine', 'node is 20.20.2 here'],
  ['docker.io/library/node:20', undefined],
  ['node:lts', undefined],
  ['eclipse-temurin:21-jdk', 'java is 17.0.1 here'],
  ['golang:1.24', undefined],
  ['golang:1.2', 'go is 1.24.3 here'],
  ['python:3.13', 'python3 is not installed here'],
  ['alpine:3.20', undefined],
])('of the image %s, a runtime that is not here is reported: %s', (image, what) => {
  const { errors, warnings } = find({ image });
  expect(errors).toEqual([]);
  expect(warnings).toEqual(
    what === undefined
      ? []
      : [`container "a" has the image "${image}", and ${what}: the steps see this machine's programs`],
  );
});

test.each([
  ['arm64v8/alpine', 'arm64'],
  ['example.com/tool:1.2-arm64', 'arm64'],
  ['amd64/alpine', undefined],
  ['example.com/charm64:1', undefined],
])('of the image %s, another architecture is reported: %s', (image, architecture) => {
  const found =
    architecture && `container "a" has the image "${image}" for ${architecture}, and this machine is of amd64`;
  expect(find({ image }).warnings).toEqual(found ? [`${found}: the steps see this machine's programs`] : []);
});
