import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';

import { runCli } from '../src/cli/commands.ts';
import { tellError, type Terminal } from '../src/cli/terminal.ts';
import { SETTINGS } from '../src/config/index.ts';
import { C3Error, type ErrorCode } from '../src/errors.ts';
import { parsePipeline, summarizeProblem } from '../src/pipeline/index.ts';
import { toErrorResponse } from '../src/server/responses.ts';
import { serveApp } from './fakes/served-app.ts';

/** Compares the documents with the code: everything that exists is documented, and everything documented exists. */
const ROOT = fileURLToPath(new URL('..', import.meta.url));

const pages = findPages();

test('docs/settings.md names every setting and its flag', () => {
  const text = read('docs/settings.md');
  for (const { env, flag } of Object.values(SETTINGS)) {
    expect(text).toContain(`\`${env}\``);
    expect(text).toContain(flag ?? env);
  }
});

test('docs/command-line.md has a section for each command with all its flags', async () => {
  const sections = new Map(
    read('docs/command-line.md')
      .split(/^## c3 /m)
      .slice(1)
      .map((section) => [section.split('\n')[0] ?? '', section]),
  );
  const commands = [...(await help('--help')).matchAll(/^ {2}([a-z][a-z-]*)\b.*$/gm)].map(([, name = '']) => name);
  expect(commands).toContain('serve');
  expect([...sections.keys()]).toStrictEqual(commands);
  for (const command of commands.filter((name) => name !== 'help')) {
    const options = [...(await help(command, '--help')).matchAll(/^ {2}(-.*?)(?: {2}|$)/gm)].map(
      ([, text = '']) => text,
    );
    const flags = options.flatMap((text) => text.match(/--[a-z-]+/g) ?? []).filter((flag) => flag !== '--help');
    expect(flags.filter((flag) => !sections.get(command)?.includes(`\`${flag}\``))).toStrictEqual([]);
  }
});

test('docs/http.md has a row for each route and no other rows', () => {
  const { app } = serveApp();
  const rows = [...read('docs/http.md').matchAll(/^\| `((?:GET|POST) [^`]+)` \|/gm)].map(([, route]) => route);
  expect(rows).toStrictEqual(app.routes.map(({ method, path }) => `${method} ${path}`));
});

describe('docs/errors.md', () => {
  const rows = [...read('docs/errors.md').matchAll(/^\| `([A-Z_]+)` \|[^|]*\| ([^|]+) \| ([^|]+) \|/gm)].map(
    ([, code = '', http = '', exit = '']) => ({ code: code as ErrorCode, http, exit }),
  );

  test('has a row for each error code, in the order of the type', () => {
    const union = /export type ErrorCode =([^;]+);/.exec(read('src/errors.ts'))?.[1] ?? '';
    const codes = [...union.replaceAll(/\/\/.*/g, '').matchAll(/'([A-Z_]+)'/g)].map(([, code]) => code);
    expect(codes).toContain('INTERNAL');
    expect(rows.map(({ code }) => code)).toStrictEqual(codes);
  });

  test('gives the HTTP status and the exit code of each', () => {
    const actual = rows.map(({ code }) => {
      const error = new C3Error(code, 'A fault');
      const { status } = toErrorResponse(error);
      // 500 is for bugs of c3. A code without its own status never becomes a response.
      const http = status === 500 && code !== 'INTERNAL' ? '–' : String(status);
      return { code, http, exit: String(tellError(createTerminal([]), error)) };
    });
    expect(rows).toStrictEqual(actual);
  });
});

describe('a c3.yaml in the documents', () => {
  const examples = readdirSync(join(ROOT, 'examples')).map((name) => `examples/${name}`);

  test.each(examples)('%s has no error after its placeholders are replaced', (path) => {
    expect(findErrors(read(path))).toStrictEqual([]);
  });

  test('is in a file that ends in .c3.yaml', () => {
    expect(examples.filter((path) => !path.endsWith('.c3.yaml'))).toStrictEqual([]);
    expect(examples.length).toBeGreaterThan(0);
  });

  test.each(pages)('%s has no error in any complete example', (page) => {
    const blocks = [...read(page).matchAll(/^```yaml[^\n]*\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);
    const whole = blocks.filter((block) => /^k8s:/m.test(block));
    expect(whole.flatMap(findErrors)).toStrictEqual([]);
  });
});

