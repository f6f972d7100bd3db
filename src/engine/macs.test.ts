import { expect, it } from 'vitest';
import { createMacs } from './macs.ts';

const OPTIONS = { key: 'kubeconfig', buildId: 'b', workspaceId: 'uid' };
const CHANGES = [{ key: 'other' }, { buildId: 'c' }, { workspaceId: 'other' }];

it('a proof is for one step, one build, one Pod and one kubeconfig, and every c3 makes the same', () => {
  const { ofStep } = createMacs(OPTIONS);
  expect(ofStep('s1')).toMatch(/^[0-9a-f]{32}$/);
  expect(createMacs({ ...OPTIONS }).ofStep('s1')).toBe(ofStep('s1'));
  const others = CHANGES.map((change) => createMacs({ ...OPTIONS, ...change }).ofStep('s1'));
  expect(new Set([ofStep('s1'), ofStep('s2'), ...others]).size).toBe(5);
});

it('the MAC of the first agent is for one Pod and one kubeconfig, and the same for all builds', () => {
  const { ofFirst, ofStep, ofEntry } = createMacs(OPTIONS);
  const [key, buildId, workspaceId] = CHANGES.map((change) => createMacs({ ...OPTIONS, ...change }).ofFirst('7'));
  expect(buildId).toBe(ofFirst('7'));
  expect(new Set([ofFirst('7'), ofFirst('8'), key, workspaceId, ofStep('7'), ofEntry('7')]).size).toBe(6);
});
