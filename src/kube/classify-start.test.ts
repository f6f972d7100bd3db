import { describe, expect, test } from 'vitest';
import { toPod, type PodEvent } from './api-types.ts';
import { classifyStart, findSidecarEnd, rememberPulls, type StartHistory } from './pod-health.ts';

const NOTHING: StartHistory = { events: [], pullMessages: new Map() };
const SCHEDULED = { type: 'PodScheduled', status: 'True' };

/** Creates a Pod with one container "main" of image busybox:1 in the given state, as a kubelet reports it. */
function pod(state: object, changes: { phase?: string; status?: object; metadata?: object; container?: object } = {}) {
  return toPod({
    metadata: { name: 'shop-1', uid: 'u', ...changes.metadata },
    spec: { containers: [{ name: 'main' }] },
    status: {
      phase: changes.phase ?? 'Pending',
      conditions: [SCHEDULED],
      containerStatuses: [
        { name: 'main', image: 'busybox:1', restartCount: 0, ready: false, state, ...changes.container },
      ],
      ...changes.status,
    },
  });
}

function waiting(reason: string, message = ''): object {
  return { waiting: { reason, message } };
}

function event(reason: string, message: string): PodEvent {
  return { reason, message, podName: 'shop-1', podUid: 'u', fieldPath: '' };
}

function terminated(exitCode: number, reason: string, message = ''): object {
  return { terminated: { exitCode, reason, message } };
}

describe('a Pod that is ready', () => {
  test('has all its containers running and ready', () => {
    const running = pod({ running: {} }, { phase: 'Running', container: { ready: true } });
    expect(classifyStart(running, NOTHING)).toEqual({ kind: 'ready' });
  });

  test('has passed its readiness probe', () => {
    expect(classifyStart(pod({ running: {} }, { phase: 'Running' }), NOTHING)).toEqual({
      kind: 'starting',
      reason: 'container "main" is running but not ready',
    });
  });

  test('has a status for each container', () => {
    const partial = toPod({
      spec: { containers: [{ name: 'main' }, { name: 'git' }] },
      status: { phase: 'Running', containerStatuses: [{ name: 'main', ready: true, state: { running: {} } }] },
    });
    expect(classifyStart(partial, NOTHING).kind).toBe('starting');
  });
});

test('a volume that is an image is named when its image cannot be pulled', () => {
  const image = 'registry.example/c3-test/nothing:1';
  const words = `failed to pull and unpack image "${image}": ${image}: not found`;
  const main = { name: 'main', image: 'busybox:1', ready: false, state: waiting('ErrImagePull', words) };
  const broken = toPod({
    metadata: { name: 'shop-1' },
    spec: { containers: [{ name: 'main' }], volumes: [{ name: 'tools', image: { reference: image } }] },
    status: { phase: 'Pending', containerStatuses: [main] },
  });
  expect(classifyStart(broken, NOTHING)).toEqual({
    kind: 'failed',
    message: `volume "tools" cannot pull image "${image}": ${words}`,
  });
});

