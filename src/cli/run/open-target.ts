import { C3Error } from '../../errors.ts';
import type { Terminal } from '../terminal.ts';
import { readUserCluster } from './user-kubeconfig.ts';

/** Where the steps run. */
export interface Target {
  /** As people see it: `the embedded cluster`, `context "staging"`. */
  readonly name: string;
  readonly kubeconfig: string;
  close(): Promise<void>;
}

export interface TargetFlags {
  readonly local?: boolean;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** @throws {C3Error} USAGE_INVALID, KUBECONFIG_INVALID, CLUSTER_UNREACHABLE where the embedded cluster cannot be */
export async function openTarget(terminal: Terminal, flags: TargetFlags): Promise<Target> {
  if (flags.kubeconfig === undefined && flags.context === undefined) {
    const cluster = await startEmbedded();
    return { name: 'the embedded cluster', kubeconfig: cluster.kubeconfig, close: () => cluster.close() };
  }
  if (flags.local === true) {
    throw new C3Error('USAGE_INVALID', '--local is the embedded cluster: it excludes --kubeconfig and --context');
  }
  const { name, kubeconfig } = readUserCluster(terminal, { path: flags.kubeconfig, context: flags.context });
  return { name: `context "${name}"`, kubeconfig, close: () => Promise.resolve() };
}

/**
 * The one place that reaches into the development kit. Loaded only now, so that a server never has it in memory, and an image
 * may be built without it.
 */
async function startEmbedded(): Promise<{ readonly kubeconfig: string; close(): Promise<void> }> {
  let kit: typeof import('../../../dev/cluster/index.ts');
  try {
    kit = await import('../../../dev/cluster/index.ts');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new C3Error('CLUSTER_UNREACHABLE', 'This installation of c3 has no embedded cluster', {
      cause: error,
      hint: 'use a real cluster: --kubeconfig FILE --context NAME',
    });
  }
  return await kit.createEmbeddedCluster();
}
