import { mkdir } from 'node:fs/promises';

import type { Container, Pod } from '../objects.ts';
import { expand, hostnameOf, toEnvironment } from './environment.ts';
import type { SandboxOrder } from './sandbox.ts';
import type { Tools } from './tools.ts';
import { toMounts } from './volumes.ts';

export interface OrderContext {
  readonly pod: Pod;
  readonly container: Container;
  /** Where each volume is; known once the Pod's volumes are made. */
  sources(): ReadonlyMap<string, string>;
  /** Of the logs; made when it is missing. */
  readonly directory: string;
  readonly rootScript: string;
  readonly tools: Tools;
}

/** What a container needs, or why the kubelet would not create it. */
export type Order =
  | { readonly kind: 'ready'; readonly order: SandboxOrder }
  | {
      readonly kind: 'failed';
      readonly reason: 'CreateContainerError' | 'CreateContainerConfigError';
      readonly message: string;
    };

/** Turns a container's spec into what the sandbox is asked for; `logFile` takes its output. */
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
