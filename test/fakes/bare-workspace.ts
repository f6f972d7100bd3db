import type { Workspace } from '../../src/engine/cluster.ts';

/** A workspace that is never lost and given back at once, with what it is asked for in the test. */
export function createBareWorkspace(exec: Workspace['exec']): Workspace {
  return {
    name: 'pod',
    id: 'uid',
    key: 'key',
    isWarm: true,
    epoch: 1,
    warnings: [],
    lost: new Promise<string>(() => {}),
    exec,
    release: () => Promise.resolve(),
  };
}
