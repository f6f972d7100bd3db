import { expect, test } from 'vitest';

import { checkImage, existsByDefault, parseImageName } from './images.ts';

test.each([
  ['ubuntu', 'docker.io/library/ubuntu:latest'],
  ['alpine/git:2', 'docker.io/alpine/git:2'],
  ['localhost/busybox:1', 'localhost/busybox:1'],
  ['Registry.example:5000/a/b', 'Registry.example:5000/a/b:latest'],
  [`ghcr.io/a/b@sha256:${'0'.repeat(64)}`, `ghcr.io/a/b@sha256:${'0'.repeat(64)}`],
])('the image %s is %s in full', (image, name) => {
  expect(parseImageName(image)).toStrictEqual({ kind: 'valid', name });
});

test.each([
  ['UPPER/case', 'invalid reference format: repository name must be lowercase'],
  ['acme/UPPER', 'invalid reference format: repository name must be lowercase'],
  ['a b', 'invalid reference format'],
  ['a//b', 'invalid reference format'],
  ['a:', 'invalid reference format'],
  ['', 'invalid reference format'],
])('the image "%s" has no valid name', (image, cause) => {
  expect(parseImageName(image)).toStrictEqual({ kind: 'invalid', cause });
});

test('a problem with an image has the text of the kubelet and containerd', () => {
  const told = (image: string, imagePullPolicy: 'Always' | 'Never' = 'Always') =>
    checkImage({ name: 'main', image, imagePullPolicy }, existsByDefault);
  expect(told('ubuntu')).toBeUndefined();
  expect(told('acme/no-such')).toStrictEqual({
    reason: 'ErrImagePull',
    message:
      'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/acme/no-such:latest": failed to resolve reference "docker.io/acme/no-such:latest": docker.io/acme/no-such:latest: not found',
  });
  expect(told('UPPER/case')).toStrictEqual({
    reason: 'InvalidImageName',
    message:
      'Failed to apply default image tag "UPPER/case": couldn\'t parse image reference "UPPER/case": invalid reference format: repository name must be lowercase',
  });
  expect(told('no-such', 'Never')).toStrictEqual({
    reason: 'ErrImageNeverPull',
    message: 'Container image "no-such" is not present with pull policy of Never',
  });
});
