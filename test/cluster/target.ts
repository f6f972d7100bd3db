import { readFile } from 'node:fs/promises';
import { afterAll } from 'vitest';
import { createNamespace, type OwnNamespace } from '../../dev/kubernetes/namespace.ts';
import type { Target } from '../e2e/target.ts';

/** Tests may break only a cluster that was started here. */
export const isOurs: boolean = process.env['C3_TEST_OWN_CLUSTER'] === '1';

let namespace: Promise<OwnNamespace> | undefined;

/** Creates a namespace for each test file, so that the files can run at the same time. */
afterAll(async () => {
  await (await namespace)?.remove();
});

/** The cluster that main.ts started, or that of KUBECONFIG. */
export async function openTarget(): Promise<Target> {
  const path = process.env['KUBECONFIG'];
  if (path === undefined) throw new Error('KUBECONFIG is not set: run these tests with npm run test:cluster');
  namespace ??= createNamespace(await readFile(path, 'utf8'), 'c3-test');
  const { kubeconfig } = await namespace;
  return {
    kubeconfig,
    forgeHost: process.env['C3_TEST_FORGE_HOST'] ?? '127.0.0.1',
    images: { git: 'alpine/git', main: 'ubuntu' },
  };
}
