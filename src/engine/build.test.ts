import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { createLocalWorkspace, type LocalWorkspace } from '../../test/fakes/local-workspace.ts';
import { C3Error } from '../errors.ts';
import type { CommitStatus, FileAnswer, Proof, Repository } from '../forges/forge.ts';
import { formatPurpose } from '../sealing/index.ts';
import { runBuild } from './build.ts';
import type { BuildState, Ending } from './build-state.ts';
import type { WorkspaceAnswer, WorkspaceOrder } from './cluster.ts';
import { createLinePool } from './line-pool.ts';
import { DEFAULT_STEP_LIMITS } from './step.ts';

const root = mkdtempSync(join(tmpdir(), 'c3-build-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A real repository with one commit: what every build of this file checks out. */
const SHA = makeRepository();
const workspaces: LocalWorkspace[] = [];
let builds = 0;

function makeRepository(): string {
  function git(...args: string[]): string {
    const identity = ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.com'];
    return execFileSync('git', ['-C', root, ...identity, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
  }
  git('init', '-q', '-b', 'main');
  git('commit', '-q', '--allow-empty', '-m', 'first');
  return git('rev-parse', 'HEAD');
}
afterEach(() => {
  for (const workspace of workspaces.splice(0)) workspace.close();
});

interface World {
  /** What happened, in order: `prove`, `status pending`, `open k8s`, `pod`, … */
  readonly events: string[];
  readonly states: BuildState[];
  readonly orders: WorkspaceOrder[];
  readonly released: boolean[];
  readonly workspace: LocalWorkspace;
  run(part?: Partial<Answers>): Promise<Ending>;
}

interface Answers {
  proof: Proof | C3Error;
  file: FileAnswer;
  status: C3Error | undefined;
  open: C3Error | undefined;
  cluster: C3Error | undefined;
  workspace: WorkspaceAnswer | undefined;
}

/** A c3.yaml; the workspace's directory, which is the work tree's volume, is filled in when the build runs. */
function toFile(steps: string, extra = ''): FileAnswer {
  const text = `k8s: sealed.k8s.value.here
${extra}checkout: {container: main, path: DIRECTORY/project}
job:
  apiVersion: v1
  kind: Pod
  metadata: {name: build}
  spec: {containers: [{name: main, image: busybox, volumeMounts: [{name: v, mountPath: DIRECTORY}]}], volumes: [{name: v, emptyDir: {}}]}
steps:
${steps}`;
  return { kind: 'found', text };
}

function createWorld(): World {
  const events: string[] = [];
  const states: BuildState[] = [];
  const orders: WorkspaceOrder[] = [];
  const released: boolean[] = [];
  const workspace: LocalWorkspace = createLocalWorkspace('dash');
  const lines = createLinePool();
  workspaces.push(workspace);

  function fillIn(file: FileAnswer): FileAnswer {
    if (file.kind !== 'found') return file;
    return { kind: 'found', text: file.text.replaceAll('DIRECTORY', workspace.directory) };
  }

  function repositoryOf(answers: Answers): Repository {
    return {
      async prove() {
        events.push('prove');
        if (answers.proof instanceof C3Error) throw answers.proof;
        return answers.proof;
      },
      readFile: () => Promise.resolve(fillIn(answers.file)),
      async setStatus(_sha, status: CommitStatus) {
        events.push(`status ${status.state}`);
        if (answers.status) throw answers.status;
      },
      gitAccess: () => ({
        url: `file://${root}`,
        urlPrefix: 'https://f.example/',
        header: 'X: y',
        secrets: ['tokentoken'],
      }),
      close: () => Promise.resolve(),
    };
  }

  return {
    events,
    states,
    orders,
    released,
    workspace,
    run(part = {}) {
      const answers: Answers = {
        proof: { kind: 'proven', isProtected: true },
        file: toFile('- main: echo hello'),
        status: undefined,
        open: undefined,
        cluster: undefined,
        workspace: undefined,
        ...part,
      };
      const push = {
        ref: 'refs/heads/main',
        refKind: 'branch',
        refName: 'main',
        sha: SHA,
        subject: 's',
        author: 'a',
        commitUrl: 'u',
      } as const;
      const source = { scope: 'f.example/a/b', repositoryUrl: 'https://f.example/a/b', ...push };
      return runBuild(
        {
          id: `build${(builds += 1)}`,
          source,
          push,
          repository: repositoryOf(answers),
          signal: new AbortController().signal,
        },
        {
          async open(token, purpose) {
            events.push(`open ${formatPurpose(purpose)}`);
            if (answers.open) throw answers.open;
            return { plaintext: `opened ${token}`, isOldKey: false };
          },
          openCluster() {
            if (answers.cluster) throw answers.cluster;
            return {
              async openWorkspace(order) {
                events.push('pod');
                orders.push(order);
                const ready = {
                  ...workspace,
                  exec: workspace.exec,
                  async release({ isClean }: { isClean: boolean }) {
                    released.push(isClean);
                  },
                };
                return answers.workspace ?? { kind: 'ready', workspace: ready };
              },
              close: () => Promise.resolve(),
            };
          },
          openReporter: () => ({ report: (state) => void states.push(state), finish: () => Promise.resolve() }),
          lines,
          now: Date.now,
          onFault: (error) => {
            throw error;
          },
          limits: { ...DEFAULT_STEP_LIMITS, startTimeoutMs: 1000 },
        },
      );
    },
  };
}

const last = (world: World): BuildState | undefined => world.states.at(-1);

describe('a build', () => {
  it('proves, then says pending, then opens, then runs', async () => {
    const world = createWorld();
    expect(await world.run()).toEqual({ kind: 'passed' });
    expect(world.events).toEqual(['prove', 'status pending', 'open k8s', 'pod']);
    expect(last(world)?.steps).toMatchObject([
      { name: 'checkout', phase: { kind: 'passed' } },
      { name: 'main', phase: { kind: 'passed' }, tail: 'hello\n' },
    ]);
    expect(world.released).toEqual([true]);
  });

  it('opens nothing and runs nothing for a push that the forge does not confirm', async () => {
    const world = createWorld();
    const ending = await world.run({ proof: { kind: 'refused', message: 'The token may not push' } });
    expect(ending).toEqual({ kind: 'refused', message: 'The token may not push' });
    expect(world.events).toEqual(['prove']);
    expect(last(world)?.phase).toEqual({ kind: 'ended', ending });
  });

  it('opens nothing when the pending status is refused', async () => {
    const world = createWorld();
    const ending = await world.run({ status: new C3Error('FORGE_REFUSED', 'The forge refused the status') });
    expect(ending).toEqual({ kind: 'refused', message: 'The forge refused the status' });
    expect(world.events).toEqual(['prove', 'status pending']);
  });

  it('tells a forge that cannot be reached from one that refuses', async () => {
    const ending = await createWorld().run({ proof: new C3Error('FORGE_UNREACHABLE', 'Cannot reach f.example') });
    expect(ending).toEqual({ kind: 'infrastructure-error', message: 'Cannot reach f.example' });
  });

  it('says that there is no c3.yaml', async () => {
    const ending = await createWorld().run({ file: { kind: 'missing' } });
    expect(ending).toEqual({ kind: 'config-error', message: `There is no c3.yaml at ${SHA.slice(0, 7)}` });
  });

  it('says what is wrong in c3.yaml with its line, and opens nothing', async () => {
    const world = createWorld();
    const ending = await world.run({ file: toFile('- mian: echo hello') });
    expect(ending).toMatchObject({
      kind: 'config-error',
      message: expect.stringMatching(/^c3\.yaml:9:3 error: .*mian/),
    });
    expect(world.events).toEqual(['prove', 'status pending']);
  });

  it('says which value does not open', async () => {
    const ending = await createWorld().run({ open: new C3Error('SEALED_INVALID', 'It does not open') });
    expect(ending).toEqual({ kind: 'config-error', message: 'c3.yaml: k8s: It does not open' });
  });

  it('passes the words of the cluster on', async () => {
    const failed = { kind: 'failed', message: 'Image "x" cannot be pulled' } as const;
    const ending = await createWorld().run({ workspace: failed });
    expect(ending).toEqual({ kind: 'infrastructure-error', message: 'Image "x" cannot be pulled' });
  });

  it('stops at the first step that fails and skips the rest', async () => {
    const world = createWorld();
    const ending = await world.run({
      file: toFile('- main: echo one\n- main: exit 3\n  name: two\n- main: echo three'),
    });
    expect(ending).toEqual({ kind: 'failed', step: 'two', message: 'exit code 3' });
    expect(last(world)?.steps.map(({ phase }) => phase)).toEqual([
      { kind: 'passed' },
      { kind: 'passed' },
      { kind: 'failed', exitCode: 3 },
      { kind: 'skipped' },
    ]);
  });

  it('ends a step at its time limit and names whose limit it was', async () => {
    const ending = await createWorld().run({ file: toFile('- main: sleep 60\n  timeout: 1s') });
    expect(ending).toEqual({ kind: 'timed-out', message: 'Step "main" was ended at its time limit' });
  });

  it('ends at the time limit of the build, whichever step runs', async () => {
    const world = createWorld();
    const ending = await world.run({ file: toFile('- main: sleep 60\n  timeout: 5m', 'timeout: 2s\n') });
    expect(ending).toEqual({ kind: 'timed-out', message: 'Step "main" was ended at the time limit of the build' });
  });

  it('gives steps the environment, the secrets and the event, and masks the secrets', async () => {
    const world = createWorld();
    const file = toFile(
      '- main: echo "$A $B $DEPLOY_KEY $C3_SHA"\n  env: {B: step}',
      'env: {A: a, B: b}\nsecrets: {DEPLOY_KEY: sealed.a.b.c}\n',
    );
    expect(await world.run({ file })).toEqual({ kind: 'passed' });
    expect(last(world)?.steps[1]?.tail).toBe(`a step *** ${SHA}\n`);
  });

  it('never serves a protected and another ref from one Pod', async () => {
    const world = createWorld();
    await world.run();
    await world.run({ proof: { kind: 'proven', isProtected: false } });
    expect(world.orders.map(({ trustClass }) => trustClass)).toEqual(['protected', 'other']);
  });

  it('leaves its connection to the next build in the Pod', async () => {
    const world = createWorld();
    await world.run();
    await world.run();
    expect(await world.run({ file: toFile('- main: exit 5') })).toMatchObject({ kind: 'failed' });
    expect(world.workspace.execCount).toBe(1);
  });

  it('opens another connection when the one that was left is cut', async () => {
    const world = createWorld();
    await world.run();
    world.workspace.cut();
    expect(await world.run()).toEqual({ kind: 'passed' });
    expect(world.workspace.execCount).toBe(2);
  });

  it('gives up a Pod in which a step was lost', async () => {
    const world = createWorld();
    const file = toFile('- main: read -r pid rest < DIRECTORY/.c3/$C3_BUILD_ID/s1/pid; kill -9 $pid; sleep 5');
    expect(await world.run({ file })).toMatchObject({ kind: 'infrastructure-error' });
    expect(world.released).toEqual([false]);
  });
});
