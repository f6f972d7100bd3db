import { createHash } from 'node:crypto';
import type { Permission, User } from '../accounts.ts';
import type { Repository } from '../repositories.ts';

type Json = Record<string, unknown>;

/** The users whose ids were shown. GitLab names users by id where c3 knows only their login. */
const logins = new Map<number, string>();

/** Returns the id of a user, the same one for each forge. */
export function toUserId(login: string): number {
  const id = createHash('sha256').update(login).digest().readUInt32BE() + 1;
  logins.set(id, login);
  return id;
}

/** Finds the login of an id that {@link toUserId} returned. */
export function findLogin(id: number): string | undefined {
  return logins.get(id);
}

/** A user as the API shows it. */
export function toUserJson(origin: string, login: string): Json {
  return {
    id: toUserId(login),
    username: login,
    name: login,
    state: 'active',
    locked: false,
    avatar_url: null,
    web_url: `${origin}/${login}`,
  };
}

/** A user as payloads show it. */
export function toHookUser(login: string): Json {
  return { id: toUserId(login), name: login, username: login, avatar_url: null, email: '[REDACTED]' };
}

/** Reporter, Developer, Maintainer. @see https://docs.gitlab.com/api/access_requests/#valid-access-levels */
const LEVELS: Readonly<Record<Permission, number>> = { read: 20, write: 30, admin: 40 };

/** Returns the role of a user in a project; undefined for a user who is no member. */
export function toAccessLevel({ permissions }: User, { fullName }: Repository): number | undefined {
  const granted = permissions[fullName.toLowerCase()] ?? permissions['*'];
  return granted === undefined ? undefined : LEVELS[granted];
}

/** As on GitLab, the default branch is protected from the beginning: only Maintainers may push to it. */
export function isProtected({ protectedBranches, defaultBranch }: Repository, branch: string): boolean {
  return branch === defaultBranch || protectedBranches.has(branch);
}

const MAINTAINER = LEVELS.admin;

/** Returns whether a user may set the status of a commit in a ref. */
export function mayUpdate(user: User, repository: Repository, ref: string): boolean {
  const level = toAccessLevel(user, repository) ?? 0;
  return level >= (isProtected(repository, ref) ? MAINTAINER : LEVELS.write);
}
