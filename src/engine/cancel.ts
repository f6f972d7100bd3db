import type { Ending } from '../build/index.ts';

/** The reason with which a build's signal is aborted when a newer build of its ref takes its place. */
export class Superseded extends Error {
  override readonly name = 'Superseded';

  /** @param sha of the newer commit */
  constructor(sha: string) {
    super(`superseded by ${sha.slice(0, 7)}`);
  }
}

/** The reason with which a build's signal is aborted when somebody wants it to end. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';

  /** @param by "somebody with the control link" */
  constructor(by: string) {
    super(`cancelled by ${by}`);
  }
}

/** @param when `during step "test"`, `before its first step` */
export function toCancelEnding(signal: AbortSignal, when: string): Ending {
  const reason: unknown = signal.reason;
  if (reason instanceof Superseded) return { kind: 'superseded', message: `The build was ${reason.message} ${when}` };
  const words = reason instanceof Cancelled ? reason.message : 'cancelled';
  return { kind: 'cancelled', message: `The build was ${words} ${when}` };
}
