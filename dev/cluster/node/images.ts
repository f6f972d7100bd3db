import type { Container } from '../objects.ts';

/** Returns whether an image exists. The image has no other effect: every container sees the machine's programs. */
export type ImageOracle = (image: string) => boolean;

/** By default every image exists except those with `no-such` in the name or a registry under `.invalid`. */
export function existsByDefault(image: string): boolean {
  const host = image.split('/')[0] ?? '';
  return !image.includes('no-such') && !/\.invalid(?::\d+)?$/.test(host);
}

const REGISTRY = /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?$/;
const REPOSITORY =
  /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[a-f0-9]{64})?$/;

export type ImageName =
  /** `name`: the full name with registry and tag, as container runtimes write it. */
  { readonly kind: 'valid'; readonly name: string } | { readonly kind: 'invalid'; readonly cause: string };

/**
 * Parses an image's name as the kubelet does. The part before the first slash is a registry only if it has a dot or a
 * port, or is localhost: `UPPER/case` is a repository with an invalid name. (Newer kubelets parse `UPPER` as a
 * registry.)
 *
 * @see https://github.com/distribution/reference/blob/main/normalize.go
 */
export function parseImageName(image: string): ImageName {
  const slash = image.indexOf('/');
  const first = image.slice(0, Math.max(slash, 0));
  const hasRegistry = /[.:]/.test(first) || first === 'localhost';
  const registry = hasRegistry ? first : 'docker.io';
  const rest = hasRegistry ? image.slice(slash + 1) : image;
  const repository = rest.replace(/[:@].*$/s, '');
  if (repository !== repository.toLowerCase()) {
    return { kind: 'invalid', cause: 'invalid reference format: repository name must be lowercase' };
  }
  if (!REGISTRY.test(registry) || !REPOSITORY.test(rest)) return { kind: 'invalid', cause: 'invalid reference format' };
  const path = hasRegistry || rest.includes('/') ? rest : `library/${rest}`;
  return { kind: 'valid', name: `${registry}/${path}${/[:@]/.test(rest) ? '' : ':latest'}` };
}

export interface ImageProblem {
  readonly reason: 'InvalidImageName' | 'ErrImageNeverPull' | 'ErrImagePull';
  readonly message: string;
}

/** Returns the kubelet's problem with a container's image, as with containerd; undefined if the image is usable. */
export function checkImage(container: Container, exists: ImageOracle): ImageProblem | undefined {
  const { image } = container;
  const parsed = parseImageName(image);
  if (parsed.kind === 'invalid') {
    const cause = `couldn't parse image reference "${image}": ${parsed.cause}`;
    return { reason: 'InvalidImageName', message: `Failed to apply default image tag "${image}": ${cause}` };
  }
  if (exists(image)) return undefined;
  if (container.imagePullPolicy === 'Never') {
    return {
      reason: 'ErrImageNeverPull',
      message: `Container image "${image}" is not present with pull policy of Never`,
    };
  }
  const { name } = parsed;
  const cause = `failed to resolve reference "${name}": ${name}: not found`;
  return {
    reason: 'ErrImagePull',
    message: `rpc error: code = NotFound desc = failed to pull and unpack image "${name}": ${cause}`,
  };
}
