/**
 * Returns whether any glob matches the whole name of a repository. `*` matches any characters except `/`, `**` any
 * characters: `github.com/acme/*`, `gitlab.com/acme/**`.
 *
 * @param globs in lower case, as `parseRepoGlobs` returns them
 * @param scopeText `host/owner/name`, in lower case, as `formatScope` writes it
 */
export function matchRepo(globs: readonly string[], scopeText: string): boolean {
  return globs.some((glob) => toPattern(glob).test(scopeText));
}

function toPattern(glob: string): RegExp {
  const source = glob
    .split(/(\*+)/)
    .map((part) => (part === '*' ? '[^/]*' : part.startsWith('**') ? '.*' : part.replace(/[.\\+?^${}()|[\]]/g, '\\$&')))
    .join('');
  return new RegExp(`^${source}$`);
}
