import { describe, expect, it } from 'vitest';
import type { BuildState, CommitStatus } from '../build/index.ts';
import { toFile, useWorlds, type World } from '../../test/fakes/build-world.ts';
import { C3Error } from '../errors.ts';
import { Cancelled, Superseded } from './verdict.ts';

const createWorld = useWorlds();

const PASSED = { kind: 'passed', allowed: [] } as const;

const last = (world: World): BuildState | undefined => world.states.at(-1);

describe('before it asks the cluster for anything, a build', () => {
  it('ends a build that c3.yaml leaves out, and opens nothing', async () => {
    const world = createWorld();
    const ending = await world.run({ file: toFile('- main: echo', 'when: {branch: dev}\n') });
    expect(ending).toEqual({ kind: 'skipped', message: 'branch "main" does not match when.branch' });
    expect(world.events).toEqual(['prove']);
    expect(last(world)?.phase).toEqual({ kind: 'ended', ending });
  });

  it('asks the forge what changed, where a condition wants to know', async () => {
    const world = createWorld();
    const file = toFile('- main: echo', "when: {path: 'src/**'}\n");
    const build = { before: 'b'.repeat(40) };
    expect(await world.run({ file, build, paths: ['docs/a'] })).toMatchObject({ kind: 'skipped', by: 'paths' });
    expect(world.events).toEqual(['prove', `compare ${build.before}`]);
    expect(await world.run({ file, build, paths: ['src/a'] })).toEqual(PASSED);
  });

  it('believes the forge, and not the delivery, about what the branch pointed at before', async () => {
    const file = toFile('- main: echo', "when: {path: 'src/**'}\n");
    const push = { before: 'c'.repeat(40) };
    for (const build of [{}, { before: 'b'.repeat(40) }]) {
      const world = createWorld();
      expect(await world.run({ file, build, push, paths: ['docs/a'] })).toMatchObject({ kind: 'skipped', by: 'paths' });
      expect(world.events).toContain(`compare ${push.before}`);
    }
    const world = createWorld();
    expect(await world.run({ file, build: { before: 'b'.repeat(40) }, push: { before: undefined } })).toEqual(PASSED);
  });

  const CANCELS = 'concurrency: {cancel_previous: true}\n';
  it.each([
    ['error', 'superseded after 4s by a newer push', '', false],
    ['error', 'infrastructure error after 4s: Pod evicted', '', false],
    ['error', 'config error: c3.yaml:1:1 error: no', '', false],
    ['pending', 'running', CANCELS, false],
    ['pending', 'running', '', true],
    ['success', 'passed in 8s', CANCELS, true],
    ['failure', 'failed at test after 8s: exit code 1', '', true],
    ['success', 'skipped: nothing to do for these paths', '', true],
  ] as const)(
    'after a build that is %s, "%s", with %j, leaves paths out: %s',
    async (state, text, extra, isLeftOut) => {
      const file = toFile('- main: echo', `when: {path: 'src/**'}\n${extra}`);
      const statuses = [
        { context: 'c3/push (dev)', state: 'success', description: 'passed in 8s (dev, build b)' },
        { context: 'c3/push', state, description: `${text} (main, build a)` },
        { context: 'c3/push', state: 'success', description: 'passed in 8s (main, build c)' },
      ] as const;
      const ending = await createWorld().run({
        file,
        build: { before: 'b'.repeat(40) },
        paths: ['docs/a'],
        async *listStatuses() {
          yield* await Promise.resolve(statuses);
        },
      });
      expect(ending.kind).toBe(isLeftOut ? 'skipped' : 'passed');
    },
  );

  it('runs where what changed is not known, and asks nothing of a new branch', async () => {
    const world = createWorld();
    const file = toFile('- main: echo', "when: {path: 'src/**'}\n");
    expect(await world.run({ file, build: { before: 'b'.repeat(40) }, paths: undefined })).toEqual(PASSED);
    expect(await world.run({ file, paths: ['docs/a'] })).toEqual(PASSED);
    expect(world.events.filter((event) => event.startsWith('compare'))).toHaveLength(1);
  });

  it('refuses a job that the operator does not allow, with every reason, and opens nothing', async () => {
    const world = createWorld();
    const faults = ['job.spec.hostNetwork: must not be true', 'job.spec.hostPID: must not be true'];
    expect(await world.run({ faults })).toEqual({
      kind: 'config-error',
      message: faults[0],
      problems: faults.map((message) => ({ message })),
    });
    expect(world.events).toEqual(['prove', 'status pending']);
  });

  it('refuses secrets that are too long to be hidden, before it asks the cluster for anything', async () => {
    const world = createWorld();
    const opened = Array.from({ length: 4000 }, (_, line) => `line ${line} of a <long> "secret"`).join('\n');
    const ending = await world.run({ file: toFile('- main: echo', 'secrets: {KEY: aa.bb.cc.dd}\n'), opened });
    expect(ending.kind).toBe('config-error');
    expect(JSON.stringify(ending)).toMatch(
      /c3.yaml: its secrets are too long to be hidden .* use fewer or shorter ones"/,
    );
    expect(world.events).toEqual(['prove', 'status pending', 'open k8s', 'open secret:KEY']);
  });

  it('opens only what is for its ref, and asks for it with its pattern', async () => {
    const world = createWorld();
    const file = toFile(
      '- main: env | grep ^TAGG && exit 1; test "$KEY" = "opened aa.bb.cc.dd"',
      "secrets: {KEY: {value: aa.bb.cc.dd, ref: refs/heads/*}, TAGGED: {value: aa.bb.cc.ee, ref: 'refs/tags/v*'}}\n",
    );
    expect(await world.run({ file })).toEqual(PASSED);
    expect(world.events).toEqual(['prove', 'status pending', 'open k8s', 'open secret:KEY for refs/heads/*', 'pod']);
  });

  it('ends when its kubeconfig is for another ref, and opens nothing', async () => {
    const world = createWorld();
    const { text } = toFile('- main: echo') as { text: string };
    const file = { kind: 'found', text: text.replace(/^k8s: (.*)$/m, 'k8s: {value: $1, ref: refs/tags/*}') } as const;
    const message = 'k8s is sealed for refs/tags/*, this build is of refs/heads/main';
    const hint = "add `when: {tag: '*'}` at the top of c3.yaml, or seal a kubeconfig for this ref";
    expect(await world.run({ file })).toEqual({
      kind: 'config-error',
      message: `c3.yaml: ${message}`,
      problems: [{ message, hint }],
    });
    expect(world.events).toEqual(['prove', 'status pending']);
  });

  it('ends when a step needs a secret for another ref, and opens nothing', async () => {
    const world = createWorld();
    const file = toFile('- main: echo $KEY', "secrets: {KEY: {value: aa.bb.cc.dd, ref: 'refs/tags/v*'}}\n");
    const message = 'step "main" needs KEY, which is sealed for refs/tags/v*; this build is of refs/heads/main';
    expect(await world.run({ file })).toMatchObject({ kind: 'config-error', problems: [{ message }] });
    expect(world.events).toEqual(['prove', 'status pending']);
  });

  it.each([
    ['refs/heads/main', { destination: 'opened aa.bb.cc.dd', notify: 'always', log: true }],
    ['refs/heads/other', undefined],
  ])('is reported with the telegram of c3.yaml only if that is for its ref: %s', async (ref, expected) => {
    const world = createWorld();
    const told: unknown[] = [];
    const file = toFile('- main: echo', `telegram: {to: aa.bb.cc.dd, ref: ${ref}, notify: always, log: true}\n`);
    await world.run({ file, onReporter: (telegram) => void told.push(telegram) });
    expect(told).toEqual([expected]);
    expect(last(world)?.warnings).toEqual([]);
  });

  it('cancels older builds where c3.yaml says so, before it opens anything', async () => {
    const world = createWorld();
    const file = toFile('- main: echo', 'concurrency: {cancel_previous: true}\n');
    expect(await world.run({ file })).toEqual(PASSED);
    expect(world.events).toEqual(['prove', 'status pending', 'cancel previous', 'open k8s', 'pod']);
  });

  it('warns of a hook URL that was sealed with an old key', async () => {
    const world = createWorld();
    await world.run({ isOldKey: true });
    expect(last(world)?.warnings).toEqual(['the hook URL is sealed with an old key of this c3; make a new one']);
  });

  it.each(['success', 'failure', 'error'] as const)(
    'runs and reports nothing again once its status says %s',
    async (before) => {
      const world = createWorld();
      expect(await world.run({ before })).toEqual({
        kind: 'skipped',
        message: `this delivery was built before, as the commit's status "${before}" says; to build it again, use Re-run on its page`,
      });
      expect(world.events).toEqual(['prove']);
      expect(world.states).toEqual([]);
    },
  );

  it.each([
    ['config error: There is no c3.yaml at 1a2b3c4', 'error'],
    ['refused: main has moved on to 1a2b3c4', 'error'],
    ['infrastructure error before its first step: exceeded quota', 'error'],
  ] as const)('runs for a delivery that is sent again if its build never began: %s', async (text, state) => {
    const world = createWorld();
    const id = 'a'.repeat(12);
    const before = async function* (): AsyncGenerator<CommitStatus> {
      yield { context: 'c3/push', state, description: `${text} (main, build ${id})` };
    };
    expect(await world.run({ id, ownStatuses: before })).toEqual(PASSED);
    expect(world.orders).toMatchObject([{ isResumed: false }]);
  });

  it('is skipped without a report if a branch that is not protected has no c3.yaml', async () => {
    const world = createWorld();
    const proof = { kind: 'proven', trust: 'other', isHead: true } as const;
    expect(await world.run({ proof, file: { kind: 'missing' } })).toEqual({
      kind: 'skipped',
      message: `there is no c3.yaml at ${world.sha.slice(0, 7)}`,
    });
    expect(world.events).toEqual(['prove']);
  });

  it('waits for a c3.yaml that the forge does not show yet', async () => {
    const world = createWorld();
    expect(await world.run({ missing: 2 })).toEqual(PASSED);
    expect(await world.run({ missing: 3 })).toMatchObject({ kind: 'config-error' });
    expect(await world.run({ missing: 1, build: { cause: 'rerun', trust: 'protected' } })).toMatchObject({
      kind: 'config-error',
    });
  });

  it('reports nothing again of a delivery that was built before its branch moved on', async () => {
    const world = createWorld();
    const proof = { kind: 'refused', message: 'main has moved on to 1a2b3c4' } as const;
    expect(await world.run({ proof, before: 'success' })).toMatchObject({ kind: 'skipped' });
    expect(world.states).toEqual([]);
  });

  it('cancels no older build for a delivery that comes late', async () => {
    const world = createWorld();
    const file = toFile('- main: echo', 'concurrency: {cancel_previous: true}\n');
    const proof = { kind: 'proven', trust: 'protected', isHead: false } as const;
    expect(await world.run({ file, proof })).toEqual(PASSED);
    expect(world.events).not.toContain('cancel previous');
  });

  it('needs no proof of its commit when it is run again by its link, but the right to push', async () => {
    const world = createWorld();
    const build = { cause: 'rerun', trust: 'protected' } as const;
    expect(await world.run({ build })).toEqual(PASSED);
    expect(world.events).toEqual(['access', 'status pending', 'open k8s', 'pod']);
    expect(await world.run({ build, access: 'the token may not push' })).toEqual({
      kind: 'refused',
      message: 'the token may not push',
    });
  });

  it('is taken up again when its status says pending: only the Pod where it began will do', async () => {
    const world = createWorld();
    await world.run({ before: 'pending' });
    await world.run({ isResumed: true });
    await world.run();
    expect(world.orders.map(({ isResumed }) => isResumed)).toEqual([true, true, false]);
    expect(last(world)?.isResumed).toBeUndefined();
    // Its steps may have run, so a delivery that comes again must not run them.
    await world.run({ before: 'pending' });
    expect(last(world)?.isResumed).toBe(true);
  });

  it('stops when the forge does not say what became of it before', async () => {
    const world = createWorld();
    const before = new C3Error('FORGE_REFUSED', 'Cannot read the statuses');
    expect(await world.run({ before })).toEqual({ kind: 'refused', message: 'Cannot read the statuses' });
    expect(world.events).toEqual(['prove']);
  });

  it('is cancelled, not broken, when that comes before its first step', async () => {
    const world = createWorld();
    const cancel = new AbortController();
    cancel.abort(new Superseded('abcdef0123'));
    expect(await world.run({ cancel, proof: new C3Error('FORGE_UNREACHABLE', 'aborted') })).toEqual({
      kind: 'superseded',
      message: 'The build was superseded by abcdef0 before its first step',
    });
  });

  it('says who cancelled it', async () => {
    const world = createWorld();
    const cancel = new AbortController();
    cancel.abort(new Cancelled('somebody with the control link'));
    expect(await world.run({ cancel, proof: new C3Error('FORGE_UNREACHABLE', 'aborted') })).toEqual({
      kind: 'cancelled',
      message: 'The build was cancelled by somebody with the control link before its first step',
    });
  });

  it('warns of what the Pod could be got by only half', async () => {
    const world = createWorld();
    const workspace = {
      ...world.workspace,
      exec: world.workspace.exec,
      warnings: ['this kubeconfig may not use Leases'],
    };
    await world.run({ workspace: { kind: 'ready', workspace } });
    expect(last(world)?.warnings).toEqual(['this kubeconfig may not use Leases']);
  });
});

describe('the Pod of a build', () => {
  const OTHER = { kind: 'proven', trust: 'other', isHead: true } as const;
  const DEV = { ref: { kind: 'branch', name: 'dev' } } as const;

  it.each([
    ['the default or a protected branch', undefined, {}, '', 'protected refs/heads/main'],
    ['another branch', OTHER, DEV, '', 'branches'],
    ['a branch that does not share', OTHER, DEV, 'pod: {share: false}\n', 'refs/heads/dev'],
    ['a tag', OTHER, { ref: { kind: 'tag', name: 'v1' }, event: 'tag' }, '', 'refs/tags/v1'],
  ] as const)('of %s', async (_, proof, build, rest, owner) => {
    const world = createWorld();
    expect(await world.run({ build, file: toFile('- main: echo', rest), ...(proof && { proof }) })).toEqual(PASSED);
    expect(world.orders).toMatchObject([{ owner, reuse: !owner.startsWith('refs/tags/') }]);
  });
});
