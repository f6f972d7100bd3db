import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createUser, type User } from '../../../dev/demo/user.ts';
import { createWorld, type World } from '../../../dev/demo/world.ts';
import {
  killApiServer,
  restartContainerd,
  restartKubelet,
  startApiServer,
} from '../../../dev/kubernetes/kubernetes.ts';
import { openPods, type Pods } from '../../e2e/pods.ts';
import { formatPipeline, type Target } from '../../e2e/target.ts';
import { isOurs, openTarget } from '../target.ts';
import { deadline } from '../../time-limits.ts';

const FAULTS: readonly [name: string, act: () => Promise<void>][] = [
  [
    'the API server is killed and comes back',
    async () => {
      await killApiServer();
      await startApiServer();
    },
  ],
  ['the kubelet restarts', () => restartKubelet()],
  ['containerd restarts', () => restartContainerd()],
];

describe.runIf(isOurs)('a step on a real Kubernetes', () => {
  let target: Target;
  let world: World;
  let pods: Pods;
  let user: User;
  let k8s: string;

  beforeAll(async () => {
    target = await openTarget();
    world = await createWorld({ forgeHost: target.forgeHost, hasLimits: false });
    pods = await openPods(target.kubeconfig);
    await world.forge.createRepository({ owner: 'acme', name: 'shop', isPrivate: true });
    user = await createUser(world, { owner: 'acme', name: 'shop' });
    const [url = '', secret = ''] = (await user.seal('hook', world.owner.token)).split('\n');
    await user.createHook(url, secret);
    k8s = await user.seal('k8s', target.kubeconfig);
  });
  afterAll(async () => {
    await world.close();
    await pods.clear();
    await pods.close();
  });

  it.each(FAULTS)('runs once to its own end while %s', async (name, act) => {
    // Ends after the fault: it waits for a file that the test creates when the cluster is back.
    const steps = `- main: |
    echo run >> /c3/ran
    i=0; while [ ! -e /c3/go ] && [ $i -lt 1000 ]; do i=$((i + 1)); sleep 0.1; done
    rm /c3/go
    test "$(cat /c3/ran)" = run
    rm /c3/ran
    echo the end
    exit 7`;
    const { sha } = await user.push({ 'c3.yaml': formatPipeline(target, k8s, steps), name }, name);
    await world.telegram.waitFor((one) => {
      const text = one.versions.at(-1)?.text ?? '';
      return text.includes(sha.slice(0, 7)) && text.startsWith('🔄 Running') && /🔄 main/.test(text);
    }, deadline());
    await act();
    const [pod = ''] = await pods.names();
    await expect
      .poll(() => pods.run(pod, 'main', ['sh', '-c', 'touch /c3/go && echo made']).catch(() => ''))
      .toBe('made\n');
    const [status, { text }] = await Promise.all([user.waitForEnd(sha), user.waitForMessage(sha)]);
    expect(status).toMatchObject({
      state: 'failure',
      description: expect.stringMatching(/^failed at main after .*: exit code 7 \(main, build [0-9a-f]{12}\)$/),
    });
    expect(text).toContain('the end');
  });
});
