import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecAnswer, ExecEnd, ExecOptions, ExecSession, Workspace } from '../../src/engine/cluster.ts';

export type Shell = 'dash' | 'bash' | 'busybox';

/** A workspace on this machine: each exec is a local process with the chosen shell and tools. */
export interface LocalWorkspace extends Workspace {
  /** The workspace's own directory. */
  readonly directory: string;
  readonly execCount: number;
  /** Cuts the open connections. Their programs keep running, as after a lost socket. */
  cut(): void;
  /** The faults of the next execs, in order: refused before the start, or cut after a number of bytes of output. */
  readonly plan: ({ kind: 'refuse'; message: string; isFinal?: boolean } | { kind: 'cut-after'; bytes: number })[];
  lose(message: string): void;
  close(): void;
}

/** Returns a unique build id: the end of a build kills all processes with its id, also those of concurrent tests. */
export function toLocalBuildId(): string {
  return `local-${randomBytes(6).toString('hex')}`;
}

export function isShellInstalled(shell: Shell): boolean {
  return findProgram(shell) !== undefined;
}

export interface LocalWorkspaceOptions {
  /**
   * The existing directory of another process's workspace, which is kept. Default: a new one, which `close` removes.
   */
  readonly directory?: string;
  readonly epoch?: number;
  /** Programs that are not installed in it. */
  readonly without?: readonly string[];
  /** Environment variables besides PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
}

export function createLocalWorkspace(shell: Shell, options: LocalWorkspaceOptions = {}): LocalWorkspace {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'c3-workspace-'));
  const env = {
    TMPDIR: directory,
    ...options.env,
    PATH: makePath(shell, join(directory, 'bin'), options.without),
    HOME: directory,
  };
  const lost = Promise.withResolvers<string>();
  const open = new Set<() => void>();
  const children = new Set<ChildProcessWithoutNullStreams>();
  const plan: LocalWorkspace['plan'] = [];
  let execCount = 0;

  async function exec(_container: string, argv: readonly string[], options: ExecOptions): Promise<ExecAnswer> {
    execCount += 1;
    const fate = plan.shift();
    if (fate?.kind === 'refuse') return { kind: 'refused', message: fate.message, isTransient: fate.isFinal !== true };
    const [program = 'false', ...args] = argv;
    const child = spawn(join(directory, 'bin', program), args, { env, detached: true });
    children.add(child);
    const done = Promise.withResolvers<ExecEnd>();
    let left = fate?.kind === 'cut-after' ? fate.bytes : Number.POSITIVE_INFINITY;

    function cut(): void {
      open.delete(cut);
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
      done.resolve({ kind: 'cut', message: 'the connection was cut' });
    }
    open.add(cut);
    options.signal.addEventListener('abort', cut, { once: true });
    child.on('error', () => cut());
    child.stdin.on('error', () => {});

    async function pump(): Promise<void> {
      for await (const data of child.stdout) {
        const chunk = (data as Buffer).subarray(0, left);
        left -= chunk.length;
        await options.onStdout(chunk);
        if (left <= 0) cut();
      }
    }
    const pumped = pump().catch(() => {});
    child.stderr.on('data', (chunk: Buffer) => void options.onStderr(chunk));
    child.on('close', (code) => {
      children.delete(child);
      void pumped.then(() =>
        done.resolve({ kind: 'status', exitCode: code ?? 137, message: `exit code ${code ?? 137}` }),
      );
    });
    const session: ExecSession = {
      done: done.promise,
      close: cut,
      write: (data) =>
        new Promise((resolve, reject) => {
          child.stdin.write(data, (error) => (error ? reject(error) : resolve()));
        }),
    };
    return { kind: 'open', session };
  }

  return {
    name: 'local',
    id: 'local',
    key: 'local',
    isWarm: false,
    epoch: options.epoch ?? 1,
    isAbandoned: false,
    warnings: [],
    lost: lost.promise,
    findTrouble: () => undefined,
    directory,
    get execCount() {
      return execCount;
    },
    plan,
    exec,
    cut: () => {
      for (const one of open) one();
    },
    lose: lost.resolve,
    release: () => Promise.resolve(),
    close(): void {
      for (const one of open) one();
      for (const child of children) child.kill('SIGKILL');
      if (options.directory === undefined) rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Creates a directory with the shell as `sh`; for busybox only with its applets, without the GNU tools. */
function makePath(shell: Shell, bin: string, without: readonly string[] = []): string {
  const system = process.env['PATH'] ?? '';
  const path = shell === 'busybox' || without.length > 0 ? bin : `${bin}:${system}`;
  if (existsSync(bin)) return path;
  mkdirSync(bin);
  const file = findProgram(shell) ?? shell;
  if (shell === 'busybox') for (const applet of listApplets(file)) symlinkSync(file, join(bin, applet));
  else symlinkSync(file, join(bin, 'sh'));
  if (shell !== 'busybox' && without.length > 0) linkAll(system.split(':'), bin);
  for (const program of without) rmSync(join(bin, program), { force: true });
  return path;
}

function findProgram(name: string): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(':');
  return directories.map((directory) => join(directory, name)).find((file) => existsSync(file));
}

let applets: readonly string[] | undefined;

function listApplets(busybox: string): readonly string[] {
  applets ??= spawnSync(busybox, ['--list'], { encoding: 'utf8' }).stdout.trim().split('\n');
  return applets;
}

function linkAll(directories: readonly string[], bin: string): void {
  for (const directory of directories.filter((one) => existsSync(one))) {
    for (const program of readdirSync(directory)) {
      const link = join(bin, program);
      if (!existsSync(link)) rmSync(link, { force: true });
      if (!existsSync(link)) symlinkSync(join(directory, program), link);
    }
  }
}
