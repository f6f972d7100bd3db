import { type Build, type BuildLink, type Trust, UNKNOWN_COMMIT } from '../../src/build/index.ts';

/** A build of `main` in github.com/acme/shop; every field can be replaced. */
export function createBuild(part: Partial<Build> = {}): Build & { readonly trust: Trust } {
  return {
    id: '5f3a0c91d2e4',
    scope: { host: 'github.com', owner: 'acme', name: 'shop' },
    event: 'push',
    ref: { kind: 'branch', name: 'main' },
    sha: '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d',
    before: undefined,
    cause: 'webhook',
    commit: { subject: 'Round prices half to even, not half up', author: 'Ann Lee' },
    ...part,
    trust: part.trust ?? 'protected',
  };
}

/** A link to a build, as it opens. */
export function createLink({ right = 'view', token = 'a-token', ...part }: LinkPart = {}): BuildLink {
  return { right, token, build: createBuild({ ...part, commit: UNKNOWN_COMMIT }) };
}

export type LinkPart = Partial<Build> & Partial<Pick<BuildLink, 'right' | 'token'>>;
