import { dirname, join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { C3Error, toMessage } from '../../errors.ts';
import type { Terminal } from '../terminal.ts';

export interface UserCluster {
  /** Of the context. */
  readonly name: string;
  /** A kubeconfig with this one context, its files read into it: as a build's, it names no file. */
  readonly kubeconfig: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** An object of a kubeconfig, and the folder of the file it stands in: paths in it are relative to that. */
interface Found {
  readonly fields: Fields;
  readonly folder: string;
}

/** Fields that name a file, and those that take its content. */
const FILES: readonly (readonly [string, string, 'base64' | 'text'])[] = [
  ['certificate-authority', 'certificate-authority-data', 'base64'],
  ['client-certificate', 'client-certificate-data', 'base64'],
  ['client-key', 'client-key-data', 'base64'],
  ['tokenFile', 'token', 'text'],
];

/**
 * A context of the user's own kubeconfig. Its own machine, its own file: what it names is read. Programs are not run, since what
 * they print ends within the hour and c3's client would have to run them again.
 *
 * @param path else `KUBECONFIG`, where files are joined as kubectl does, else `~/.kube/config`
 * @param context else the current one
 * @throws {C3Error} KUBECONFIG_INVALID, USAGE_INVALID
 * @see https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 */
export function readUserCluster(
  terminal: Terminal,
  { path, context }: { path: string | undefined; context: string | undefined },
): UserCluster {
  const files = (path === undefined ? findPaths(terminal.env) : [path]).map((file) => readOne(terminal, file));
  const name = context ?? readCurrent(files);
  if (name === undefined) {
    throw new C3Error('KUBECONFIG_INVALID', 'The kubeconfig has no current-context', {
      hint: 'name one: --context NAME',
    });
  }
  const chosen = find(files, { list: 'contexts', member: 'context', name });
  const cluster = find(files, { list: 'clusters', member: 'cluster', name: chosen.fields['cluster'] });
  const user = find(files, { list: 'users', member: 'user', name: chosen.fields['user'] });
  refusePrograms(user.fields, String(chosen.fields['user']));
  const root = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    contexts: [{ name, context: { ...chosen.fields, cluster: 'cluster', user: 'user' } }],
    clusters: [{ name: 'cluster', cluster: inline(terminal, cluster) }],
    users: [{ name: 'user', user: inline(terminal, user) }],
  };
  return { name, kubeconfig: stringify(root, { aliasDuplicateObjects: false }) };
}

function findPaths(env: Terminal['env']): string[] {
  const listed = (env['KUBECONFIG'] ?? '').split(':').filter(Boolean);
  return listed.length > 0 ? listed : [join(env['HOME'] ?? '', '.kube', 'config')];
}

function readOne(terminal: Terminal, path: string): Found {
  let text: string;
  try {
    text = terminal.readFile(path);
  } catch (error) {
    throw new C3Error('USAGE_INVALID', `Cannot read the kubeconfig "${path}"`, {
      cause: error,
      hint: 'name it: --kubeconfig FILE; without --kubeconfig and --context the embedded cluster is used',
    });
  }
  try {
    const fields: unknown = parse(text, { logLevel: 'error', prettyErrors: false, maxAliasCount: 0 });
    if (isFields(fields)) return { fields, folder: dirname(resolve(path)) };
  } catch {
    // Its own words would quote the file, which has secrets.
  }
  throw new C3Error('KUBECONFIG_INVALID', `"${path}" is not a kubeconfig`);
}

function readCurrent(files: readonly Found[]): string | undefined {
  return files
    .map(({ fields }) => fields['current-context'])
    .find((current) => typeof current === 'string' && current !== '') as string | undefined;
}

/** As kubectl joins files: the first entry of a name wins. */
function find(files: readonly Found[], { list, member, name }: { list: string; member: string; name: unknown }): Found {
  const names: unknown[] = [];
  for (const { fields, folder } of files) {
    const entries: readonly unknown[] = Array.isArray(fields[list]) ? fields[list] : [];
    for (const entry of entries) {
      if (!isFields(entry)) continue;
      names.push(entry['name']);
      const found = entry[member];
      if (entry['name'] === name && isFields(found)) return { fields: found, folder };
    }
  }
  const known = names.map((other) => `"${String(other)}"`).join(', ');
  const options = known === '' ? {} : { hint: `it has ${known}` };
  throw new C3Error('KUBECONFIG_INVALID', `The kubeconfig has no ${member} "${String(name)}"`, options);
}

function refusePrograms(user: Fields, name: string): void {
  const program = ['exec', 'auth-provider'].find((field) => isFields(user[field]));
  if (program === undefined) return;
  throw new C3Error(
    'KUBECONFIG_INVALID',
    `The user "${name}" of the kubeconfig gets its token from a program (${program}), which c3 does not run`,
    {
      hint: `make a token, kubectl create token SERVICEACCOUNT, and put it into a copy of kubectl config view --minify --flatten --raw, as users[0].user.token in place of ${program}`,
    },
  );
}

function inline(terminal: Terminal, { fields, folder }: Found): Fields {
  const inlined: Record<string, unknown> = { ...fields };
  for (const [file, data, form] of FILES) {
    const path = fields[file];
    if (typeof path !== 'string' || path === '') continue;
    delete inlined[file];
    // As kubectl: what stands there wins over a file, but for a token, which the file keeps fresh.
    if (form === 'base64' && fields[data]) continue;
    try {
      const text = terminal.readFile(resolve(folder, path));
      inlined[data] = form === 'base64' ? Buffer.from(text).toString('base64') : text.trim();
    } catch (error) {
      throw new C3Error('KUBECONFIG_INVALID', `Cannot read ${file} of the kubeconfig: ${toMessage(error)}`, {
        cause: error,
      });
    }
  }
  return inlined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
