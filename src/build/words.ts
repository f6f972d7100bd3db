import type { Ending } from './build-state.ts';

/** The one word for each ending. Commit status, Telegram, page and terminal use it; the commit status is also read back by it. */
export const ENDING_WORDS: Readonly<Record<Ending['kind'], string>> = {
  passed: 'passed',
  skipped: 'skipped',
  failed: 'failed',
  'timed-out': 'timed out',
  cancelled: 'cancelled',
  superseded: 'superseded',
  'config-error': 'config error',
  refused: 'refused',
  'infrastructure-error': 'infrastructure error',
};
