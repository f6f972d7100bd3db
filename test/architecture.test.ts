import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

/** Holds ARCHITECTURE.md's table of rooms, and the rules beside it that text can show, against every file of `src`. */
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What every room may import. */
const COMMON: readonly string[] = ['errors.ts', 'json.ts', 'limiter.ts', 'log.ts', 'trim-end.ts'];

const MAX_LINES = 300;

/** The one way out of `src`: `c3 run` starts the embedded cluster, which a server never loads. */
const WAY_OUT = { from: 'cli/run/open-target.ts', to: '../dev/cluster/index.ts' };

interface Room {
  /** `all`, a room (by its door, `index.ts`), or one file of a room. */
  readonly mayImport: readonly string[];
  readonly packages: readonly string[];
}

interface SourceFile {
  /** Within `src`, `forges/github/api.ts`. */
  readonly path: string;
  readonly text: string;
  /** Within `src` again; a path that begins with `..` is outside. */
  readonly files: readonly string[];
  /** Without Node's own. */
  readonly packages: readonly string[];
}

const rooms = readRooms();
const sources = readSources();

test('the table names every room of src, and no other', () => {
  const actual = [...new Set(sources.map(({ path }) => toRoom(path)))];
  expect([...rooms.keys()].sort()).toStrictEqual(actual.sort());
});

test('a file imports from other rooms only what the table allows', () => {
  const offences = sources.flatMap(({ path, files }) =>
    files.filter((target) => !mayImport(path, target)).map((target) => `${path} imports ${target}`),
  );
  expect(offences).toStrictEqual([]);
});

test('the development kit is loaded when it is asked for, never with the file', () => {
  expect(filesWith(/^(?:import|export)\b[^;'"]*?\bfrom '[./]*\/dev\//m)).toStrictEqual([]);
});

test('the table allows nothing that no file needs', () => {
  const unused = [...rooms].flatMap(([name, { mayImport: allowed }]) => {
    const targets = sources.filter(({ path }) => toRoom(path) === name).flatMap(({ files }) => files);
    const needless = allowed.filter((entry) => entry !== 'all' && !targets.includes(toDoor(entry)));
    return needless.map((entry) => `${name} does not need ${entry}`);
  });
  expect(unused).toStrictEqual([]);
});

test('a package is imported in the rooms that the table names, and there it is', () => {
  const actual = [...rooms.keys()].map((name) => {
    const used = sources.filter(({ path }) => toRoom(path) === name).flatMap(({ packages }) => packages);
    return [name, [...new Set(used)].sort()] as const;
  });
  const told = [...rooms].map(([name, { packages }]) => [name, [...packages].sort()] as const);
  expect(actual).toStrictEqual(told);
});

test('a folder within a room imports nothing from the folder beside it', () => {
  const offences = sources.flatMap(({ path, files }) => {
    const [room, folder, ...rest] = path.split('/');
    const siblings = files.filter((file) => {
      const [otherRoom, otherFolder, ...otherRest] = file.split('/');
      return rest.length > 0 && otherRest.length > 0 && room === otherRoom && folder !== otherFolder;
    });
    return siblings.map((file) => `${path} imports ${file}`);
  });
  expect(offences).toStrictEqual([]);
});

test('no files import each other in a circle, not even types', () => {
  const graph = new Map(sources.map(({ path, files }) => [path, files]));
  expect(findCycle(graph)).toStrictEqual([]);
});

test('the contracts hold types alone', () => {
  const contracts = ['forges/forge.ts', 'engine/cluster.ts', 'build/build-state.ts', 'pipeline/pipeline.ts'];
  const values = filesWith(/^export (?!type |interface )/m);
  expect(contracts.filter((path) => values.includes(path))).toStrictEqual([]);
  expect(contracts.filter((path) => !sources.some((source) => source.path === path))).toStrictEqual([]);
});

test('a circle would be found', () => {
  const graph = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['b']],
  ]);
  expect(findCycle(graph)).toStrictEqual(['b', 'c', 'b']);
});

test('exports are named, never default', () => {
  expect(filesWith(/\bexport default\b|\bas default\b/)).toStrictEqual([]);
});

