import { describe, expect, test } from 'vitest';
import { toPod, type PodEvent } from '../../src/kube/api-types.ts';
import { createPodEvents, haveContainersStarted, type PodEvents } from '../../src/kube/pod-events.ts';
import { toPodsPath } from '../../src/kube/watch.ts';
import { NEVER, type ContractFixture } from './contract-fixture.ts';
import { createRequests, run } from './requests.ts';
import { WAIT_MS } from '../time-limits.ts';

/** Tests when a new Pod can be used: Events show started containers before the Pod's status does. */
export function describeStarts(fixture: ContractFixture): void {
  const { cluster, client, namespace, podName, alone, sleeper, create, until, faults, createOther } = fixture;
  const { request, answerTo, open } = createRequests(fixture);

  describe('a new Pod', () => {
    test('has an Event for the start of each container, which later followers do not get', async () => {
      const leave = new AbortController();
      const spec = {
        ...alone(),
        initContainers: [sleeper('i', { command: ['true'] })],
        containers: [sleeper('a'), sleeper('b')],
      };
      /** Creates a Pod and waits until Events show that its containers have started. */
      async function start(name: string, events: PodEvents): Promise<void> {
        const received: PodEvent[] = [];
        await follow(events, name, received);
        const answer = await create(name, spec);
        if (answer.kind === 'refused') throw new Error(answer.message);
        const pod = toPod(answer.body);
        expect(pod).toMatchObject({ containerNames: ['a', 'b'], isReadyOnceStarted: true });
        await expect.poll(() => haveContainersStarted(pod, received)).toBe(true);
      }
      const follow = async (events: PodEvents, name: string, received: PodEvent[]): Promise<void> => {
        const pod = { namespace: namespace(), name: podName(name) };
        await events.follow(pod, { onEvent: (event) => received.push(event), signal: leave.signal });
      };
      await start('s-events', createPodEvents(client()));
      const running = await until('s-events', (state) => state?.phase === 'Running');
      expect(running?.containers.map(({ state }) => state.kind)).toEqual(['running', 'running']);
      const [later, old] = [createPodEvents(client()), [] as PodEvent[]];
      await follow(later, 's-events', old);
      await start('s-events-2', later);
      expect(old.filter(({ reason }) => reason === 'Started')).toEqual([]);
      leave.abort();
    });

    test('that cannot start has the message of an Event when its status has none', async () => {
      const volumes = [{ name: 'settings', configMap: { name: 'c3-none' } }];
      const container = sleeper('a', { volumeMounts: [{ name: 'settings', mountPath: '/settings' }] });
      const manifest = {
        metadata: { name: podName('s-mount') },
        spec: { ...alone(), volumes, containers: [container] },
      };
      const cancel = new AbortController();
      const reasons: string[] = [];
      const answer = cluster().openWorkspace(request('s-mount', { manifest }), {
        signal: cancel.signal,
        startTimeoutMs: WAIT_MS,
        onWaiting: (reason) => void reasons.push(reason),
      });
      await expect
        .poll(() => reasons.find((reason) => reason.startsWith('FailedMount: ')))
        .toMatch(/configmap "c3-none" not found/);
      cancel.abort();
      expect((await answer).kind).toBe('aborted');
    });

    test('is used before its status shows that it runs, and is not lost because of that', async (context) => {
      const { holdStatuses } = faults();
      if (!holdStatuses) return context.skip();
      const release = holdStatuses();
      const workspace = await open(request('s-early'));
      expect(workspace.isWarm).toBe(false);
      expect(await run(workspace, 'echo in')).toBe('in\n');
      const answer = await client().request({ method: 'GET', path: `${toPodsPath(namespace())}/${workspace.name}` });
      expect(toPod(answer.kind === 'ok' && answer.body).phase).toBe('Pending');
      const finding = createOther().findWorkspace(request('s-early'), { signal: NEVER });
      expect(await isOpen(finding)).toBe(true);
      release();
      const seen = await finding;
      expect(seen.kind === 'found' && (await run(seen.workspace, 'echo seen'))).toBe('seen\n');
      if (seen.kind === 'found') seen.workspace.close();
      await workspace.release({ isClean: true });
      const next = await open(request('s-early'));
      expect(next).toMatchObject({ id: workspace.id, isWarm: true });
      await fixture.remove(next.name);
      expect(await next.lost).toMatch(/ (?:is being|was) deleted$/);
      await next.release({ isClean: false });
    });

    test('whose container ends before its status shows it is lost, with a hint', async (context) => {
      const { holdStatuses } = faults();
      if (!holdStatuses) return context.skip();
      const release = holdStatuses();
      const manifest = { metadata: { name: podName('s-ends') }, spec: alone({ command: ['true'] }) };
      const workspace = await open(request('s-ends', { manifest }));
      release();
      expect(await workspace.lost).toBe(
        'container "a" ended in the middle of the build (exit code 0); it must keep running for the steps, for example with command: [sleep, infinity]',
      );
      await workspace.release({ isClean: true });
    });

    test('is used when its status shows that it runs, without Events', async (context) => {
      const { holdStatuses, refuseEvents } = faults();
      if (!holdStatuses || !refuseEvents) return context.skip();
      const [release, allow] = [holdStatuses(), refuseEvents()];
      const answer = answerTo(request('s-silent'));
      expect(await isOpen(answer)).toBe(true);
      release();
      const { answer: late } = await answer;
      expect(late.kind).toBe('ready');
      if (late.kind === 'ready') await late.workspace.release({ isClean: false });
      allow();
    });
  });
}

/** A container of the embedded cluster starts in a tenth of this time. */
const EARLY_MS = 1_000;

/** Returns whether there is no answer after a while. */
async function isOpen(answer: Promise<unknown>): Promise<boolean> {
  const early = new Promise((resolve) => setTimeout(resolve, EARLY_MS, EARLY_MS));
  return (await Promise.race([answer, early])) === EARLY_MS;
}
