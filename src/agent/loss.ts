import { setTimeout as sleep } from 'node:timers/promises';
import type { Workspace } from '../engine/cluster.ts';

/**
 * A node tells the cluster how a container ended half a second to two seconds after nobody can connect to it any more, and later
 * when it is busy.
 */
const LOSS_WORDS_MS = 10_000;

/** The cluster's words for the loss of a workspace; undefined when it has none within ten seconds. */
export async function hearLoss({ lost }: Pick<Workspace, 'lost'>): Promise<string | undefined> {
  const heard = new AbortController();
  const late = sleep(LOSS_WORDS_MS, undefined, { signal: heard.signal, ref: false }).catch(() => undefined);
  const words = await Promise.race([lost, late]);
  heard.abort();
  return words;
}