describe('a sidecar', () => {
  function withSidecar(status: object, init: object = {}): ReturnType<typeof toPod> {
    const main = { name: 'main', image: 'busybox:1', ready: true, state: { running: {} } };
    return toPod({
      metadata: { name: 'shop-1' },
      spec: { containers: [{ name: 'main' }], initContainers: [{ name: 'db', restartPolicy: 'Always', ...init }] },
      status: {
        phase: 'Running',
        initContainerStatuses: [{ name: 'db', image: 'db:1', restartCount: 0, ready: true, ...status }],
        containerStatuses: [main],
      },
    });
  }

  test.each([
    ['runs', { state: { running: {} } }, { kind: 'ready' }],
    [
      'is not ready',
      { state: { running: {} }, ready: false },
      { kind: 'starting', reason: 'sidecar "db" is running but not ready' },
    ],
    [
      'ended during the start',
      { state: terminated(1, 'Error') },
      { kind: 'starting', reason: 'sidecar "db" exited with code 1 before the first step' },
    ],
    [
      'waits for its restart',
      { state: waiting('CrashLoopBackOff'), lastState: terminated(1, 'Error'), restartCount: 2 },
      { kind: 'starting', reason: 'sidecar "db" exited with code 1 before the first step' },
    ],
    [
      'was restarted too often',
      { state: waiting('CrashLoopBackOff'), lastState: terminated(1, 'Error'), restartCount: 5 },
      { kind: 'failed', message: 'sidecar "db" exited with code 1 before the first step' },
    ],
  ])('that %s', (_, status, expected) => {
    expect(classifyStart(withSidecar(status), NOTHING)).toEqual(expected);
  });

  test.each([{ readinessProbe: {} }, { startupProbe: {} }, { lifecycle: { postStart: {} } }])(
    'with %j is waited for',
    (probe) => {
      expect(withSidecar({ state: { running: {} } }).isReadyOnceStarted).toBe(true);
      expect(withSidecar({ state: { running: {} } }, probe).isReadyOnceStarted).toBe(false);
    },
  );

  test('that ends during a build is named, once it has restarted too', () => {
    const before = withSidecar({ state: { running: {} } });
    expect(findSidecarEnd(before, before)).toBeUndefined();
    const sentence = 'sidecar "db" ended during the build (exit code 137, out of memory), which may be why';
    const killed = terminated(137, 'OOMKilled');
    expect(findSidecarEnd(withSidecar({ state: killed }), before)).toBe(sentence);
    const again = withSidecar({ state: { running: {} }, lastState: killed, restartCount: 1 });
    expect(findSidecarEnd(again, before)).toBe(sentence);
    expect(findSidecarEnd(again, again)).toBeUndefined();
  });
});

