import type { Workspace } from '../../src/engine/cluster.ts';

/** Creates a workspace with the given exec. It is never lost. */
export function createBareWorkspace(exec: Workspace['exec']): Workspace {
  return {
    name: 'pod',
    id: 'uid',
    key: 'key',
    isWarm: true,
    epoch: 1,
    isAbandoned: false,
    warnings: [],
    lost: new Promise<string>(() => {}),
    findTrouble: () => undefined,
    exec,
    release: () => Promise.resolve(),
  };
}
