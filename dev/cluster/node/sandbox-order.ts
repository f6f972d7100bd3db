import { mkdir } from 'node:fs/promises';

import type { Container, Pod } from '../objects.ts';
import { expand, hostnameOf, toEnvironment } from './environment.ts';
import type { SandboxOrder } from './sandbox.ts';
import type { Tools } from './tools.ts';
import { toMounts } from './volumes.ts';

export interface OrderContext {
  readonly pod: Pod;
  readonly container: Container;
  /** The directory of each volume, after the Pod's volumes were created. */
  sources(): ReadonlyMap<string, string>;
  /** The directory of the logs; created if it is missing. */
  readonly directory: string;
  readonly rootScript: string;
  readonly tools: Tools;
}

/** The order to create a container, or the kubelet's reason not to. */
export type Order =
  | { readonly kind: 'ready'; readonly order: SandboxOrder }
  | {
      readonly kind: 'failed';
      readonly reason: 'CreateContainerError' | 'CreateContainerConfigError';
      readonly message: string;
    };

/** Converts a container's spec to an order for the sandbox; its output goes to `logFile`. */
export async function toOrder(context: OrderContext, logFile: string): Promise<Order> {
  const { pod, container, tools } = context;
  const config = (message: string): Order => ({ kind: 'failed', reason: 'CreateContainerConfigError', message });
  const answer = toEnvironment(pod, container, tools.path);
  if (answer.kind === 'failed') return config(answer.message);
  const { environment } = answer;
  const security = { ...pod.spec.securityContext, ...container.securityContext };
  const uid = security.runAsUser ?? 0;
  if (uid === 0 && security.runAsNonRoot === true) {
    return config(
      `container has runAsNonRoot and image will run as root (pod: "${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})", container: ${container.name})`,
    );
  }
  if (uid !== 0 && process.getuid?.() !== 0) {
    return config(`runAsUser ${uid} is only possible when the embedded cluster itself runs as root`);
  }
  const argv = [...(container.command ?? []), ...(container.args ?? [])].map((word) => expand(word, environment));
  if (!container.command?.length) {
    return {
      kind: 'failed',
      reason: 'CreateContainerError',
      message: `container "${container.name}" has no command, and the embedded cluster does not know the entrypoint of image "${container.image}": set command`,
    };
  }
  await mkdir(context.directory, { recursive: true });
  return {
    kind: 'ready',
    order: {
      hostname: hostnameOf(pod),
      argv,
      environment,
      workingDirectory: container.workingDir ?? '/',
      mounts: await toMounts(container, context.sources()),
      user: uid === 0 ? undefined : { uid, gid: security.runAsGroup ?? 0 },
      logFile,
      rootScript: context.rootScript,
    },
  };
}
