import { beforeAll, describe, expect, it } from 'vitest';
import type { User } from '../../dev/demo/user.ts';
import { useFixture } from '../e2e/fixture.ts';
import { openTarget } from './target.ts';

/** Containers of one Pod. Each has an image of a common kind (docs/real-cluster.md) with its peculiarity. */
const CONTAINERS: readonly [name: string, image: string, more: string][] = [
  ['dash', 'c3-test/debian', ''],
  ['bash', 'c3-test/bash', ''],
  ['busybox', 'c3-test/busybox', ''],
  ['plain', 'c3-test/plain', ''],
  ['nonroot', 'c3-test/nonroot', ''],
  ['anyone', 'c3-test/debian', ', securityContext: {runAsUser: 54321, runAsNonRoot: true}'],
  ['readonly', 'c3-test/debian', ', securityContext: {readOnlyRootFilesystem: true}'],
];
const SHELLS = [...CONTAINERS.map(([name]) => name), 'unmounted'];

/** Writes to both streams, leaves a daemon, and checks the work tree on the volume. */
const SCRIPT = `echo out of $C3_BUILD_ID; echo err >&2; sleep 1000 & test "$(pwd)" = /c3/project`;

describe('a build on a real Kubernetes', () => {
  const fixture = useFixture(openTarget);
  let user: User;
  let k8s: string;
  beforeAll(async () => {
    ({ user, k8s } = await fixture.setUp());
  });

  function format(steps: string): string {
    const mounts = 'volumeMounts: [{name: c3, mountPath: /c3}]';
    const sleeper = (name: string, image: string, more: string): string =>
      `    - {name: ${name}, image: ${image}, command: [sleep, '100000']${more}}\n`;
    return `k8s: ${k8s}
job:
  apiVersion: v1
  kind: Pod
  metadata: {name: images}
  spec:
    terminationGracePeriodSeconds: 1
    volumes: [{name: c3, emptyDir: {}}]
    containers:
${sleeper('git', 'alpine/git', `, ${mounts}`)}${CONTAINERS.map(([name, image, more]) => sleeper(name, image, `, ${mounts}${more}`)).join('')}${sleeper('unmounted', 'c3-test/debian', '')}    - {name: static, image: c3-test/static, ${mounts}}
steps:
${steps}
`;
  }

  it('runs in dash, bash and busybox, without setsid, as any user, with a read-only root, without the volume', async () => {
    const steps = SHELLS.map((name) => `- ${name}: ${SCRIPT}`).join('\n');
    const { status, text } = await fixture.push(user, { 'c3.yaml': format(steps) });
    expect(`${status.state}: ${text}`).toMatch(/^success/);
    for (const name of SHELLS) expect(text).toMatch(new RegExp(`✅ ${name}`));
    // All processes were ended: the Pod serves the next build.
    const again = await fixture.push(user, { 'c3.yaml': format(steps) });
    expect(`${again.status.state}: ${again.text}`).toMatch(/^success/);
    expect(again.text).toContain('warm');
  });

  it.each(SHELLS)('reports the exit code and the last output of a step in %s', async (name) => {
    const { status, text } = await fixture.push(user, { 'c3.yaml': format(`- ${name}: echo the end; exit 7`) });
    expect(status).toMatchObject({
      state: 'failure',
      description: expect.stringMatching(new RegExp(`^failed at ${name} after .*: exit code 7`)),
    });
    expect(text).toContain('the end');
  });

  it('runs a list command without a shell, and reports its output and its exit code', async () => {
    const passed = await fixture.push(user, { 'c3.yaml': format('- static: [/busybox, "true"]') });
    expect(passed).toMatchObject({ status: { state: 'success' } });
    const source = format('- static: [/busybox, cat, /etc/hostname, /nothing]');
    const failed = await fixture.push(user, { 'c3.yaml': source });
    expect(failed.status).toMatchObject({
      state: 'failure',
      description: expect.stringMatching(/^failed at static after .*: exit code 1/),
    });
    expect(failed.text).toContain('/nothing');
  });

  it('refuses a script in an image without a shell, with a hint', async () => {
    const { status, text } = await fixture.push(user, { 'c3.yaml': format('- static: echo never') });
    expect(status.state).not.toBe('success');
    expect(text).toMatch(/container "static" has no .*shell.*list/s);
  });
});
