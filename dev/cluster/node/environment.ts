import type { Container, Pod } from '../objects.ts';

export type EnvironmentAnswer =
  | { readonly kind: 'ready'; readonly environment: Record<string, string> }
  | { readonly kind: 'failed'; readonly message: string };

/**
 * Returns a container's environment: the machine's PATH, HOME and HOSTNAME as in an image, then the Pod's variables
 * with `$(NAME)` expanded. No Secret or ConfigMap is found: the cluster has none.
 */
export function toEnvironment(pod: Pod, container: Container, path: string): EnvironmentAnswer {
  const environment: Record<string, string> = { PATH: path, HOME: '/root', HOSTNAME: hostnameOf(pod) };
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (!valueFrom) {
      environment[name] = expand(value ?? '', environment);
      continue;
    }
    const { fieldRef, secretKeyRef, configMapKeyRef } = valueFrom;
    const reference = secretKeyRef ?? configMapKeyRef;
    if (reference && reference.optional !== true) {
      return {
        kind: 'failed',
        message: `${secretKeyRef ? 'secret' : 'configmap'} "${reference.name ?? ''}" not found`,
      };
    }
    const field = fieldRef && readField(pod, fieldRef.fieldPath);
    if (fieldRef && field === undefined) {
      return { kind: 'failed', message: `fieldPath "${fieldRef.fieldPath}" is not known to the embedded cluster` };
    }
    if (field !== undefined) environment[name] = field;
  }
  return { kind: 'ready', environment };
}

/**
 * `$(NAME)` becomes the value, `$$` becomes `$`, and an unknown name stays as it is: the rule for command, args and
 * env.
 */
export function expand(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replace(/\$(?:\$|\(([^()]+)\))/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : (environment[name] ?? whole),
  );
}

/** The Pod's name, at most 63 characters, as the kubelet cuts it. */
export function hostnameOf(pod: Pod): string {
  return pod.spec.hostname ?? pod.metadata.name.slice(0, 63).replace(/[-.]+$/, '');
}

function readField(pod: Pod, path: string): string | undefined {
  const { metadata, spec, status } = pod;
  const subscript = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (subscript) return metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2] ?? ''] ?? '';
  const fields: Record<string, string | undefined> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': spec.nodeName,
    'status.podIP': status.podIP,
    'status.hostIP': status.hostIP,
  };
  return fields[path];
}
