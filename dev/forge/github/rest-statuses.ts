import { resolveCommit } from '../git.ts';
import type { Repository } from '../repositories.ts';
import { field, type ApiState, type Route, type RouteAnswer, type RouteCall, type Status } from '../route.ts';
import { refuse, refuseInvalid, toList, type Problem } from './answers.ts';
import { toApiUrl, toRepositoryJson, toTime, toUserJson, type Json } from './repository-json.ts';

const STATES: readonly unknown[] = ['error', 'failure', 'pending', 'success'];
const MAX_DESCRIPTION_LENGTH = 140;
/** GitHub's limit for one commit and one context. */
const MAX_STATUSES = 1000;

/** @see https://docs.github.com/en/rest/commits/statuses */
export function createStatusRoutes(state: Pick<ApiState, 'origin' | 'statuses' | 'onChange'>): Route[] {
  const { origin } = state;
  const find = async ({ repository, captures: [ref = ''] }: RouteCall): Promise<Status[] | undefined> => {
    const sha = await resolveCommit(repository.path, ref);
    const isOfCommit = (status: Status): boolean => status.repository === repository.fullName && status.sha === sha;
    // Newest first, as GitHub has them.
    return sha === undefined ? undefined : state.statuses.filter(isOfCommit).toReversed();
  };
  return [
    {
      method: 'POST',
      pattern: /^\/statuses\/([^/]+)$/,
      permission: 'write',
      async handle(call) {
        const [sha = ''] = call.captures;
        const problem = toProblem(call.body);
        if (problem !== undefined) {
          return refuseInvalid(problem);
        }
        if (!/^[0-9a-f]{40}$/.test(sha) || (await resolveCommit(call.repository.path, sha)) === undefined) {
          return refuse(422, `No commit found for SHA: ${sha}`);
        }
        const status = toStatus(call, state.statuses.length + 1);
        const isSame = (other: Status): boolean =>
          other.repository === status.repository && other.sha === sha && other.context === status.context;
        if (state.statuses.filter(isSame).length >= MAX_STATUSES) {
          const message = 'This SHA and context has reached the maximum number of statuses.';
          return refuseInvalid({ resource: 'Status', code: 'custom', message });
        }
        state.statuses.push(status);
        state.onChange();
        return { status: 201, body: toJson(origin, call.repository, status) };
      },
    },
    {
      method: 'GET',
      pattern: /^\/commits\/(.+)\/statuses$/,
      permission: 'read',
      async handle(call) {
        const statuses = await find(call);
        return statuses === undefined
          ? refuse(404, 'Not Found')
          : await toList(statuses, call, (status) => toJson(origin, call.repository, status));
      },
    },
    {
      method: 'GET',
      pattern: /^\/commits\/(.+)\/status$/,
      permission: 'read',
      handle: async (call) => toCombined(origin, call, await find(call)),
    },
  ];
}

/** Returns the newest status of each context, and the combined state. */
async function toCombined(
  origin: string,
  call: RouteCall,
  statuses: readonly Status[] | undefined,
): Promise<RouteAnswer> {
  if (statuses === undefined) {
    return refuse(404, 'Not Found');
  }
  const {
    repository,
    captures: [ref = ''],
  } = call;
  const newest = [...new Map(statuses.toReversed().map((status) => [status.context, status])).values()];
  const isBad = newest.some(({ state }) => state === 'failure' || state === 'error');
  const isGood = newest.length > 0 && newest.every(({ state }) => state === 'success');
  const state = isBad ? 'failure' : isGood ? 'success' : 'pending';
  const sha = statuses[0]?.sha ?? (await resolveCommit(repository.path, ref)) ?? '';
  const commit_url = `${toApiUrl(origin, repository)}/commits/${sha}`;
  const list = await toList(newest, call, (status) => {
    const { creator: _, ...shown } = toJson(origin, repository, status);
    return shown;
  });
  const shared = { state, sha, total_count: newest.length, statuses: list.body };
  const body = { ...shared, repository: toRepositoryJson(origin, repository), commit_url, url: `${commit_url}/status` };
  return { ...list, body };
}

function toProblem(body: unknown): Problem | undefined {
  const texts = ['context', 'description', 'target_url'].filter(
    (name) => !['string', 'undefined'].includes(typeof (field(body, name) ?? undefined)),
  );
  if (texts[0] !== undefined) {
    return invalid(texts[0], `${texts[0]} is not a string`);
  }
  if (!STATES.includes(field(body, 'state'))) {
    return invalid('state', 'state is not included in the list');
  }
  const description = field(body, 'description');
  if (typeof description === 'string' && description.length > MAX_DESCRIPTION_LENGTH) {
    return invalid('description', `description is too long (maximum is ${MAX_DESCRIPTION_LENGTH} characters)`);
  }
  if (typeof description === 'string' && /[\u{10000}-\u{10FFFF}]/u.test(description)) {
    return invalid('description', 'description contains unicode characters above 0xffff');
  }
  const targetUrl = field(body, 'target_url');
  if (typeof targetUrl === 'string' && !/^https?:\/\//.test(targetUrl)) {
    return invalid('target_url', 'target_url must use http(s) scheme');
  }
  return undefined;
}

function invalid(name: string, message: string): Problem {
  return { resource: 'Status', code: 'custom', field: name, message };
}

function toStatus(call: RouteCall, id: number): Status {
  const text = (name: string): string | null => (field(call.body, name) ?? null) as string | null;
  return {
    id,
    repository: call.repository.fullName,
    sha: call.captures[0] ?? '',
    context: text('context') ?? 'default',
    state: field(call.body, 'state') as Status['state'],
    description: text('description'),
    targetUrl: text('target_url'),
    creator: call.user.login,
    createdAt: new Date().toISOString(),
  };
}

function toJson(origin: string, repository: Repository, status: Status): Json {
  const { id, context, state, description, targetUrl, creator, createdAt } = status;
  const time = toTime(Date.parse(createdAt));
  const user = toUserJson(origin, creator);
  return {
    url: `${toApiUrl(origin, repository)}/statuses/${status.sha}`,
    avatar_url: user['avatar_url'],
    id,
    node_id: `SC_${id}`,
    state,
    description,
    target_url: targetUrl,
    context,
    created_at: time,
    updated_at: time,
    creator: user,
  };
}
