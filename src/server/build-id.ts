import { createHash } from 'node:crypto';
import { formatScope, type Scope } from '../sealing/index.ts';

/** Returns the name of a hook for `HookLimits`. It contains neither the repository nor the token. */
export function toHookId(scope: Scope, token: string): string {
  return digest(formatScope(scope), token);
}

/** 48 bits. People can read them, and no two deliveries of a commit have the same. */
const ID_LENGTH = 12;

/**
 * Returns the id of a build. The same content has the same id for ever, so that the forge's statuses reveal a replay
 * (A4). A delivery's own id is not signed. Another hook gets another id, so that nobody can occupy it in advance.
 */
export function toBuildId(hook: string, content: string | Uint8Array): string {
  return digest(hook, content).slice(0, ID_LENGTH);
}

function digest(owner: string, content: string | Uint8Array): string {
  return createHash('sha256').update(owner).update('\n').update(content).digest('hex');
}
