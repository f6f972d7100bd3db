import { type ChildProcess, spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';

import { holdProgram, type RunningProgram, waitForExit } from './running-program.ts';
import { EXEC_SCRIPT, INIT_SCRIPT, WAIT_SCRIPT } from './scripts.ts';
import type { Tools } from './tools.ts';

export interface SandboxOrder {
  readonly hostname: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Created if it is missing, as container runtimes do. */
  readonly workingDirectory: string;
  /** `source` is a path of the machine without symbolic links. */
  readonly mounts: readonly { readonly source: string; readonly target: string; readonly isReadOnly: boolean }[];
  /** Undefined: root (without root, the current user, shown as root). Only root can choose another user. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  /** The file to which stdout and stderr are appended. */
  readonly logFile: string;
  /** The script that makes the container's root, of {@link writeRootScript}. */
  readonly rootScript: string;
}

export type SandboxAnswer =
  | { readonly kind: 'running'; readonly sandbox: Sandbox }
  /** `isRefusedCommand`: the program does not exist or is not executable. */
  | { readonly kind: 'failed'; readonly message: string; readonly isRefusedCommand: boolean };

/** A running container. When its first process ends, the kernel kills every other process in it. */
export interface Sandbox {
  /** The process id of its first process on the machine. */
  readonly pid: number;
  /** The exit code; 128 + signal if it was killed, as the kubelet reports. Never rejects. */
  readonly exited: Promise<number>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
  exec(argv: readonly string[], options: { readonly hasStdin: boolean }): Promise<SandboxExec>;
}

export type SandboxExec =
  | { readonly kind: 'running'; readonly program: RunningProgram }
  | { readonly kind: 'failed'; readonly message: string };

const IS_ROOT = process.getuid?.() === 0;
/** The exit code of the scripts if the program cannot be executed. */
const REFUSED_EXIT_CODE = 127;
/** containerd's prefix of runc's messages, at the start of a container and of an exec. */
const CREATE_FAILED =
  'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: ';
const EXEC_FAILED = 'OCI runtime exec failed: exec failed: ';
/** The maximum report on descriptor 3: one line, or an error of a few. */
const MAX_REPORT_BYTES = 4096;

/**
 * Starts a container; resolves when its program is about to be executed. It dies with this process, by the
 * parent-death signal: set after the user namespace is made, because a change of credentials clears it.
 */
export async function startSandbox(order: SandboxOrder, tools: Tools): Promise<SandboxAnswer> {
  const namespaces = [tools.unshare, '--mount', '--uts', '--pid', tools.sh, '-c', WAIT_SCRIPT, 'c3'];
  const dying = [tools.setpriv, '--pdeathsig', 'KILL'];
  const argv = [
    ...(IS_ROOT ? [] : [tools.unshare, '--user', '--map-root-user']),
    ...dying,
    ...namespaces,
    ...dying,
    tools.sh,
    '-c',
    INIT_SCRIPT,
    'c3',
    order.rootScript,
    order.hostname,
    resolverFile(),
    order.environment['PATH'] ?? tools.path,
    order.workingDirectory,
    tools.setsid,
    String(order.mounts.length),
    ...order.mounts.flatMap((mount) => [mount.source, mount.target, mount.isReadOnly ? 'ro' : 'rw']),
    ...asUser(order, tools),
    ...order.argv,
  ];
  const log = await open(order.logFile, 'a', 0o644);
  try {
    const [program = '', ...rest] = argv;
    const child = spawn(program, rest, {
      env: { ...order.environment, PATH: tools.path },
      stdio: ['ignore', log.fd, log.fd, 'pipe'],
      detached: true,
    });
    const exited = waitForExit(child);
    const report = await readReport(child);
    const pid = /^ready (\d+)\n$/.exec(report)?.[1];
    if (pid === undefined) {
      const exitCode = await exited;
      const isRefusedCommand = exitCode === REFUSED_EXIT_CODE;
      const words = report.trim() || (await readEnd(order.logFile)) || 'it ended without a word';
      return { kind: 'failed', message: isRefusedCommand ? CREATE_FAILED + words : words, isRefusedCommand };
    }
    return { kind: 'running', sandbox: createSandbox({ order, tools, pid: Number(pid), exited }) };
  } finally {
    await log.close();
  }
}

interface Parts {
  readonly order: SandboxOrder;
  readonly tools: Tools;
  readonly pid: number;
  readonly exited: Promise<number>;
}

function createSandbox({ order, tools, pid, exited }: Parts): Sandbox {
  let isOver = false;
  void exited.then(() => {
    isOver = true;
  });
  return {
    pid,
    exited,
    kill: (signal) => {
      // After the container's end its process id may belong to another process.
      if (isOver) return;
      try {
        process.kill(pid, signal);
      } catch {
        // It has just ended; `exited` reports it.
      }
    },
    exec: async (argv, options) => {
      const command = [
        tools.nsenter,
        '--target',
        String(pid),
        '--mount',
        '--uts',
        '--pid',
        ...(IS_ROOT ? [] : ['--user', '--preserve-credentials']),
        '--',
        tools.setsid,
        tools.sh,
        '-c',
        EXEC_SCRIPT,
        'c3',
        order.workingDirectory,
        order.environment['PATH'] ?? tools.path,
        ...asUser(order, tools),
        ...argv,
      ];
      const [file = '', ...rest] = command;
      const child = spawn(file, rest, {
        env: { ...order.environment, PATH: tools.path },
        stdio: [options.hasStdin ? 'pipe' : 'ignore', 'pipe', 'pipe', 'pipe'],
        detached: true,
      });
      const program = holdProgram(child);
      const report = await readReport(child);
      if (report === 'ready\n') return { kind: 'running', program };
      child.kill('SIGKILL');
      return { kind: 'failed', message: EXEC_FAILED + (report.trim() || 'the container is gone') };
    },
  };
}

/** Returns the arguments before the program that run it as the container's user, after their number. */
function asUser(order: SandboxOrder, tools: Tools): string[] {
  if (order.user === undefined) return ['0'];
  const words = [
    tools.setpriv,
    '--reuid',
    String(order.user.uid),
    '--regid',
    String(order.user.gid),
    '--clear-groups',
    '--pdeathsig',
    'KILL',
    '--',
  ];
  return [String(words.length), ...words];
}

/** Returns the target of /etc/resolv.conf if it is in /run, which is empty in containers. */
function resolverFile(): string {
  try {
    const file = realpathSync('/etc/resolv.conf');
    return file.startsWith('/run/') ? file : '';
  } catch {
    return '';
  }
}

/** Reads the end of a log, to which `unshare` and `setpriv` write their errors. */
async function readEnd(logFile: string): Promise<string> {
  const file = await open(logFile, 'r');
  try {
    const { size } = await file.stat();
    const position = Math.max(0, size - MAX_REPORT_BYTES);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(MAX_REPORT_BYTES), position });
    return buffer.toString('utf8', 0, bytesRead).trim();
  } finally {
    await file.close();
  }
}

/**
 * Reads until `ready`, or until the last process that has the descriptor ends; unshare and nsenter keep it while they
 * wait.
 */
function readReport(child: ChildProcess): Promise<string> {
  const stream = child.stdio[3] as Readable;
  return new Promise((resolve) => {
    let report = '';
    const settle = (): void => {
      resolve(report);
      stream.destroy();
    };
    stream.on('data', (chunk: Buffer) => {
      report = (report + chunk.toString()).slice(0, MAX_REPORT_BYTES);
      if (/^ready.*\n/.test(report)) settle();
    });
    stream.once('error', settle);
    stream.once('close', settle);
    child.once('error', settle);
  });
}
