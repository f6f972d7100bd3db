import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { toTestGitEnvironment } from '../../test/fakes/git-environment.ts';
import { run as runCommand, type RunFlags } from './run.ts';
import type { Terminal } from './terminal.ts';

/** The command as users give it: a process of its own, on an embedded cluster of its own. */
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

const home = realpathSync(mkdtempSync(join(tmpdir(), 'c3-command-')));
const scratch = join(home, 'scratch');
const shop = join(home, 'shop');

const env = { ...toTestGitEnvironment(home), TMPDIR: scratch };

const JOB = `
job:
  apiVersion: v1
  kind: Pod
  metadata: {name: shop}
  spec:
    volumes:
    - {name: project, emptyDir: {}}
    containers:
    - name: git
      image: alpine/git
      command: [sleep, '1000000']
      volumeMounts: [{name: project, mountPath: /c3}]
`;

const PIPELINE = `
k8s: <sealed kubeconfig>
telegram: <sealed destination>
secrets: {API_KEY: <sealed key>, DEPLOY_KEY: <sealed key>}
env: {COLOUR: blue}
${JOB}
steps:
- git: ls; git log --format=%s; git status --porcelain
  name: list
- git: echo "$COLOUR $API_KEY \${DEPLOY_KEY:-none} $C3_REF"
  name: show
- git: exit 42
  name: fail
  when: {branch: broken}
finally:
- git: echo swept
  name: sweep
`;

const PUBLISH = `
k8s: {value: <sealed kubeconfig>, ref: refs/heads/elsewhere}
secrets: {API_KEY: {value: <sealed key>, ref: 'refs/tags/v*'}}
${JOB}
steps:
- git: echo "publish $API_KEY"
  name: publish
`;

const SLOW = `${JOB}
steps:
- git: echo begun; sleep 600
  name: slow
finally:
- git: echo swept
  name: sweep
`;

function write(name: string, text: string): void {
  writeFileSync(join(shop, name), text);
}

function git(...args: string[]): void {
  execFileSync('git', args, { cwd: shop, env, stdio: 'pipe' });
}

interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  /** Resolves once the output so far, of both streams, matches. */
  told(pattern: RegExp): Promise<void>;
  readonly ended: Promise<{ exitCode: number | null; out: string; err: string }>;
}

const running = new Set<ChildProcessWithoutNullStreams>();

/** `inTerminal`: with a pseudo-terminal as its standard streams, where \x03 is Ctrl-C. */
function start(args: readonly string[], { inTerminal = false }: { inTerminal?: boolean } = {}): Running {
  const words = [process.execPath, MAIN, 'run', ...args];
  const [program = '', ...rest] = inTerminal
    ? ['script', '-qefc', words.map((word) => `'${word}'`).join(' '), '/dev/null']
    : words;
  const child = spawn(program, rest, { cwd: shop, env });
  running.add(child);
  let out = '';
  let err = '';
  let look = (): void => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
    look();
  });
  const ended = new Promise<{ exitCode: number | null; out: string; err: string }>((resolve) => {
    child.on('close', (exitCode) => {
      running.delete(child);
      resolve({ exitCode, out, err });
    });
  });
  return {
    child,
    ended,
    told: (pattern) =>
      new Promise((resolve, reject) => {
        look = (): void => {
          if (pattern.test(out) || pattern.test(err)) resolve();
        };
        look();
        void ended.then(() => reject(new Error(`it ended and never said ${String(pattern)}:\n${out}${err}`)));
      }),
  };
}

async function run(...args: string[]): Promise<{ exitCode: number | null; out: string; err: string }> {
  return await start(args).ended;
}

/** Without what differs from run to run. */
function settle(out: string): string {
  return out
    .replaceAll(/^c3: .*\n/gm, '')
    .replaceAll(/(?:\d+m )?[\d.]+s\b/g, '0s')
    .replaceAll(/\b[0-9a-f]{7}\b/g, 'SHA');
}

beforeAll(() => {
  execFileSync('mkdir', [scratch, shop]);
  git('init', '-q', '-b', 'main');
  write('c3.yaml', PIPELINE);
  write('slow.yaml', SLOW);
  write('gone', '');
  write('.gitignore', 'ignored\n');
  git('add', '-A');
  git('commit', '-q', '-m', 'One');
  unlinkSync(join(shop, 'gone'));
  write('new', '');
  write('ignored', '');
  writeFileSync(join(home, 'secrets'), 'API_KEY=a-secret-value\n');
  writeFileSync(join(home, 'variables'), 'COLOUR=red\n');
});

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

