import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { C3Error } from '../../src/errors.ts';

/** The address at which Pods of our cluster reach this machine: the bridge. `settings.sh` defines it. */
export const podGateway = '10.244.0.1';

export interface RealKubernetes {
  /** Path of an administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** The address at which its Pods reach this machine; undefined for the user's own cluster. */
  readonly podGateway: typeof podGateway | undefined;
  /** Stops the cluster if this call started it. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /**
   * Whether to start a registry with the images of `images.sh`, in place of Docker Hub and all others. Default:
   * false.
   */
  readonly registry?: boolean;
  readonly signal?: AbortSignal;
  /** The source of KUBECONFIG and the C3_CLUSTER_* variables. Default: this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Starts the single-node Kubernetes of this folder, or uses the one that KUBECONFIG names. The first start on a
 * machine builds it, which takes about 10 minutes, and prints the progress on standard error. It needs root on Debian
 * 12.
 *
 * @throws {C3Error} KUBECONFIG_INVALID when KUBECONFIG names no readable file; CLUSTER_UNREACHABLE when a script fails, after
 * it has printed the reason on standard error.
 */
export async function startKubernetes(options: StartOptions = {}): Promise<RealKubernetes> {
  const env = options.env ?? process.env;
  const own = ownKubeconfig(env);
  const given = env['KUBECONFIG'];
  if (given !== undefined && given !== '' && resolve(given) !== own) {
    await access(given).catch((cause: unknown) => {
      const hint = 'name one file, or unset it to have a cluster started here';
      throw new C3Error('KUBECONFIG_INVALID', `Read the cluster's KUBECONFIG "${given}": no readable file`, {
        hint,
        cause,
      });
    });
    return { kubeconfig: resolve(given), podGateway: undefined, stop: async () => {} };
  }

  const wasUp = await isUp(options);
  await runScript(['build.sh'], options);
  const kubeconfig = await runScript(['up.sh', ...(options.registry === true ? ['--registry'] : [])], options);
  return {
    kubeconfig,
    podGateway,
    stop: async () => {
      // Without the caller's signal: an aborted caller also stops what it started.
      if (!wasUp) await runScript(['down.sh'], { env });
    },
  };
}

/** Kills our cluster's API server, which cuts every connection to it. Pods keep running. */
export async function killApiServer(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'kill', 'apiserver'], options);
}

/** Starts it again with its data; resolves when it responds. */
export async function startApiServer(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'start', 'apiserver'], options);
}

/**
 * Restarts our cluster's kubelet: execs are cut, containers keep running. Resolves when it responds, after about 6 s.
 */
export async function restartKubelet(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'restart', 'kubelet'], options);
}

/**
 * Restarts our cluster's containerd: execs are cut, containers keep running. Resolves when it responds. The kubelet
 * reconnects some seconds later, and refuses execs until then.
 */
export async function restartContainerd(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'restart', 'containerd'], options);
}

/** Suspends our cluster's kubelet with SIGSTOP. The API server notices after about 16 s. */
export async function stopKubelet(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'pause', 'kubelet'], options);
}

/** Resumes the kubelet; resolves when it responds. */
export async function continueKubelet(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'resume', 'kubelet'], options);
}

/** The kubectl that `build.sh` builds. */
export function kubectlPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(clusterDirectory(env), 'bin/kubectl');
}

export type ScriptOptions = Pick<StartOptions, 'signal' | 'env'>;

/** The path of the kubeconfig that `up.sh` writes, from `settings.sh`. */
function ownKubeconfig(env: NodeJS.ProcessEnv): string {
  return resolve(clusterDirectory(env), 'run/admin.kubeconfig');
}

function clusterDirectory(env: NodeJS.ProcessEnv): string {
  const directory = env['C3_CLUSTER_DIR'] ?? '';
  return directory === '' ? join(homedir(), '.cache/c3/cluster') : directory;
}

async function isUp(options: ScriptOptions): Promise<boolean> {
  return (await endOfScript(['program.sh', 'status', 'kubelet'], options)).exitCode === 0;
}

/** Runs a script of this folder, with its standard error on ours; returns its trimmed standard output. */
async function runScript(argv: readonly string[], options: ScriptOptions): Promise<string> {
  const { exitCode, stdout } = await endOfScript(argv, options);
  if (exitCode === 0) return stdout.trim();
  const message = `Run dev/kubernetes/${argv.join(' ')}: it ended with exit code ${exitCode ?? 'none, by a signal'}`;
  throw new C3Error('CLUSTER_UNREACHABLE', message, { hint: 'read the lines above, and docs/real-cluster.md' });
}

function endOfScript(
  argv: readonly string[],
  options: ScriptOptions,
): Promise<{ exitCode: number | null; stdout: string }> {
  return new Promise((resolve, reject) => {
    const [script = '', ...rest] = argv;
    const child = spawn('bash', [join(import.meta.dirname, script), ...rest], {
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'inherit'],
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, stdout }));
  });
}
