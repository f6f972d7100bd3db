import { describe, expect, it } from 'vitest';
import { toPod } from '../../src/kube/api-types.ts';
import { classifyStart } from '../../src/kube/start-failure.ts';

const MIB = 1024 * 1024;

describe('A12 A cluster that answers what no cluster does', () => {
  it('has c3 search no more of the words about a Pod than their beginning', () => {
    const message = `denied ${'status '.repeat((4 * MIB) / 7)}`;
    const containerStatuses = [{ name: 'a', image: 'x', state: { waiting: { reason: 'ErrImagePull', message } } }];
    const pod = toPod({ metadata: { name: 'x' }, status: { phase: 'Pending', containerStatuses } });
    expect(JSON.stringify(pod).length).toBeLessThan(6_000);
    const verdict = classifyStart(pod, { events: [], pullMessages: {} });
    expect(verdict).toMatchObject({ kind: 'failed' });
    expect(JSON.stringify(verdict).length).toBeLessThan(1_000);
  });
});
