import { readFile } from 'node:fs/promises';
import { describe } from 'vitest';
import { describeClusterContract } from './cluster.contract.ts';

/** Path of a kubeconfig whose user may create Pods; without it the suite is skipped. The tests leave nothing behind. */
const path = process.env['C3_TEST_KUBECONFIG'] ?? '';
const image = process.env['C3_TEST_IMAGE'] ?? 'localhost/busybox:1';

describe.runIf(path !== '')('With C3_TEST_KUBECONFIG', () => {
  describeClusterContract('a real Kubernetes', async () => ({ kubeconfig: await readFile(path, 'utf8'), image }));
});
