import type { WorkspaceRequest } from '../../src/engine/cluster.ts';

/** A request that any cluster accepts. */
export const REQUEST: WorkspaceRequest = {
  manifest: {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'x' },
    spec: { containers: [{ name: 'm', image: 'x' }] },
  },
  scope: 'git.example.com/acme/shop',
  owner: 'branches',
  root: '/c3/.c3',
  buildId: 'abc',
  isResumed: false,
  reuse: true,
  idleMs: 1_000,
  maxAgeMs: 60_000,
  neededMs: 1_000,
};
