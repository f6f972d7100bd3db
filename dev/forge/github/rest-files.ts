import { GIT_ENVIRONMENT, resolveCommit, tryGit } from '../git.ts';
import { readObject } from '../object-reader.ts';
import type { ApiState, Route, RouteAnswer, RouteCall } from '../route.ts';
import { refuse } from './answers.ts';
import { toApiUrl, type Json } from './repository-json.ts';

const NOT_FOUND: RouteAnswer = refuse(404, 'Not Found');
const RAW = /^application\/vnd\.github\.(?:v3\.)?raw(?:\+json)?$/;
/** GitHub shows a larger file without its content, unless the client asks for the raw one. */
const MAX_CONTENT_BYTES = 1024 * 1024;
/** git stores the target of a symbolic link as a file; a longer one is no path. */
const MAX_LINK_BYTES = 4096;

export function createFileRoutes({ origin }: Pick<ApiState, 'origin'>): Route[] {
  return [
    {
      method: 'GET',
      pattern: /^\/contents\/(.+)$/,
      permission: 'read',
      handle: (call) => readContents(origin, call),
    },
  ];
}

/** A file, a directory, a link or a submodule. */
interface Entry {
  readonly type: 'file' | 'dir' | 'symlink' | 'submodule';
  readonly sha: string;
  readonly path: string;
  readonly size: number;
}

/** @see https://docs.github.com/en/rest/repos/contents#get-repository-content */
async function readContents(origin: string, call: RouteCall): Promise<RouteAnswer> {
  const { repository, query, accept } = call;
  const path = (call.captures[0] ?? '').replace(/\/+$/, '');
  const ref = query.get('ref') ?? repository.defaultBranch;
  const commit = await resolveCommit(repository.path, ref);
  if (commit === undefined) return refuse(404, `No commit found for the ref ${ref}`);
  const where = { origin, call, ref };
  const object = await readObject(repository.path, `${commit}:${path}`, GIT_ENVIRONMENT);
  if (object?.type === 'tree') {
    const entries = await listEntries(repository.path, `${commit}:${path}`);
    return {
      status: 200,
      body: entries.map((entry) => toJson(where, { ...entry, path: `${path}/${entry.path}` })),
    };
  }
  if (object?.type !== 'blob') return await readSubmodule(where, { commit, path });
  const { sha, bytes } = object;
  const link = await readLink(repository.path, { commit, path, bytes });
  const file = link ?? object;
  if (file.type !== 'blob') {
    const shown = toJson(where, { type: 'symlink', sha, path, size: bytes.length });
    return { status: 200, body: { ...shown, target: bytes.toString('utf8') } };
  }
  if (RAW.test(accept)) {
    return { status: 200, body: file.bytes, contentType: 'application/vnd.github.raw+json; charset=utf-8' };
  }
  const isLarge = file.bytes.length > MAX_CONTENT_BYTES;
  const content = isLarge ? '' : file.bytes.toString('base64').replaceAll(/.{1,60}/g, '$&\n');
  const shown = toJson(where, { type: 'file', sha: file.sha, path, size: file.bytes.length });
  return { status: 200, body: { ...shown, content, encoding: isLarge ? 'none' : 'base64' } };
}

/**
 * Returns what a symbolic link points at: GitHub answers with the file, if it is a file of the repository. Undefined if
 * the path is no link.
 */
async function readLink(
  directory: string,
  { commit, path, bytes }: { readonly commit: string; readonly path: string; readonly bytes: Buffer },
): Promise<{ type: string; sha: string; bytes: Buffer } | undefined> {
  // To look at the mode costs a process. Most files cannot be a link.
  if (bytes.length === 0 || bytes.length > MAX_LINK_BYTES || bytes.includes(10)) return undefined;
  const [entry] = await listEntries(directory, commit, path);
  if (entry?.type !== 'symlink') return undefined;
  const target = new URL(bytes.toString('utf8'), `file:///${path}`).pathname.slice(1);
  const found = await readObject(directory, `${commit}:${decodeURIComponent(target)}`, GIT_ENVIRONMENT);
  return found ?? { type: 'missing', sha: '', bytes };
}

async function readSubmodule(
  where: Where,
  { commit, path }: { readonly commit: string; readonly path: string },
): Promise<RouteAnswer> {
  const [entry] = await listEntries(where.call.repository.path, commit, path);
  if (entry?.type !== 'submodule' || entry.path !== path) return NOT_FOUND;
  const submodule_git_url = await readSubmoduleUrl(where.call.repository.path, { commit, path });
  return { status: 200, body: { ...toJson(where, entry), submodule_git_url } };
}

/** Finds the URL of a submodule in `.gitmodules`; null if it is not there. */
async function readSubmoduleUrl(
  directory: string,
  { commit, path }: { readonly commit: string; readonly path: string },
): Promise<string | null> {
  const options = ['config', '--blob', `${commit}:.gitmodules`, '--null'];
  const output = await tryGit(directory, [...options, '--get-regexp', String.raw`^submodule\..*\.path$`]);
  for (const entry of (output ?? '').split('\0')) {
    const [key = '', value] = entry.split('\n');
    if (value === path)
      return (await tryGit(directory, [...options.slice(0, -1), key.replace(/path$/, 'url')])) ?? null;
  }
  return null;
}

const TYPES: Readonly<Record<string, Entry['type']>> = { '040000': 'dir', '120000': 'symlink', '160000': 'submodule' };

/** Lists a directory, or the one entry of a path. */
async function listEntries(directory: string, tree: string, path?: string): Promise<Entry[]> {
  const options = ['--literal-pathspecs', 'ls-tree', '-z', '--long', '--full-tree', tree];
  const output = await tryGit(directory, path === undefined ? options : [...options, '--', path]);
  return (output ?? '').split('\0').flatMap((line) => {
    const [, mode = '', sha = '', size = '', name] = /^(\d+) \w+ (\w+) +(\S+)\t(.+)$/s.exec(line) ?? [];
    return name === undefined ? [] : [{ type: TYPES[mode] ?? 'file', sha, path: name, size: Number(size) || 0 }];
  });
}

interface Where {
  readonly origin: string;
  readonly call: RouteCall;
  readonly ref: string;
}

function toJson({ origin, call: { repository }, ref }: Where, { type, sha, path, size }: Entry): Json {
  const api = toApiUrl(origin, repository);
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  const url = `${api}/contents/${encoded}?ref=${encodeURIComponent(ref)}`;
  const isTree = type === 'dir' || type === 'submodule';
  const git_url = `${api}/git/${isTree ? 'trees' : 'blobs'}/${sha}`;
  const html_url = `${origin}/${repository.fullName}/${isTree ? 'tree' : 'blob'}/${ref}/${encoded}`;
  const download_url = isTree ? null : `${origin}/${repository.fullName}/raw/${ref}/${encoded}`;
  return {
    type,
    name: path.slice(path.lastIndexOf('/') + 1),
    path,
    sha,
    size,
    url,
    git_url,
    html_url,
    download_url,
    _links: { self: url, git: git_url, html: html_url },
  };
}
