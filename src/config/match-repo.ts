/**
 * Whether any glob matches a repository as a whole. `*` stands for any characters but `/`, `**` for any at all:
 * `github.com/acme/*`, `gitlab.com/acme/**`.
 *
 * @param globs in lower case, as the configuration holds them
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
