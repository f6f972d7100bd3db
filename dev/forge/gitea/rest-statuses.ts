import { resolveCommit } from '../git.ts';
import { field, type ApiState, type Route, type RouteCall, type Status } from '../route.ts';
import { NOT_FOUND, refuse, toPage } from './answers.ts';
import { toUserJson } from './payloads.ts';

const STATES: readonly unknown[] = ['pending', 'success', 'error', 'failure', 'warning'];

/** The routes of commit statuses. Another status of a context is one more in the list. */
export function createStatusRoutes({
  origin,
  statuses,
  onChange,
}: Pick<ApiState, 'origin' | 'statuses' | 'onChange'>): Route[] {
  const list = async ({ repository, captures: [ref = ''], query }: RouteCall) => {
    const sha = await resolveCommit(repository.path, ref);
    if (sha === undefined) return NOT_FOUND;
    const own = statuses.filter((status) => status.repository === repository.fullName && status.sha === sha);
    const sort = query.get('sort') ?? 'recentupdate';
    const isNewestFirst = ['recentupdate', 'highestindex'].includes(sort);
    return toPage(
      (isNewestFirst ? own.toReversed() : own).map((status) => toJson(origin, status)),
      query,
    );
  };
  return [
    {
      method: 'POST',
      pattern: /^\/statuses\/([^/]+)$/,
      permission: 'write',
      async handle(call) {
        const sha = await resolveCommit(call.repository.path, call.captures[0] ?? '');
        if (sha === undefined) return NOT_FOUND;
        const { body } = call;
        if (!STATES.includes(field(body, 'state'))) return refuse(422, '[State]: Required');
        const text = (name: string): string | null => {
          const value = field(body, name);
          return typeof value === 'string' ? value : null;
        };
        const status: Status = {
          id: statuses.length + 1,
          repository: call.repository.fullName,
          sha,
          context: text('context') ?? 'default',
          state: field(body, 'state') as Status['state'],
          description: text('description'),
          targetUrl: text('target_url'),
          creator: call.user.login,
          createdAt: new Date().toISOString(),
        };
        statuses.push(status);
        onChange();
        return { status: 201, body: toJson(origin, status) };
      },
    },
    { method: 'GET', pattern: /^\/statuses\/([^/]+)$/, permission: 'read', handle: list },
    { method: 'GET', pattern: /^\/commits\/(.+)\/statuses$/, permission: 'read', handle: list },
  ];
}

function toJson(origin: string, status: Status): Record<string, unknown> {
  const { id, context, state, description, targetUrl, creator, createdAt } = status;
  return {
    id,
    status: state,
    target_url: targetUrl ?? '',
    description: description ?? '',
    context,
    creator: toUserJson(origin, creator),
    created_at: createdAt,
    updated_at: createdAt,
  };
}
