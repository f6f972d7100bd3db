import type { Scope } from '../../sealing/scope.ts';

/** Where people look at a repository. @param origin `https://github.com` */
export function toWebUrl(origin: string, scope: Scope): string {
  return `${origin}/${scope.owner}/${scope.name}`;
}

export function toCommitUrl(origin: string, scope: Scope, sha: string): string {
  return `${toWebUrl(origin, scope)}/commit/${sha}`;
}