describe('c3 run', () => {
  it('runs the working tree, masks secrets, and says what it has no secret for', async () => {
    const { exitCode, out, err } = await run(
      '--secret-file',
      join(home, 'secrets'),
      '--env-file',
      join(home, 'variables'),
    );
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(out).toMatch(/^c3: warning: no value for the secrets DEPLOY_KEY: /m);
    expect(out).toMatch(/^c3: main at [0-9a-f]{7}, 2 files changed, on the embedded cluster$/m);
    expect(settle(out)).toBe(`✔ checkout  0s
list     │ c3.yaml
list     │ new
list     │ slow.yaml
list     │ Working tree on: One
list     │ One
✔ list  0s
show     │ red *** none refs/heads/main
✔ show  0s
sweep    │ swept
✔ sweep  0s

  ✔ checkout  0s
  ✔ list  0s
  ✔ show  0s
  – fail  skipped: branch "main" does not match when.branch
  ✔ sweep  0s

passed (0s)
`);
    // Neither the snapshot nor the cluster leaves anything behind.
    expect(readdirSync(scratch)).toEqual([]);
  });

  it('gives a secret that is for a ref to a run of that ref only, as a server does', async () => {
    const file = join(home, 'publish.yaml');
    writeFileSync(file, PUBLISH);
    const args = [file, '--secret-file', join(home, 'secrets')];
    const branch = await run(...args);
    expect(branch.exitCode).toBe(2);
    expect(branch.out).toContain(
      'step "publish" needs API_KEY, which is sealed for refs/tags/v*; this build is of refs/heads/main',
    );
    const tag = await run(...args, '--tag', 'v1');
    expect(tag.exitCode).toBe(0);
    expect(tag.out).toContain('publish ***\n');
  });

  it('runs as for a pull request', async () => {
    write(
      'pull.yaml',
      `${JOB}\nwhen: {base: main, draft: true}\nsteps:\n- git: 'echo "$C3_EVENT $C3_BASE_BRANCH $C3_PR"'\n`,
    );
    const { exitCode, out } = await run('pull.yaml', '--base', 'main', '--draft');
    expect(exitCode).toBe(0);
    expect(out).toContain('pull_request main 0\n');
    expect((await run('pull.yaml', '--base', 'main')).out).toContain('does not match when.draft');
  });

  it('runs chosen steps for a pretended branch, and ends with the code of the one that failed', async () => {
    const { exitCode, out } = await run('fail', '--branch', 'broken', '--json');
    expect(exitCode).toBe(42);
    const events = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind: string });
    expect(events).toContainEqual({
      kind: 'planned',
      steps: [
        { name: 'checkout', container: 'git' },
        { name: 'fail', container: 'git' },
      ],
      isWarm: false,
    });
    expect(events.at(-1)).toMatchObject({
      kind: 'ended',
      outcome: 'failed',
      step: 'fail',
      message: 'exit code 42',
      exitCode: 42,
    });
  });

  it('runs again when a file changes, in the warm Pod, and cancels what is under way', async () => {
    const { child, told, ended } = start(['slow.yaml', '--watch', '--json']);
    await told(/"begun"/);
    write('new', 'changed');
    await told(/"cancelled"[\s\S]*"isWarm":true[\s\S]*"begun"/);
    child.kill('SIGINT');
    expect((await ended).exitCode).toBe(130);
  });

  it.each([
    ['by a signal', false],
    ['by Ctrl-C in a terminal', true],
  ])('cancels the run %s: the step is killed, finally runs, nothing is left', async (_how, inTerminal) => {
    const { child, told, ended } = start(['slow.yaml'], { inTerminal });
    await told(/│.* begun/);
    if (inTerminal) child.stdin.write('\u0003');
    else child.kill('SIGINT');
    const { exitCode, out } = await ended;
    expect(exitCode).toBe(130);
    expect(out).toMatch(/│.* swept[\s\S]*cancelled.*: The build was cancelled during step "slow"/);
    expect(readdirSync(scratch)).toEqual([]);
  });

  it('ends at once with the second signal', async () => {
    write(
      'stubborn.yaml',
      `${JOB}\nsteps:\n- git: trap '' TERM; echo begun; sleep 600 & wait; wait\nfinally:\n- git: echo sweeping; sleep 600\n`,
    );
    const { child, told, ended } = start(['stubborn.yaml']);
    await told(/│ begun/);
    child.kill('SIGINT');
    child.kill('SIGTERM');
    const { exitCode, out } = await ended;
    expect(exitCode).toBe(130);
    expect(out).not.toMatch(/cancelled/);
  });

  it('prints the plan and the Pod with --dry-run, and starts nothing', async () => {
    const { exitCode, out } = await run('--dry-run', '--branch', 'broken');
    expect(exitCode).toBe(0);
    expect(out).toMatch(
      /^# checkout {2}in "git", into \/c3\/project\n# list {2}in "git"\n# show {2}in "git"\n# fail {2}in "git"\n# finally: sweep {2}in "git"\napiVersion: v1\nkind: Pod\n/,
    );
    expect(out).toMatch(/c3\.build\/scope: c3-run\/.*\/shop$/m);
  });
});

