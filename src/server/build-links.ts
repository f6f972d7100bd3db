import type { BuildLinks } from '../engine/index.ts';
import { sealLink, type BuildLink, type Keyring } from '../sealing/index.ts';

export interface LinkOptions {
  /** c3's public base URL, without a slash at its end. */
  readonly baseUrl: string;
  /** Of the forge's statuses; see {@link Repository.maxTargetUrl}. */
  readonly maxTargetUrl: number | undefined;
}

/** The addresses of a build's page. Where the one to look is longer than the forge takes, it is made without the ref. */
export async function createBuildLinks(
  keyring: Keyring,
  facts: Omit<BuildLink, 'right'>,
  { baseUrl, maxTargetUrl = Infinity }: LinkOptions,
): Promise<BuildLinks> {
  const create = async (link: BuildLink): Promise<string> => `${baseUrl}/b/${await sealLink(keyring, link)}`;
  const [look, control] = await Promise.all([
    create({ ...facts, right: 'look' }),
    create({ ...facts, right: 'control' }),
  ]);
  if (look.length <= maxTargetUrl) return { look, control };
  return { look: await create({ ...facts, right: 'look', ref: undefined }), control };
}