describe('a Pod that fails at once', () => {
  const notFound =
    'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/busybox:1": failed to resolve reference "docker.io/library/busybox:1": docker.io/library/busybox:1: not found';
  test.each<[string, object]>([
    [`container "main" cannot pull image "busybox:1": ${notFound}`, waiting('ErrImagePull', notFound)],
    ['container "main" cannot pull image "busybox:1": manifest unknown', waiting('ErrImagePull', 'manifest unknown')],
    [
      'container "main" cannot pull image "busybox:1": pull access denied, repository does not exist or may require authorization',
      waiting('ErrImagePull', 'pull access denied, repository does not exist or may require authorization'),
    ],
    [
      'container "main" (image "busybox:1") cannot start: ErrImageNeverPull: Container image "busybox:1" is not present with pull policy of Never',
      waiting('ErrImageNeverPull', 'Container image "busybox:1" is not present with pull policy of Never'),
    ],
    [
      'container "main" (image "busybox:1") cannot start: InvalidImageName: invalid reference format',
      waiting('InvalidImageName', 'invalid reference format'),
    ],
    [
      'container "main" (image "busybox:1") cannot start: CreateContainerConfigError: secret "db" not found',
      waiting('CreateContainerConfigError', 'secret "db" not found'),
    ],
    [
      'container "main" (image "busybox:1") cannot start: CreateContainerError: failed to create containerd container: no command specified',
      waiting('CreateContainerError', 'failed to create containerd container: no command specified'),
    ],
    [
      'container "main" (image "busybox:1") cannot start: RunContainerError: container init was OOM-killed (memory limit too low?)',
      waiting('RunContainerError', 'container init was OOM-killed (memory limit too low?)'),
    ],
    [
      'container "main" exited with code 1 before the first step; it must keep running for the steps, for example with command: [sleep, infinity]',
      terminated(1, 'Error'),
    ],
    [
      'container "main" exited with code 128 before the first step (StartError: exec: "nope": not found); it must keep running for the steps, for example with command: [sleep, infinity]',
      terminated(128, 'StartError', 'exec: "nope": not found'),
    ],
  ])('%s', (message, state) => {
    expect(classifyStart(pod(state), NOTHING)).toEqual({ kind: 'failed', message });
  });

  test('describes a crash loop by the last exit', () => {
    const crashing = pod(waiting('CrashLoopBackOff', 'back-off 10s restarting failed container'), {
      phase: 'Running',
      container: { lastState: terminated(2, 'OOMKilled'), restartCount: 2 },
    });
    expect(classifyStart(crashing, NOTHING)).toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(
        /^container "main" exited with code 2 before the first step \(OOMKilled\)/,
      ) as string,
    });
  });

  test('describes a failed init container', () => {
    const failing = pod(waiting('PodInitializing'), {
      status: {
        initContainerStatuses: [{ name: 'seed', image: 'a', state: terminated(7, 'Error') }],
        containerStatuses: [{ name: 'main', image: 'b', state: waiting('PodInitializing') }],
      },
    });
    expect(classifyStart(failing, NOTHING)).toEqual({
      kind: 'failed',
      message: 'init container "seed" exited with code 7 before the first step',
    });
  });

  test('describes an eviction, an age limit and a deletion', () => {
    const evicted = toPod({
      metadata: { name: 'shop-1' },
      status: { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' },
    });
    expect(classifyStart(evicted, NOTHING)).toEqual({
      kind: 'failed',
      message: 'Pod shop-1 ended before the first step: Evicted: The node was low on resource: memory.',
      isLost: true,
    });
    const deleted = pod({ running: {} }, { metadata: { deletionTimestamp: '2026-11-22T12:00:00Z' } });
    expect(classifyStart(deleted, NOTHING)).toEqual({
      kind: 'failed',
      message: 'Pod shop-1 was deleted while it was starting',
      isLost: true,
    });
  });

  test('may start in another Pod if its node was too busy to start the program', () => {
    const busy = 'failed to create containerd task: failed to create shim task: context deadline exceeded: unknown';
    const failed = pod(terminated(128, 'StartError', busy), { phase: 'Failed' });
    expect(classifyStart(failed, NOTHING)).toMatchObject({ kind: 'failed', isLost: true });
    const ended = pod(terminated(1, 'Error', busy), { phase: 'Failed' });
    expect(classifyStart(ended, NOTHING)).not.toHaveProperty('isLost');
  });

  test('keeps the message of a failed pull while the node backs off', () => {
    const first = pod(waiting('ErrImagePull', 'unauthorized: authentication required'));
    const pullMessages = rememberPulls(first, new Map());
    const second = pod(waiting('ImagePullBackOff', 'Back-off pulling image "busybox:1"'));
    expect(rememberPulls(second, pullMessages)).toEqual(pullMessages);
    expect(classifyStart(second, { events: [], pullMessages })).toEqual({
      kind: 'failed',
      message: 'container "main" cannot pull image "busybox:1": unauthorized: authentication required',
    });
  });

  test('uses an Event that describes a failed pull', () => {
    const events = [
      event('Failed', 'Failed to pull image "busybox:1": manifest unknown'),
      event('BackOff', 'Back-off'),
    ];
    const backing = pod(waiting('ImagePullBackOff', 'Back-off pulling image "busybox:1"'));
    expect(classifyStart(backing, { events, pullMessages: new Map() })).toMatchObject({ kind: 'failed' });
  });
});

