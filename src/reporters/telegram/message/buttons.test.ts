import { expect, test } from 'vitest';
import { createState, LINKS } from '../../../../dev/telegram/build-states.ts';
import type { BuildPhase } from '../../../engine/build-state.ts';
import { toButtons } from './buttons.ts';

test.each([
  [{ kind: 'queued' }, ['Log', 'Cancel']],
  [{ kind: 'preparing', detail: 'pulling' }, ['Log', 'Cancel']],
  [{ kind: 'running' }, ['Log', 'Cancel']],
  [{ kind: 'ended', ending: { kind: 'passed', allowed: [] } }, ['Log']],
  [{ kind: 'ended', ending: { kind: 'passed', allowed: ['lint'] } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'failed', step: 'a', message: 'm' } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'timed-out', message: 'm' } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'cancelled', message: 'm' } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'config-error', message: 'm' } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'infrastructure-error', message: 'm' } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'superseded', message: 'm' } }, ['Log']],
  [{ kind: 'ended', ending: { kind: 'refused', message: 'm' } }, ['Log']],
  [{ kind: 'ended', ending: { kind: 'skipped', message: 'm' } }, ['Log']],
] satisfies [BuildPhase, string[]][])('the buttons of %j are %j', (phase, labels) => {
  const [row = []] = toButtons(createState(phase, { links: LINKS }))?.inline_keyboard ?? [];
  expect(row.map(({ text }) => text)).toEqual(labels);
  const [log, ...controls] = row.map((button) => ('url' in button ? button.url : undefined));
  expect([log, ...new Set(controls)]).toEqual(controls.length === 0 ? [LINKS.look] : [LINKS.look, LINKS.control]);
});

test('a build without links has no buttons', () => {
  expect(toButtons(createState({ kind: 'running' }))).toBeUndefined();
});
