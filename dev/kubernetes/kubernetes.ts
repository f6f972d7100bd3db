import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { C3Error } from '../../src/errors.ts';

/** Where Pods of our cluster reach this machine: the bridge's address. `settings.sh` sets it up. */
export const podGateway = '10.244.0.1';

export interface RealKubernetes {
  /** Path of an administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Where its Pods reach this machine; undefined for a cluster of the user's, of whose networks nothing is known. */
  readonly podGateway: typeof podGateway | undefined;
  /** Stops what was started here: nothing, when the cluster was up before or is the user's. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Also a registry, with the images of `images.sh`; it stands in for Docker Hub and every other. Default: false. */
  readonly registry?: boolean;
  readonly signal?: AbortSignal;
  /** Where KUBECONFIG and the C3_CLUSTER_* variables come from. Default: this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Starts the single-node Kubernetes of this folder, or takes the one that KUBECONFIG names. The first start on a machine
 * builds it, about 10 minutes, and tells the progress on standard error. Needs root, on Debian 12.
 *
 * @throws {C3Error} KUBECONFIG_INVALID when KUBECONFIG names no readable file; CLUSTER_UNREACHABLE when a script fails, after
 * it has told on standard error why.
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
      // Without the caller's signal: what was started is stopped also when the caller was aborted.
      if (!wasUp) await runScript(['down.sh'], { env });
    },
  };
}

/** Kills our cluster's API server; its Pods go on, and every connection to it is cut. */
export async function killApiServer(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'kill', 'apiserver'], options);
}

/** Starts it again, with its data; resolves when it answers. */
export async function startApiServer(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'start', 'apiserver'], options);
}

/** Kills and starts our cluster's kubelet: execs are cut, containers live on. Resolves when it answers, after about 6 s. */
export async function restartKubelet(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'restart', 'kubelet'], options);
}

/**
 * Kills and starts our cluster's containerd: execs are cut, containers live on. Resolves when it answers; the kubelet finds
 * it again only some seconds later, and refuses execs until then.
 */
export async function restartContainerd(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'restart', 'containerd'], options);
}

/** Stops our cluster's kubelet in its tracks (SIGSTOP): its node goes silent, and is known as such after about 16 s. */
export async function stopKubelet(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'pause', 'kubelet'], options);
}

/** Lets it go on; resolves when it answers. */
export async function continueKubelet(options: ScriptOptions = {}): Promise<void> {
  await runScript(['program.sh', 'resume', 'kubelet'], options);
}

/** The kubectl that `build.sh` has built. */
export function kubectlPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(clusterDirectory(env), 'bin/kubectl');
}

export type ScriptOptions = Pick<StartOptions, 'signal' | 'env'>;

/** The kubeconfig `up.sh` writes, as `settings.sh` has it. */
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

/** Runs a script of this folder to its end, with its progress on our standard error; answers its standard output, trimmed. */
async function runScript(argv: readonly string[], options: ScriptOptions): Promise<string> {
  const { exitCode, stdout } = await endOfScript(argv, options);
  if (exitCode === 0) return stdout.trim();
  const message = `Run dev/kubernetes/${argv.join(' ')}: it ended with exit code ${exitCode ?? 'none, by a signal'}`;
  throw new C3Error('CLUSTER_UNREACHABLE', message, { hint: 'the lines above tell why; see docs/real-cluster.md' });
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