/** The command in this process, for what ends before any cluster is asked. */
async function refuse(words: string[], flags: RunFlags): Promise<{ exitCode: number; err: string }> {
  const err: string[] = [];
  const terminal: Terminal = {
    env,
    isInputTerminal: false,
    readInput: () => Promise.resolve(''),
    readFile: (path) => readFileSync(path, 'utf8'),
    writeFile: () => {},
    print: () => {},
    tell: (text) => void err.push(`${text}\n`),
  };
  const exitCode = await runCommand(terminal, { words, directory: shop }, flags);
  return { exitCode, err: err.join('') };
}

describe('c3 run refuses', () => {
  it.each<[string[], RunFlags, string]>([
    [['lits'], {}, 'c3: error: No step is called "lits"\nc3: hint: did you mean "list"?\n'],
    [['no.yaml'], {}, `c3: error: Cannot read "${shop}/no.yaml"\nc3: hint: name the file: c3 run FILE\n`],
    [[], { event: 'tag' }, 'c3: error: --event tag needs --tag NAME\n'],
    [[], { event: 'push', tag: 'v1' }, 'c3: error: --tag is for --event tag\n'],
    [[], { tag: 'v1', branch: 'main' }, 'c3: error: --branch is for --event push and pull_request\n'],
    [[], { event: 'pull_request' }, 'c3: error: --event pull_request needs --base BRANCH\n'],
    [[], { event: 'push', base: 'main' }, 'c3: error: --base is for --event pull_request\n'],
    [[], { draft: true }, 'c3: error: --draft is for --event pull_request\n'],
    [[], { branch: 'a..b' }, 'c3: error: "a..b" is not a name for a branch\n'],
    [[], { envFile: '/no/such' }, 'c3: error: Cannot read "/no/such"\n'],
    [
      [],
      { local: true, context: 'x' },
      'c3: error: --local selects the embedded cluster, so --kubeconfig and --context cannot be used with it\n',
    ],
    [
      [],
      { context: 'x' },
      `c3: error: Cannot read the kubeconfig "${home}/.kube/config"\nc3: hint: name it: --kubeconfig FILE; without --kubeconfig and --context the embedded cluster is used\n`,
    ],
  ])('%j with %j', async (words, flags, err) => {
    expect(await refuse(words, flags)).toEqual({ exitCode: 2, err });
  });

  it('a file with mistakes, with all of them', async () => {
    write('bad.yaml', `${JOB}\nsteps:\n- gti: make\nwat: 1\n`);
    const { exitCode, out, err } = await run('bad.yaml', '--json');
    expect(exitCode).toBe(2);
    expect(err).toMatch(/^bad\.yaml:\d+:\d+ error: [\s\S]*^bad\.yaml:\d+:\d+ error: /m);
    expect(JSON.parse(out)).toMatchObject({ kind: 'ended', outcome: 'config-error', exitCode: 2 });
  });

  it('a cluster that is none, as a fault of the infrastructure', async () => {
    const server = createServer((socket) => socket.on('error', () => {}).end('this is no TLS\n'));
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const kubeconfig = join(home, 'kubeconfig');
    writeFileSync(
      kubeconfig,
      `current-context: dead
contexts: [{name: dead, context: {cluster: dead, user: ann}}]
clusters: [{name: dead, cluster: {server: "https://127.0.0.1:${(server.address() as AddressInfo).port}"}}]
users: [{name: ann, user: {token: t}}]
`,
    );
    const { exitCode, out } = await run('--kubeconfig', kubeconfig, 'list');
    server.close();
    expect(exitCode).toBe(3);
    expect(out).toMatch(/, on context "dead"\n[\s\S]*\ninfrastructure error: /);
  });
});
