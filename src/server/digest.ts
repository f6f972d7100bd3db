import { createHash } from 'node:crypto';
import { formatScope, type Scope } from '../sealing/index.ts';

/** The name of a hook, as {@link HookLimits} counts it: a repository with a token. Holds neither. */
export function toHook(scope: Scope, token: string): string {
  return toDigest(formatScope(scope), token);
}

/** Tells the contents of an owner apart, without holding what they are made of. Hex. */
export function toDigest(owner: string, content: string | Uint8Array): string {
  return createHash('sha256').update(owner).update('\n').update(content).digest('hex');
}
