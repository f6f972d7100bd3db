import type { Ending } from './build-state.ts';

/** The reason with which a build's signal is aborted when a newer build of its ref takes its place. */
export class Superseded extends Error {
  override readonly name = 'Superseded';

  /** @param sha of the newer commit */
  constructor(sha: string) {
    super(`superseded by ${sha.slice(0, 7)}`);
  }
}

/** @param when `during step "test"`, `before its first step` */
export function toCancelEnding(signal: AbortSignal, when: string): Ending {
  const reason: unknown = signal.reason;
  return reason instanceof Superseded
    ? { kind: 'superseded', message: `The build was ${reason.message} ${when}` }
    : { kind: 'cancelled', message: `The build was cancelled ${when}` };
}
