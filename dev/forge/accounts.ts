export type Permission = 'read' | 'write' | 'admin';

/** A user with a token. */
export interface User {
  readonly login: string;
  readonly token: string;
  /**
   * The permission for each repository, by lower-case `owner/name`; `*` is the default. Everybody may read public
   * ones.
   */
  readonly permissions: Readonly<Record<string, Permission>>;
  /** GitHub's name of the role that grants them: `maintain`, `triage` or any other. Default: the permission. */
  readonly roleName?: string;
}

export interface Accounts {
  /** Adds a user, or replaces the one with the same token. */
  setUser(user: User): void;
  /** `undefined` removes the permission. */
  setPermission(token: string, fullName: string, permission: Permission | undefined): void;
  /** Keeps the permissions of all users for a repository that was renamed. */
  renameTarget(before: string, after: string): void;
  /** Finds a user by login. Ignores case, as all forges do. */
  find(login: string): User | undefined;
  /** Revokes a token: the forge answers it with 401. */
  revokeToken(token: string): void;
  /**
   * Returns the user of an `Authorization` header: Bearer, `token`, or Basic with the token as the password.
   * `invalid`: the header has an unknown token.
   */
  authenticate(header: string | undefined): User | 'anonymous' | 'invalid';
}

export interface Target {
  readonly fullName: string;
  readonly isPrivate: boolean;
}

const RANKS: Readonly<Record<Permission, number>> = { read: 1, write: 2, admin: 3 };

export function createAccounts(users: readonly User[]): Accounts {
  const byToken = new Map(users.map((user) => [user.token, user]));
  return {
    setUser(user) {
      byToken.set(user.token, user);
    },
    setPermission(token, fullName, permission) {
      const user = byToken.get(token);
      if (user === undefined) {
        throw new Error(`cannot set the permission for ${fullName}: no user has this token`);
      }
      const { [fullName.toLowerCase()]: _, ...others } = user.permissions;
      const changed = permission === undefined ? others : { ...others, [fullName.toLowerCase()]: permission };
      byToken.set(token, { ...user, permissions: changed });
    },
    renameTarget(before, after) {
      for (const [token, user] of byToken) {
        const { [before.toLowerCase()]: granted, ...others } = user.permissions;
        const permissions = granted === undefined ? others : { ...others, [after.toLowerCase()]: granted };
        byToken.set(token, { ...user, permissions });
      }
    },
    find: (login) => [...byToken.values()].find((user) => user.login.toLowerCase() === login.toLowerCase()),
    revokeToken(token) {
      byToken.delete(token);
    },
    authenticate(header) {
      if (header === undefined) {
        return 'anonymous';
      }
      return byToken.get(toToken(header)) ?? 'invalid';
    },
  };
}

function toToken(header: string): string {
  const [, scheme = '', value = ''] = /^(\S+) +(\S+)$/.exec(header) ?? [];
  if (scheme.toLowerCase() !== 'basic') {
    return /^(?:bearer|token)$/i.test(scheme) ? value : '';
  }
  const credentials = Buffer.from(value, 'base64').toString('utf8');
  return credentials.slice(credentials.indexOf(':') + 1);
}

/** Returns whether the user has at least this permission in the repository. */
export function hasPermission(user: User | 'anonymous', target: Target, needed: Permission): boolean {
  const granted =
    user === 'anonymous' ? undefined : (user.permissions[target.fullName.toLowerCase()] ?? user.permissions['*']);
  const rank = Math.max(granted === undefined ? 0 : RANKS[granted], target.isPrivate ? 0 : RANKS.read);
  return rank >= RANKS[needed];
}
