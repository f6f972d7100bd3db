import { findOutcome, toComparedCommit } from '../build/index.ts';
import type { BuildProgress } from './build-progress.ts';
import type { BuildRequest } from './build-request.ts';

/** A forge that needs longer must not hold up the last report of a build. */
const MAX_COMPARE_MS = 5_000;

/**
 * Asks the forge how the build before this one ended, and tells the progress when it knows. Resolves when it does or it is too late
 * to; that the forge does not say is nobody's failure. Nothing waits for it but the end.
 */
export async function compareWithPrevious({ build, repository }: BuildRequest, progress: BuildProgress): Promise<void> {
  const sha = toComparedCommit(build);
  if (sha === undefined) return;
  const tooLate = AbortSignal.timeout(MAX_COMPARE_MS);
  const late = new Promise<undefined>((resolve) => {
    tooLate.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const asked = findOutcome(repository.listStatuses(sha, tooLate)).catch(() => undefined);
  const outcome = await Promise.race([asked, late]);
  if (outcome !== undefined) progress.compare(outcome);
}
