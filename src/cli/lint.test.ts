import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parsePipeline } from '../pipeline/index.ts';
import { runCli } from './commands.ts';
import type { Terminal } from './terminal.ts';

const seed = readFileSync(join(import.meta.dirname, '../../examples/seed.c3.yaml'), 'utf8');
const right = seed.replace('<encrypted-k8s-config>', 'aa.aXY.Y3Q.dGFn');
const fixed = right.replaceAll(/^ {2}(?=\/kaniko\/executor|--)/gm, '    ');

interface Transcript {
  exitCode: number;
  out: string;
  err: string;
  files: Record<string, string>;
}

async function lint(args: string[], source?: string, input = ''): Promise<Transcript> {
  const files: Record<string, string> = source === undefined ? {} : { 'c3.yaml': source };
  const out: string[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    env: {},
    isInputTerminal: false,
    readInput: () => Promise.resolve(input),
    readFile(path) {
      const text = files[path];
      if (text === undefined) throw new Error('no such file');
      return text;
    },
    writeFile: (path, text) => void (files[path] = text),
    print: (text) => void out.push(`${text}\n`),
    tell: (text) => void err.push(`${text}\n`),
  };
  const exitCode = await runCli(['lint', ...args], terminal);
  return { exitCode, out: out.join(''), err: err.join(''), files };
}

describe('the exit code', () => {
  it.each<[string, string[], string, number]>([
    ['is 0 without problems', [], fixed, 0],
    ['is 0 with warnings', [], right, 0],
    ['is 1 with warnings and --strict', ['--strict'], right, 1],
    ['is 0 without problems and --strict', ['--strict'], fixed, 0],
    ['is 1 with errors', [], seed.replace('- git:', '- gti:'), 1],
    ['is 2 for an unknown format', ['--format', 'xml'], right, 2],
    ['is 2 for a missing file', ['other.yaml'], right, 2],
    ['is 2 for --fix of standard input', ['--fix', '-'], right, 2],
  ])('%s', async (_what, args, source, exitCode) => {
    expect((await lint(args, source)).exitCode).toBe(exitCode);
  });
});

it('shows each problem with its position, and counts them', async () => {
  expect(await lint([], right)).toMatchObject({
    out: [
      'c3.yaml:58:12 warning: the text under "kaniko: |" is not indented deeper than "kaniko"; read as if it were',
      '  57 | - clj: clojure -A:jar',
      '  58 | - kaniko:  |',
      '     |            ^ lines 59-63 belong to this script: indent by 2 more spaces (`c3 lint --fix` does it)',
      '',
      '',
    ].join('\n'),
    err: 'c3.yaml: 0 errors, 1 warning\n',
  });
});

it('shows the excerpt of the file in clear text', async () => {
  const { out } = await lint([], `${fixed}\nsecrets: {TOKEN: hunter2}\n`);
  expect(out).toContain('secrets.TOKEN is not a sealed value');
  expect(out).toContain('| secrets: {TOKEN: hunter2}');
});

it('reads standard input for -', async () => {
  expect(await lint(['-'], undefined, 'wat: 1\n')).toMatchObject({
    exitCode: 1,
    out: expect.stringContaining('standard input:1:1 error: unknown key "wat"'),
    err: 'standard input: 4 errors, 0 warnings\n',
  });
});

it('prints only one JSON object with --json', async () => {
  const { out, err } = await lint(['--json'], right);
  expect(err).toBe('');
  expect(JSON.parse(out)).toEqual({
    file: 'c3.yaml',
    problems: [
      {
        severity: 'warning',
        message: 'the text under "kaniko: |" is not indented deeper than "kaniko"; read as if it were',
        hint: 'lines 59-63 belong to this script: indent by 2 more spaces (`c3 lint --fix` does it)',
        line: 58,
        column: 12,
        endColumn: 13,
      },
    ],
  });
  expect((await lint(['--format', 'json'], right)).out).toBe(out);
});

it('prints escaped workflow commands with --format github', async () => {
  const source = `${fixed}\nenv: {"A%\\n::error::x": b}\n`;
  expect(await lint(['--format', 'github'], source)).toMatchObject({
    exitCode: 1,
    out:
      '::error file=c3.yaml,line=65,col=7,endColumn=23::"A%25\\n::error::x" is not the name of a shell variable: ' +
      'letters, digits and "_", not starting with a digit, at most 128\n',
  });
  const names = await lint(['--format', 'github', '-'], undefined, 'wat: 1\n');
  expect(names.out.split('\n').every((line) => line === '' || line.startsWith('::error file=standard input,'))).toBe(
    true,
  );
});

describe('a character that controls a terminal', () => {
  const source = `${fixed}\nenv: {"A\u009b2J\u0086\u202e": b}\n`;

  it('is escaped in JSON, and the JSON has it', async () => {
    const { out } = await lint(['--json'], source);
    expect(out.trimEnd()).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
    expect(JSON.parse(out)).toMatchObject({
      problems: [{ message: '"A\u009b2J\u0086\u202e" is not the name of a shell variable' }],
    });
  });

  it.each(['text', 'github'])('is not shown with --format %s', async (format) => {
    const { out } = await lint(['--format', format], source);
    expect(out).toContain('"A\uFFFD2J\uFFFD\uFFFD" is not the name of a shell variable');
    expect(out.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
  });
});

it("warns of README's placeholder, which a build refuses", async () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
  const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(await lint([], example)).toMatchObject({ exitCode: 0, err: 'c3.yaml: 0 errors, 1 warning\n' });
  expect(await lint(['--strict'], example)).toMatchObject({ exitCode: 1 });
  expect(parsePipeline(example).problems.map(({ severity }) => severity)).toEqual(['error']);
});

describe('--fix', () => {
  it('indents the script, reports it, and counts the remaining problems', async () => {
    expect(await lint(['--fix'], right)).toEqual({
      exitCode: 0,
      out: '',
      err: 'c3.yaml: indented lines 59-63, the script of "kaniko"\nc3.yaml: 0 errors, 0 warnings\n',
      files: { 'c3.yaml': fixed },
    });
  });

  it('changes nothing the second time', async () => {
    expect(await lint(['--fix'], fixed)).toMatchObject({
      exitCode: 0,
      err: 'c3.yaml: nothing changed\nc3.yaml: 0 errors, 0 warnings\n',
      files: { 'c3.yaml': fixed },
    });
  });

  it('indents a file with a placeholder, and still reports the placeholder', async () => {
    const { exitCode, files, out } = await lint(['--fix'], seed);
    expect(exitCode).toBe(0);
    expect(out).toContain('1:1 warning: k8s is still the placeholder of an example');
    expect(files['c3.yaml']).toBe(fixed.replace('aa.aXY.Y3Q.dGFn', '<encrypted-k8s-config>'));
  });

  it('does not write a file that would still have an error', async () => {
    const broken = right.replace('- git: git', '- gti: git');
    expect(await lint(['--fix'], broken)).toMatchObject({ exitCode: 1, files: { 'c3.yaml': broken } });
  });
});