test.each(pages)('%s has only links and paths that exist', (page) => {
  const text = read(page).replaceAll(/^```[\s\S]*?^```/gm, '');
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  const broken = links.filter((link) => !/^(?:https?|mailto):/.test(link) && !leadsSomewhere(page, link));
  const paths = [...text.matchAll(/`((?:src|dev|test|docs|deploy|examples|decisions)\/[\w./-]+)`/g)];
  const missing = paths.map(([, path = '']) => path).filter((path) => !existsSync(join(ROOT, path)));
  expect([...broken, ...missing]).toStrictEqual([]);
});

test.each(pages)('%s names only scripts that package.json has', (page) => {
  const named = [...read(page).matchAll(/\bnpm run (?:--silent )?([a-z][\w:]*)/g)].map(([, name = '']) => name);
  const { scripts } = readPackage();
  expect(named.filter((name) => !Object.hasOwn(scripts, name))).toStrictEqual([]);
});

test('docs/README.md links to every document and every decision', () => {
  const links = [...read('docs/README.md').matchAll(/\]\(([^)#\s]+)/g)].map(([, link = '']) => join('docs', link));
  const documents = pages.filter((page) => /^(?:docs|decisions)\//.test(page) && page !== 'docs/README.md');
  expect(documents.filter((page) => !links.includes(page))).toStrictEqual([]);
});

test('CI runs the commands that README.md gives', () => {
  const commands = [...read('README.md').matchAll(/^ {4}npm ci && (npm .+)$/gm)].map(([, command = '']) => command);
  expect(commands).toStrictEqual(['npm run demo', 'npm test']);
  const stages = read('.ci/run');
  expect(commands.filter((command) => !stages.includes(`stage ${command}`))).toStrictEqual([]);
});

test('docs/dependencies.md has a row for each direct dependency, with its version', () => {
  const { dependencies, devDependencies } = readPackage();
  const rows = [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` (\S+) \|/gm)].map(
    ([, name = '', version = '']) => `${name} ${version}`,
  );
  const actual = [...Object.entries(dependencies), ...Object.entries(devDependencies)].map(
    ([name, version]) => `${name} ${version}`,
  );
  expect(rows.sort()).toStrictEqual(actual.sort());
});

test('deploy/ is YAML and names only settings that exist', () => {
  const files = readdirSync(join(ROOT, 'deploy')).filter((name) => name.endsWith('.yaml'));
  const known = Object.values(SETTINGS).map(({ env }) => env);
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    const text = read(`deploy/${file}`);
    const documents = [...parseAllDocuments(text)];
    expect(documents.flatMap(({ errors }) => errors.map(({ message }) => message))).toStrictEqual([]);
    const named = [...text.matchAll(/\bname: (C3_[A-Z_]+)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !known.includes(name))).toStrictEqual([]);
  }
});

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Finds every Markdown file of the repository. */
function findPages(): string[] {
  const folders = readdirSync(ROOT, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && !entry.name.startsWith('.') && !['node_modules', 'dist'].includes(entry.name),
  );
  const nested = folders.flatMap(({ name }) =>
    readdirSync(join(ROOT, name), { recursive: true, encoding: 'utf8' }).map((path) => join(name, path)),
  );
  return [...readdirSync(ROOT), ...nested].filter((path) => path.endsWith('.md')).sort();
}

function readPackage(): Record<'scripts' | 'dependencies' | 'devDependencies', Record<string, string>> {
  return JSON.parse(read('package.json')) as ReturnType<typeof readPackage>;
}

function findErrors(source: string): string[] {
  const sealed = source.replaceAll(/<[\w .:-]+>/g, 'aa.bb.cc.dd');
  const { problems } = parsePipeline(sealed);
  return problems.filter(({ severity }) => severity === 'error').map((problem) => summarizeProblem(problem, {}));
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : join(dirname(page), path);
  if (!existsSync(join(ROOT, target))) return false;
  if (anchor === undefined) return true;
  const headings = [...read(target).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => toAnchor(heading));
  return headings.includes(anchor);
}

/** Makes an anchor from a heading as GitHub does. */
function toAnchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .replaceAll(' ', '-');
}

async function help(...args: string[]): Promise<string> {
  const printed: string[] = [];
  expect(await runCli(args, createTerminal(printed))).toBe(0);
  return printed.join('\n');
}

function createTerminal(printed: string[]): Terminal {
  return {
    env: {},
    isInputTerminal: false,
    readInput: () => Promise.resolve(''),
    readFile: (path) => {
      throw new Error(`no file "${path}"`);
    },
    writeFile: () => {},
    print: (text) => void printed.push(text),
    tell: () => {},
  };
}
