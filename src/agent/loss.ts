import { setTimeout as sleep } from 'node:timers/promises';
import type { Workspace } from '../engine/cluster.ts';

/**
 * A node reports the end of a container 0.5 to 2 s after nobody can connect to it any more, and later when the node is busy.
 */
const LOSS_MS = 10_000;

/** Waits for the cluster's message about the loss of a workspace. Resolves with undefined when none comes within ten seconds. */
export async function awaitLoss({ lost }: Pick<Workspace, 'lost'>): Promise<string | undefined> {
  const told = new AbortController();
  const late = sleep(LOSS_MS, undefined, { signal: told.signal, ref: false }).catch(() => undefined);
  const message = await Promise.race([lost, late]);
  told.abort();
  return message;
}
