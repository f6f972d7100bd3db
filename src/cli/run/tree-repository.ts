import type { BuildRequest } from '../../engine/index.ts';

/** The working tree in the forge's place: there is nobody to ask and nobody to tell. */
export function createTreeRepository(text: string, treePath: () => string): BuildRequest['repository'] {
  return {
    prove: () => Promise.resolve({ kind: 'proven', trust: 'other' }),
    readFile: () => Promise.resolve({ kind: 'found', text }),
    setStatus: () => Promise.resolve(),
    // oxlint-disable-next-line require-yield -- there are none
    async *listStatuses() {},
    readCommit: () => Promise.resolve(undefined),
    // Not known: a condition on paths then holds.
    listChangedPaths: () => Promise.resolve(undefined),
    gitAccess: () => ({ url: treePath(), urlPrefix: 'https://c3.invalid/', header: '', secrets: [] }),
    lineUrl: () => '',
    urls: () => ({ repository: '', commit: '' }),
  };
}
