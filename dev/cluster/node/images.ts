import type { Container } from '../objects.ts';

/** Whether an image exists; it makes no other difference: every container sees the machine's programs. */
export type ImageOracle = (image: string) => boolean;

/** By default every image exists, save one whose name contains `no-such` or whose registry is under `.invalid`. */
export function existsByDefault(image: string): boolean {
  const host = image.split('/')[0] ?? '';
  return !image.includes('no-such') && !/\.invalid(?::\d+)?$/.test(host);
}

/** The grammar of github.com/distribution/reference, as far as a name can go wrong. */
const REFERENCE =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[a-f0-9]{64})?$/;

export interface ImageProblem {
  readonly reason: 'InvalidImageName' | 'ErrImageNeverPull' | 'ErrImagePull';
  readonly message: string;
}

/** What the kubelet would say of a container's image; undefined when it can be used. */
export function checkImage(container: Container, exists: ImageOracle): ImageProblem | undefined {
  const { image } = container;
  if (!REFERENCE.test(image)) {
    const cause = `couldn't parse image name "${image}": invalid reference format`;
    return { reason: 'InvalidImageName', message: `Failed to apply default image tag "${image}": ${cause}` };
  }
  if (exists(image)) return undefined;
  if (container.imagePullPolicy === 'Never') {
    return {
      reason: 'ErrImageNeverPull',
      message: `Container image "${image}" is not present with pull policy of Never`,
    };
  }
  const cause = `failed to resolve reference "${image}": ${image}: not found`;
  return {
    reason: 'ErrImagePull',
    message: `rpc error: code = NotFound desc = failed to pull and unpack image "${image}": ${cause}`,
  };
}
