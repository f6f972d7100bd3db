import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { createEmbeddedCluster } from '../embedded-cluster.ts';
import { findTools } from './tools.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'c3-tools-'));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

function writeProgram(name: string, script: string): void {
  writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(directory, name), 0o755);
}

test('names the missing program and the alternative', async () => {
  for (const name of ['mount', 'pivot_root', 'sh']) writeProgram(name, ':');
  await expect(findTools(`${directory}:relative`, [])).rejects.toMatchObject({
    code: 'CLUSTER_UNREACHABLE',
    message: 'The embedded cluster needs the program "unshare", which is not on this machine',
    hint: 'install util-linux, or use a real cluster instead: --kubeconfig FILE --context NAME',
  });
});

test('reports the kernel’s reason when it can make no container, names the alternative and leaves nothing behind', async () => {
  writeProgram('unshare', 'echo "unshare: unshare failed: Operation not permitted" >&2; exit 1');
  vi.stubEnv('PATH', `${directory}:${process.env['PATH'] ?? ''}`);
  await expect(createEmbeddedCluster({ root: directory })).rejects.toMatchObject({
    code: 'CLUSTER_UNREACHABLE',
    message: 'The embedded cluster cannot make a container here: unshare: unshare failed: Operation not permitted',
    hint: expect.stringContaining('allow user namespaces') as string,
  });
  expect(readdirSync(directory)).toStrictEqual(['unshare']);
});
