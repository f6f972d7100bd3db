import type { InlineKeyboardMarkup } from '@grammyjs/types';
import type { BuildState, Ending } from '../../../engine/build-state.ts';

/**
 * Links to the build's page, where whoever follows them is asked before anything is done: `Log` always, `Cancel` while it runs,
 * `Re-run` when it may be wanted. No callbacks: a bot has one receiver of those, and c3 has any number of replicas.
 */
export function toButtons({ links, phase }: BuildState): InlineKeyboardMarkup | undefined {
  if (links === undefined) return undefined;
  const log = { text: 'Log', url: links.look };
  if (phase.kind !== 'ended') {
    return { inline_keyboard: [[log, { text: 'Cancel', url: links.control, style: 'danger' }]] };
  }
  const rerun = { text: 'Re-run', url: links.control };
  return { inline_keyboard: [isRerunWanted(phase.ending) ? [log, rerun] : [log]] };
}

function isRerunWanted(ending: Ending): boolean {
  switch (ending.kind) {
    // Of what passed, or has a newer build, the page itself offers it.
    case 'passed':
      return ending.allowed.length > 0;
    case 'superseded':
    case 'skipped':
    case 'refused':
      return false;
    case 'failed':
    case 'timed-out':
    case 'cancelled':
    case 'config-error':
    case 'infrastructure-error':
      return true;
  }
}
