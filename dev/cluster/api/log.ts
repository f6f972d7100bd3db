import { readFileSync } from 'node:fs';

import type { Kubelet } from '../node/kubelet.ts';
import type { Pod } from '../objects.ts';
import { badRequest } from './status.ts';

/**
 * Returns the current output of a container's program, both streams. It supports `tailLines` and not `follow`.
 *
 * @throws {ApiRefusal} 400 when the container is unknown or has not started
 */
export function readLog(pod: Pod, { query, kubelet }: { query: URLSearchParams; kubelet: Kubelet }): string {
  const { name } = pod.metadata;
  const names = pod.spec.containers.map((container) => container.name);
  const container = query.get('container') ?? (names.length === 1 ? names[0] : undefined);
  if (container === undefined) {
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]`);
  }
  const runner = kubelet.runner(pod, container);
  if (!runner) throw badRequest(`container ${container} is not valid for pod ${name}`);
  if (query.get('follow') === 'true') throw badRequest('the embedded cluster does not follow logs');
  try {
    const text = readFileSync(runner.logFile(), 'utf8');
    const tail = Number(query.get('tailLines') ?? Infinity);
    return Number.isFinite(tail)
      ? text
          .split(/(?<=\n)/)
          .slice(-tail)
          .join('')
      : text;
  } catch {
    const state = runner.status().state;
    const reason = 'waiting' in state ? state.waiting.reason : 'no output';
    throw badRequest(`container "${container}" in pod "${name}" is waiting to start: ${reason}`);
  }
}