test('the process is ended in main.ts alone, and its environment is read in cli alone', () => {
  expect(filesWith(/\bprocess\.exit\(/)).toStrictEqual(['main.ts']);
  expect(filesWith(/\bprocess\.env\b/)).toStrictEqual(['cli/commands.ts']);
});

test('no listener is taken off by the option `signal`: Node may forget to, and the process then keeps all that it knows', () => {
  expect(filesWith(/\baddEventListener\([^;]*?\{[^{}]*\bsignal\b[^{}]*\}\s*\)/)).toStrictEqual([]);
});

test('one file listens on a socket', () => {
  expect(filesWith(/@hono\/node-server|\bcreateServer\(/)).toStrictEqual(['server/listen.ts']);
});

test('no room but kube speaks to the Kubernetes API', () => {
  // Gitea has its API at the same path, which is the whole text where the configuration names it.
  const speakers = filesWith(/\/apis?\/(?:v1(?!')|[a-z.]+\/v1)|channel\.k8s\.io/);
  expect(speakers.map(toRoom)).toStrictEqual(speakers.map(() => 'kube'));
  expect(speakers.length).toBeGreaterThan(0);
});

test('pipeline and sealing know no clock, no network, no file and no environment', () => {
  const impure =
    /\bDate\.now\b|\bperformance\.|\bset(?:Timeout|Interval)\(|\bfetch\(|\bMath\.random\b|\bprocess\.|'node:(?!crypto)/;
  expect(filesWith(impure).filter((path) => ['pipeline', 'sealing'].includes(toRoom(path)))).toStrictEqual([]);
});

test('no folder is a drawer for what has no place', () => {
  const drawers = /(^|\/)(utils?|helpers?|common|managers?|services?|misc|lib)\//;
  expect(sources.map(({ path }) => path).filter((path) => drawers.test(path))).toStrictEqual([]);
});

test(`no file is longer than ${MAX_LINES} lines`, () => {
  expect(sources.filter(({ text }) => text.split('\n').length - 1 > MAX_LINES).map(({ path }) => path)).toStrictEqual(
    [],
  );
});

function readRooms(): Map<string, Room> {
  const text = readFileSync(`${ROOT}/ARCHITECTURE.md`, 'utf8');
  const rows = [...text.matchAll(/^\| `src\/([^`]+?)\/?` \|([^|]*)\|([^|]*)\|([^|]*)\|$/gm)];
  return new Map(rows.map(([, name = '', , mayImport = '', packages = '']) => [name, toRow(mayImport, packages)]));
}

function toRow(mayImport: string, packages: string): Room {
  return {
    mayImport: [...(mayImport.trim().startsWith('all') ? ['all'] : []), ...readCode(mayImport)],
    packages: readCode(packages),
  };
}

function readCode(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

function readSources(): SourceFile[] {
  const paths = readdirSync(`${ROOT}/src`, { recursive: true, encoding: 'utf8' }).map((path) =>
    path.replaceAll('\\', '/'),
  );
  return paths.filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts')).map(readSource);
}

function readSource(path: string): SourceFile {
  const text = readFileSync(`${ROOT}/src/${path}`, 'utf8');
  const specifiers = [
    ...text.matchAll(/^(?:import|export)\b[^;'"]*?\bfrom '([^']+)'/gm),
    ...text.matchAll(/^import '([^']+)'/gm),
    ...text.matchAll(/\bimport\('([^']+)'\)/g),
  ].map(([, specifier = '']) => specifier);
  const relative = specifiers.filter((specifier) => specifier.startsWith('.'));
  return {
    path,
    text,
    files: relative.map((specifier) => posix.join(posix.dirname(path), specifier)),
    packages: specifiers.filter((specifier) => !/^\.|^node:/.test(specifier)),
  };
}

function toRoom(path: string): string {
  return path.split('/')[0] ?? '';
}

function toDoor(entry: string): string {
  return entry.endsWith('.ts') ? entry : `${entry}/index.ts`;
}

function mayImport(path: string, target: string): boolean {
  if (toRoom(path) === toRoom(target) || COMMON.includes(target)) return true;
  if (path === WAY_OUT.from && target === WAY_OUT.to) return true;
  const allowed = rooms.get(toRoom(path))?.mayImport ?? [];
  if (allowed.includes('all') && rooms.has(toRoom(target)) && target.endsWith('/index.ts')) return true;
  return allowed.some((entry) => toDoor(entry) === target);
}

function filesWith(pattern: RegExp): string[] {
  return sources.filter(({ text }) => pattern.test(text)).map(({ path }) => path);
}

/** The first circle found, its first file again at its end; empty when there is none. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  function visit(path: string, trail: readonly string[]): string[] {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return [];
    for (const target of graph.get(path) ?? []) {
      const cycle = visit(target, [...trail, path]);
      if (cycle.length > 0) return cycle;
    }
    done.add(path);
    return [];
  }
  for (const path of graph.keys()) {
    const cycle = visit(path, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
