import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

import { C3Error } from '../../../src/errors.ts';

/** The machine's programs that make a container, as absolute paths, so that a container's PATH does not matter. */
export interface Tools {
  readonly sh: string;
  readonly unshare: string;
  readonly nsenter: string;
  readonly setpriv: string;
  readonly setsid: string;
  /** The PATH in which they were found, with mount and pivot_root. */
  readonly path: string;
}

/** Directories of administrators' programs, which a user's PATH often lacks. */
const EXTRA_DIRECTORIES: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
];

export const ALTERNATIVE = 'use a real cluster instead: --kubeconfig FILE --context NAME';

/**
 * Finds the programs in the directories of a PATH, then in `extra`.
 *
 * @throws {C3Error} CLUSTER_UNREACHABLE when this is not Linux or a program is missing
 */
export async function findTools(environmentPath: string, extra: readonly string[] = EXTRA_DIRECTORIES): Promise<Tools> {
  if (process.platform !== 'linux') {
    throw new C3Error(
      'CLUSTER_UNREACHABLE',
      `The embedded cluster needs Linux namespaces, this is ${process.platform}`,
      {
        hint: ALTERNATIVE,
      },
    );
  }
  const directories = [...new Set([...environmentPath.split(delimiter), ...extra])].filter((directory) =>
    directory.startsWith('/'),
  );
  const find = async (name: string): Promise<string> => {
    for (const directory of directories) {
      const file = join(directory, name);
      if (await isExecutable(file)) return file;
    }
    throw new C3Error(
      'CLUSTER_UNREACHABLE',
      `The embedded cluster needs the program "${name}", which is not on this machine`,
      {
        hint: `install util-linux, or ${ALTERNATIVE}`,
      },
    );
  };
  await find('mount');
  await find('pivot_root');
  return {
    sh: await find('sh'),
    unshare: await find('unshare'),
    nsenter: await find('nsenter'),
    setpriv: await find('setpriv'),
    setsid: await find('setsid'),
    path: directories.join(delimiter),
  };
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
