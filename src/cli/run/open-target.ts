import { dirname, join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { C3Error, toMessage } from '../../errors.ts';
import { isJsonObject, readArray, readString, type UnknownObject } from '../../json.ts';
import { readUserFile, type Terminal } from '../terminal.ts';

/** The cluster on which the steps run. */
export interface Target {
  /** Its name in messages: `the embedded cluster`, `context "staging"`. */
  readonly name: string;
  readonly kubeconfig: string;
  close(): Promise<void>;
}

export interface TargetFlags {
  readonly local?: boolean;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** @throws {C3Error} USAGE_INVALID, KUBECONFIG_INVALID; CLUSTER_UNREACHABLE without an embedded cluster */
export async function openTarget(terminal: Terminal, flags: TargetFlags): Promise<Target> {
  if (flags.kubeconfig === undefined && flags.context === undefined) {
    const cluster = await startEmbedded();
    return { name: 'the embedded cluster', kubeconfig: cluster.kubeconfig, close: () => cluster.close() };
  }
  if (flags.local === true) {
    throw new C3Error(
      'USAGE_INVALID',
      '--local selects the embedded cluster, so --kubeconfig and --context cannot be used with it',
    );
  }
  const { name, kubeconfig } = readUserCluster(terminal, flags);
  return { name: `context "${name}"`, kubeconfig, close: () => Promise.resolve() };
}

/**
 * Starts the embedded cluster. Only this function uses the development kit. The dynamic import keeps it out of a
 * server's memory, and an image may be built without it.
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

/** An object of a kubeconfig and the folder of its file. Paths in it are relative to this folder. */
interface Found {
  readonly fields: UnknownObject;
  readonly folder: string;
}

/** Fields that name a file, and the fields that hold its content instead. */
const FILES: readonly (readonly [string, string, 'base64' | 'text'])[] = [
  ['certificate-authority', 'certificate-authority-data', 'base64'],
  ['client-certificate', 'client-certificate-data', 'base64'],
  ['client-key', 'client-key-data', 'base64'],
  ['tokenFile', 'token', 'text'],
];

/**
 * Reads a context of the user's kubeconfig with the files that it names. It runs no programs: their tokens expire
 * within an hour, and c3's client would have to run them again.
 *
 * Default: the current context of the files of `KUBECONFIG`, joined like kubectl does, or of `~/.kube/config`.
 *
 * @returns the name of the context, and a kubeconfig with only this context, which contains the files that it names
 * @throws {C3Error} KUBECONFIG_INVALID, USAGE_INVALID
 * @see https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 */
export function readUserCluster(
  terminal: Terminal,
  { kubeconfig: path, context }: TargetFlags,
): Pick<Target, 'name' | 'kubeconfig'> {
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
  const hint = 'name it: --kubeconfig FILE; without --kubeconfig and --context the embedded cluster is used';
  const text = readUserFile(terminal, path, { noun: 'the kubeconfig ', hint });
  try {
    const fields: unknown = parse(text, { logLevel: 'error', prettyErrors: false, maxAliasCount: 0 });
    if (isJsonObject(fields)) return { fields, folder: dirname(resolve(path)) };
  } catch {
    // The parser's message would quote the file, which holds secrets.
  }
  throw new C3Error('KUBECONFIG_INVALID', `"${path}" is not a kubeconfig`);
}

function readCurrent(files: readonly Found[]): string | undefined {
  return files.map(({ fields }) => readString(fields['current-context'])).find(Boolean);
}

/** Finds an entry by name. The first entry wins, as in kubectl. */
function find(files: readonly Found[], { list, member, name }: { list: string; member: string; name: unknown }): Found {
  const names: unknown[] = [];
  for (const { fields, folder } of files) {
    for (const entry of readArray(fields[list])) {
      if (!isJsonObject(entry)) continue;
      names.push(entry['name']);
      const found = entry[member];
      if (entry['name'] === name && isJsonObject(found)) return { fields: found, folder };
    }
  }
  const known = names.map((other) => `"${String(other)}"`).join(', ');
  const options = known === '' ? {} : { hint: `it has ${known}` };
  throw new C3Error('KUBECONFIG_INVALID', `The kubeconfig has no ${member} "${String(name)}"`, options);
}

function refusePrograms(user: UnknownObject, name: string): void {
  const program = ['exec', 'auth-provider'].find((field) => isJsonObject(user[field]));
  if (program === undefined) return;
  const hint = `make a token, kubectl create token SERVICEACCOUNT, and put it into a copy of kubectl config view --minify --flatten --raw, as users[0].user.token in place of ${program}`;
  const message = `The user "${name}" of the kubeconfig gets its token from a program (${program}), which c3 does not run`;
  throw new C3Error('KUBECONFIG_INVALID', message, { hint });
}

function inline(terminal: Terminal, { fields, folder }: Found): UnknownObject {
  const inlined: Record<string, unknown> = { ...fields };
  for (const [file, data, form] of FILES) {
    const path = readString(fields[file]);
    if (!path) continue;
    delete inlined[file];
    // As in kubectl, embedded data wins over a file. A token file wins over a token, because it is renewed.
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