describe('a Pod is still starting, with the reason', () => {
  test.each<[string, object]>([
    [
      'container "main" cannot pull image "busybox:1": toomanyrequests: denied, you have reached your pull rate limit',
      waiting('ErrImagePull', 'toomanyrequests: denied, you have reached your pull rate limit'),
    ],
    [
      'container "main" cannot pull image "busybox:1": unexpected status code [manifests 1]: 503 Service Unavailable',
      waiting('ErrImagePull', 'unexpected status code [manifests 1]: 503 Service Unavailable'),
    ],
    [
      'container "main" cannot pull image "busybox:1": dial tcp 10.0.0.1:443: i/o timeout',
      waiting('ErrImagePull', 'dial tcp 10.0.0.1:443: i/o timeout'),
    ],
    [
      'container "main" (image "busybox:1") cannot start: CreateContainerConfigError: failed to sync secret cache: timed out waiting for the condition',
      waiting('CreateContainerConfigError', 'failed to sync secret cache: timed out waiting for the condition'),
    ],
    ...[
      'context deadline exceeded',
      'rpc error: code = DeadlineExceeded desc = context deadline exceeded',
      'failed to reserve container name "main_shop-1_c3_u_0": name "main_shop-1_c3_u_0" is reserved for "4f3a"',
      'kubelet may be retrying requests that are timing out in CRI-O due to system load. Currently at stage container creating: error reserving ctr name k8s_main_shop-1_c3_u_0 for id 4f3a: name is reserved',
      'Conflict. The container name "/k8s_main_shop-1_c3_u_0" is already in use by container "4f3a"',
      'services have not yet been read at least once, cannot construct envvars',
      'connection error: desc = "transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: connection refused"',
      'error reading from server: EOF',
      'failed to get sandbox container task: no running task found: task 4f3a not found: not found',
      'CreateContainer failed as the sandbox was stopped: 4f3a',
      'fork/exec /usr/bin/runc: resource temporarily unavailable',
    ].flatMap((message) =>
      ['CreateContainerError', 'CreateContainerConfigError', 'RunContainerError', 'CreatePodSandboxError'].map(
        (reason): [string, object] => [
          `container "main" (image "busybox:1") cannot start: ${reason}: ${message}`,
          waiting(reason, message),
        ],
      ),
    ),
    ['starting the containers of Pod shop-1', waiting('ContainerCreating')],
  ])('%s', (reason, state) => {
    expect(classifyStart(pod(state), NOTHING)).toEqual({ kind: 'starting', reason });
  });

  test('the name of the image does not count in the message of a failed pull', () => {
    const image = 'registry.example.com/denied/not-found:1';
    const words = `failed to resolve reference "${image}": dial tcp: connection refused for ${image}`;
    const verdict = classifyStart(pod(waiting('ErrImagePull', words), { container: { image } }), NOTHING);
    expect(verdict.kind).toBe('starting');
  });

  test('the message of the scheduler', () => {
    const message = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity.";
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }];
    const unschedulable = toPod({ metadata: { name: 'shop-1' }, status: { phase: 'Pending', conditions } });
    expect(classifyStart(unschedulable, NOTHING)).toEqual({
      kind: 'starting',
      reason: `no node accepts Pod shop-1: ${message}`,
    });
    expect(classifyStart(toPod({ metadata: { name: 'shop-1' } }), NOTHING)).toEqual({
      kind: 'starting',
      reason: 'looking for a node for Pod shop-1',
    });
  });

  test('a volume that does not mount, or an image that is being pulled', () => {
    const creating = pod(waiting('ContainerCreating'));
    const mount = [event('Scheduled', 'ok'), event('FailedMount', 'secret "nope" not found')];
    expect(classifyStart(creating, { events: mount, pullMessages: new Map() })).toMatchObject({
      reason: 'FailedMount: secret "nope" not found',
    });
    const pulling = [event('Pulling', 'Pulling image "busybox:1"')];
    expect(classifyStart(creating, { events: pulling, pullMessages: new Map() })).toMatchObject({
      reason: 'pulling image "busybox:1"',
    });
  });
});

test('only the start of a pull message is searched, within a bounded distance', () => {
  const statuses = pod(waiting('ErrImagePull', `denied ${'status '.repeat(100_000)}: 503`));
  expect(classifyStart(statuses, NOTHING)).toMatchObject({ kind: 'failed' });
  const near = pod(waiting('ErrImagePull', `denied, unexpected status code [manifests ${'x'.repeat(250)}]: 503`));
  expect(classifyStart(near, NOTHING)).toMatchObject({ kind: 'starting' });
});

test('a container may be called "constructor", and messages of removed containers are dropped', () => {
  const [name, image] = ['constructor', 'busybox:1'];
  const backing = pod(waiting('ImagePullBackOff', 'Back-off'), { container: { name } });
  expect(classifyStart(backing, NOTHING)).toEqual({
    kind: 'starting',
    reason: `container "${name}" cannot pull image "${image}": Back-off`,
  });
  const failing = pod(waiting('ErrImagePull', 'no'), { container: { name } });
  const known = rememberPulls(failing, new Map([['gone', 'words']]));
  expect([...known]).toEqual([[name, 'no']]);
});
