import { readFile } from 'node:fs/promises';
import type { Target } from '../e2e/target.ts';

/** The cluster that main.ts started, or that KUBECONFIG names. */
export async function openTarget(): Promise<Target> {
  const path = process.env['KUBECONFIG'];
  if (path === undefined) throw new Error('KUBECONFIG is not set: run these tests with npm run test:cluster');
  return {
    kubeconfig: await readFile(path, 'utf8'),
    forgeHost: process.env['C3_TEST_FORGE_HOST'] ?? '127.0.0.1',
    images: { git: 'alpine/git', main: 'ubuntu' },
  };
}
