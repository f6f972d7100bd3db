import type { Repository } from '../repositories.ts';

export type Json = Record<string, unknown>;

/** What follows the address of a repository in the API. */
const API_PATHS = {
  url: '',
  forks_url: '/forks',
  keys_url: '/keys{/key_id}',
  collaborators_url: '/collaborators{/collaborator}',
  teams_url: '/teams',
  hooks_url: '/hooks',
  issue_events_url: '/issues/events{/number}',
  events_url: '/events',
  assignees_url: '/assignees{/user}',
  branches_url: '/branches{/branch}',
  tags_url: '/tags',
  blobs_url: '/git/blobs{/sha}',
  git_tags_url: '/git/tags{/sha}',
  git_refs_url: '/git/refs{/sha}',
  trees_url: '/git/trees{/sha}',
  statuses_url: '/statuses/{sha}',
  languages_url: '/languages',
  stargazers_url: '/stargazers',
  contributors_url: '/contributors',
  subscribers_url: '/subscribers',
  subscription_url: '/subscription',
  commits_url: '/commits{/sha}',
  git_commits_url: '/git/commits{/sha}',
  comments_url: '/comments{/number}',
  issue_comment_url: '/issues/comments{/number}',
  contents_url: '/contents/{+path}',
  compare_url: '/compare/{base}...{head}',
  merges_url: '/merges',
  archive_url: '/{archive_format}{/ref}',
  downloads_url: '/downloads',
  issues_url: '/issues{/number}',
  pulls_url: '/pulls{/number}',
  milestones_url: '/milestones{/number}',
  notifications_url: '/notifications{?since,all,participating}',
  labels_url: '/labels{/name}',
  releases_url: '/releases{/id}',
  deployments_url: '/deployments',
} as const;

/** What follows the address of a user in the API. */
const USER_PATHS = {
  url: '',
  followers_url: '/followers',
  following_url: '/following{/other_user}',
  gists_url: '/gists{/gist_id}',
  starred_url: '/starred{/owner}{/repo}',
  subscriptions_url: '/subscriptions',
  organizations_url: '/orgs',
  repos_url: '/repos',
  events_url: '/events{/privacy}',
  received_events_url: '/received_events',
} as const;

/** What no repository of the development forge has. */
const EMPTY = {
  description: null,
  homepage: null,
  size: 1,
  stargazers_count: 0,
  watchers_count: 0,
  language: null,
  has_issues: true,
  has_projects: false,
  has_downloads: true,
  has_wiki: false,
  has_pages: false,
  has_discussions: false,
  forks_count: 0,
  mirror_url: null,
  archived: false,
  disabled: false,
  open_issues_count: 0,
  license: null,
  allow_forking: true,
  is_template: false,
  web_commit_signoff_required: false,
  topics: [],
  forks: 0,
  open_issues: 0,
  watchers: 0,
} as const;

/** The address of a repository in the API. */
export function toApiUrl(origin: string, { fullName }: Pick<Repository, 'fullName'>): string {
  return `${origin}/api/v3/repos/${fullName}`;
}

/** A repository as payloads and most answers show it. */
export function toRepositoryJson(origin: string, repository: Repository): Json {
  const { id, name, fullName, owner, createdAt } = repository;
  const url = `${origin}/${fullName}`;
  const created = toTime(createdAt);
  const pushed = toTime(repository.pushLog.at(-1)?.at ?? createdAt);
  return {
    id,
    node_id: `R_${id}`,
    name,
    full_name: fullName,
    private: repository.isPrivate,
    owner: toUserJson(origin, owner),
    html_url: url,
    fork: repository.isFork,
    ...toUrls(toApiUrl(origin, repository), API_PATHS),
    created_at: created,
    updated_at: pushed,
    pushed_at: pushed,
    git_url: `${url.replace(/^https?/, 'git')}.git`,
    ssh_url: `git@${new URL(origin).hostname}:${fullName}.git`,
    clone_url: `${url}.git`,
    svn_url: url,
    ...EMPTY,
    visibility: repository.isPrivate ? 'private' : 'public',
    default_branch: repository.defaultBranch,
    custom_properties: {},
  };
}

/** A user or an organization, whether there is such an account or not. */
export function toUserJson(origin: string, login: string): Json {
  const id = toUserId(login);
  return {
    login,
    id,
    node_id: `U_${id}`,
    avatar_url: `${origin}/avatars/u/${id}`,
    gravatar_id: '',
    html_url: `${origin}/${login}`,
    ...toUrls(`${origin}/api/v3/users/${login}`, USER_PATHS),
    type: 'User',
    site_admin: false,
  };
}

/** The account of the token, as it sees itself. */
export function toOwnUserJson(origin: string, login: string): Json {
  const unknown = { name: login, company: null, blog: '', location: null, email: null, hireable: null, bio: null };
  const counts = { public_repos: 0, public_gists: 0, followers: 0, following: 0 };
  const created = toTime(0);
  return { ...toUserJson(origin, login), ...unknown, ...counts, created_at: created, updated_at: created };
}

/** GitHub's times have whole seconds. */
export function toTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+/, '');
}

/** Each login has its own number, which does not change. */
function toUserId(login: string): number {
  return Buffer.from(login.toLowerCase()).reduce((id, byte) => (id * 31 + byte) % 1e8, 7);
}

function toUrls(base: string, paths: Readonly<Record<string, string>>): Json {
  return Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, base + path]));
}
