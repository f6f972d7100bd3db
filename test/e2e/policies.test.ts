import { describe, expect, it } from 'vitest';
import { startC3, type C3Process } from '../../dev/demo/c3-process.ts';
import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { useFixture } from './fixture.ts';
import { formatPipeline } from './target.ts';

describe('a policy of the operator', () => {
  const fixture = useFixture(openSharedTarget);

  async function withC3(settings: Record<string, string>, act: (c3: C3Process) => Promise<void>): Promise<void> {
    const c3 = await startC3({ ...fixture.world.settings, ...settings });
    try {
      await act(c3);
    } finally {
      await c3.stop();
    }
  }

  it('refuses a cluster in a network that is not allowed', async () => {
    await withC3({ C3_ALLOW_NETS: '10.0.0.0/8' }, async (c3) => {
      const { user, k8s } = await fixture.setUp({ c3 });
      await fixture.expectNoPod(async () => {
        const source = formatPipeline(fixture.target, k8s, '- main: echo');
        const { status, text } = await fixture.push(user, { 'c3.yaml': source });
        expect(status).toMatchObject({ state: 'error', description: expect.stringMatching(/^config error/) });
        expect(text).toContain('its server has the loopback address 127.0.0.1, to which c3 does not connect');
        expect(text).toContain('C3_ALLOW_NETS');
      });
    });
  });

  it('refuses a cluster whose name resolves to a network that is not allowed', async () => {
    await withC3({ C3_ALLOW_NETS: '10.0.0.0/8' }, async (c3) => {
      const { user } = await fixture.setUp({ c3 });
      const k8s = await user.seal('k8s', fixture.target.kubeconfig.replace('//127.0.0.1:', '//localhost:'));
      await fixture.expectNoPod(async () => {
        const source = formatPipeline(fixture.target, k8s, '- main: echo');
        const { status, text } = await fixture.push(user, { 'c3.yaml': source });
        expect(status).toMatchObject({ state: 'error', description: expect.stringMatching(/^infrastructure error/) });
        expect(text).toMatch(/localhost has the loopback address \S+, to which c3 does not connect/);
      });
    });
  });

  it('refuses a forbidden job with its field and rule, and runs an allowed one', async () => {
    await withC3({ C3_POD_POLICY: 'baseline' }, async (c3) => {
      const { user, k8s } = await fixture.setUp({ c3 });
      const allowed = formatPipeline(fixture.target, k8s, '- main: echo');
      const forbidden = allowed.replace('restartPolicy: Never', 'restartPolicy: Never\n    hostPID: true');
      await fixture.expectNoPod(async () => {
        const { status, text } = await fixture.push(user, { 'c3.yaml': forbidden });
        expect(status).toMatchObject({ state: 'error', description: expect.stringMatching(/^config error/) });
        expect(text).toContain('job.spec.hostPID is true, but may only be false (baseline: Host Namespaces)');
      });
      const { status } = await fixture.push(user, { 'c3.yaml': allowed });
      expect(status).toMatchObject({ state: 'success' });
    });
  });

  it('masks the token of the kubeconfig in the output of a step', async () => {
    const { user, k8s } = await fixture.setUp();
    const token = /token: "?([\w.-]+)/.exec(fixture.target.kubeconfig)?.[1] ?? '';
    expect(token.length).toBeGreaterThan(8);
    const steps = `- main: 'echo "it is ${token}, $(printf ${token} | base64)"; exit 3'`;
    const { text } = await fixture.push(user, { 'c3.yaml': formatPipeline(fixture.target, k8s, steps) });
    expect(text).toContain('it is ***, ***');
    expect(text).not.toContain(token);
  });
});
