import type { PushLogEntry, Repository } from '../repositories.ts';
import type { ApiState, Route } from '../route.ts';
import { notFound, toPage } from './answers.ts';
import { findLogin, toAccessLevel, toUserId, toUserJson } from './users.ts';

/** The routes of a project itself: what it is, its members, its log of pushes. */
export function createProjectRoutes({ origin, accounts }: Pick<ApiState, 'origin' | 'accounts'>): Route[] {
  return [
    {
      method: 'GET',
      pattern: /^$/,
      permission: 'read',
      handle({ repository, user }) {
        const level = toAccessLevel(user, repository);
        const permissions = { project_access: level === undefined ? null : toAccess(level), group_access: null };
        return { status: 200, body: { ...toProjectJson(origin, repository), permissions } };
      },
    },
    {
      method: 'GET',
      pattern: /^\/members\/all\/(\d+)$/,
      permission: 'read',
      handle({ repository, captures: [id] }) {
        const user = accounts.find(findLogin(Number(id)) ?? '');
        const level = user && toAccessLevel(user, repository);
        if (user === undefined || level === undefined) return notFound('Not found');
        const body = { ...toUserJson(origin, user.login), access_level: level, membership_state: 'active' };
        return { status: 200, body };
      },
    },
    {
      method: 'GET',
      pattern: /^\/events$/,
      permission: 'read',
      handle({ repository, query }) {
        const isWanted = ['pushed', null].includes(query.get('action'));
        const entries = isWanted ? toEvents(repository) : [];
        return toPage(query.get('sort') === 'asc' ? entries : entries.toReversed(), query);
      },
    },
  ];
}

/** @see https://docs.gitlab.com/api/projects/#retrieve-a-project */
function toProjectJson(origin: string, repository: Repository): Record<string, unknown> {
  const { id, name, fullName, owner, isPrivate, defaultBranch } = repository;
  const url = `${origin}/${fullName}`;
  return {
    id,
    description: null,
    name,
    path: name,
    path_with_namespace: fullName,
    name_with_namespace: fullName.replaceAll('/', ' / '),
    default_branch: defaultBranch,
    ssh_url_to_repo: `git@${new URL(origin).hostname}:${fullName}.git`,
    http_url_to_repo: `${url}.git`,
    web_url: url,
    namespace: { id, name: owner, path: owner, full_path: owner, kind: 'group' },
    visibility: isPrivate ? 'private' : 'public',
    repository_access_level: 'enabled',
    archived: false,
    empty_repo: false,
  };
}

function toAccess(level: number): Record<string, number> {
  return { access_level: level, notification_level: 3 };
}

/** A push of more refs has one entry without their names. */
const MAX_REFS = 3;

/** @see https://docs.gitlab.com/api/events/#list-all-visible-events-for-a-project */
function toEvents(repository: Repository): readonly Record<string, unknown>[] {
  const pushes = [...Map.groupBy(repository.pushLog, ({ at }) => at).values()];
  const data = pushes.flatMap((entries) =>
    entries.length > MAX_REFS
      ? entries.slice(0, 1).map((entry) => ({ entry, push_data: toBulkData(entries.length) }))
      : entries.map((entry) => ({ entry, push_data: toPushData(entry) })),
  );
  return data.map(({ entry, push_data }, index) => {
    const login = entry.pusher ?? repository.owner;
    return {
      id: index + 1,
      project_id: repository.id,
      action_name: push_data['action'] === 'removed' ? 'deleted' : 'pushed to',
      target_id: null,
      target_type: null,
      author_id: toUserId(login),
      created_at: new Date(entry.at).toISOString(),
      push_data,
      author_username: login,
    };
  });
}

function toPushData({ before, after, ref }: PushLogEntry): Record<string, unknown> {
  const [isCreated, isRemoved] = [/^0+$/.test(before), /^0+$/.test(after)];
  return {
    commit_count: 1,
    action: isCreated ? 'created' : isRemoved ? 'removed' : 'pushed',
    ref_type: 'branch',
    commit_from: isCreated ? null : before,
    commit_to: isRemoved ? null : after,
    ref: ref.slice('refs/heads/'.length),
    commit_title: null,
    ref_count: null,
  };
}

function toBulkData(count: number): Record<string, unknown> {
  const none = { commit_from: null, commit_to: null, ref: null, commit_title: null };
  return { ...none, commit_count: 0, action: 'pushed', ref_type: 'branch', ref_count: count };
}
