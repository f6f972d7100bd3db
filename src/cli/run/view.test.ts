import { expect, it } from 'vitest';
import type { Terminal } from '../terminal.ts';
import type { RunEvent } from './run-event.ts';
import { createFormatter, createLiveLines, createOutputLines, createView, toShownLine } from './view.ts';

const steps = [
  { name: 'checkout', container: 'git' },
  { name: 'test', container: 'main' },
  { name: 'lint', container: 'main' },
  { name: 'deploy', container: 'main' },
];

const EVENTS: readonly RunEvent[] = [
  { kind: 'started', sha: 'abcdef0123456789', ref: 'refs/heads/main', changedFiles: 1, cluster: 'context "staging"' },
  { kind: 'warning', message: 'careful' },
  { kind: 'waiting', reason: 'pulling image node:24' },
  { kind: 'planned', steps, isWarm: false },
  { kind: 'step-started', step: 0, name: 'checkout', attempt: 1 },
  { kind: 'step-ended', step: 0, name: 'checkout', outcome: 'passed', isAllowed: false, durationMs: 300 },
  { kind: 'step-started', step: 1, name: 'test', attempt: 1 },
  { kind: 'output', step: 1, name: 'test', text: '\u001B[31mred\u001B[0m' },
  { kind: 'output', step: 1, name: 'test', text: '' },
  { kind: 'step-started', step: 1, name: 'test', attempt: 2 },
  { kind: 'step-ended', step: 1, name: 'test', outcome: 'failed', exitCode: 3, isAllowed: false, durationMs: 12_300 },
  { kind: 'step-ended', step: 2, name: 'lint', outcome: 'failed', exitCode: 1, isAllowed: true, durationMs: 900 },
  { kind: 'step-ended', step: 3, name: 'deploy', outcome: 'skipped', reason: 'a tag', isAllowed: false, durationMs: 0 },
  { kind: 'ended', outcome: 'failed', step: 'test', message: 'exit code 3', exitCode: 3, durationMs: 14_000 },
];

it('tells a run in lines, with a summary at the end', () => {
  const format = createFormatter({ hasColours: false });
  expect(EVENTS.flatMap(format).join('\n')).toBe(`c3: main at abcdef0, 1 file changed, on context "staging"
c3: warning: careful
c3: pulling image node:24
✔ checkout  0.3s
test     │ red
test     │
test     │ attempt 2
✘ test  12s  exit code 3
✘ lint  0.9s  exit code 1, allowed

  ✔ checkout  0.3s
  ✘ test  12s  exit code 3
  ✘ lint  0.9s  exit code 1, allowed
  – deploy  skipped: a tag

failed in step "test": exit code 3 (14s)`);
});

it('tells no name of a branch that speaks to the terminal', () => {
  const format = createFormatter({ hasColours: true });
  const ref = 'refs/heads/a\u009b2J\u202eb';
  expect(format({ kind: 'started', sha: 'abcdef0', ref, changedFiles: 0, cluster: 'context "x"' })).toEqual([
    'c3: a\uFFFD2J\uFFFDb at abcdef0, on context "x"',
  ]);
});

it('prints JSON in which what a terminal obeys is an escape', () => {
  const { terminal, printed } = createTerminal({});
  const event: RunEvent = { kind: 'output', step: 1, name: 'test', text: '\u001B[31m\u009b2J\u202e' };
  createView(terminal, { isJson: true, isDryRun: false }).show(event);
  expect(printed).toEqual([String.raw`{"kind":"output","step":1,"name":"test","text":"\u001b[31m\u009b2J\u202e"}`]);
});

function createTerminal(
  env: Record<string, string>,
  screen?: Terminal['screen'],
): { terminal: Terminal; printed: string[] } {
  const printed: string[] = [];
  const terminal = { env, print: (text: string) => void printed.push(text), ...(screen ? { screen } : {}) } as Terminal;
  return { terminal, printed };
}

it.each([
  [{}, false],
  [{ FORCE_COLOR: '1' }, true],
  [{ FORCE_COLOR: '0' }, false],
  [{ FORCE_COLOR: '1', NO_COLOR: '1' }, true],
])('without a terminal and with %j has colours: %s', (env, hasColours) => {
  const { terminal, printed } = createTerminal(env);
  const view = createView(terminal, { isJson: false, isDryRun: false });
  view.show({ kind: 'waiting', reason: 'a node' });
  view.close();
  expect(printed).toEqual([hasColours ? '\u001B[90mc3: a node\u001B[39m' : 'c3: a node']);
});

it.each([
  [{}, true],
  [{ NO_COLOR: '1' }, false],
])('in a terminal and with %j has colours: %s', (env, hasColours) => {
  const written: string[] = [];
  const { terminal } = createTerminal(env, { columns: () => 80, write: (text) => void written.push(text) });
  const view = createView(terminal, { isJson: false, isDryRun: false });
  view.show({ kind: 'waiting', reason: 'a node' });
  view.close();
  expect(written.join('')).toBe(hasColours ? '\u001B[90mc3: a node\u001B[39m\n' : 'c3: a node\n');
});

it('prints an event a line with --json', () => {
  const { terminal, printed } = createTerminal({});
  const view = createView(terminal, { isJson: true, isDryRun: false });
  for (const event of EVENTS) view.show(event);
  expect(printed.map((line) => JSON.parse(line) as unknown)).toEqual(EVENTS);
});

it('draws what runs below the lines, over itself, and never wider than the screen', () => {
  const written: string[] = [];
  let now = 0;
  const screen = { columns: () => 20, write: (text: string) => void written.push(text) };
  const live = createLiveLines(screen, { format: (event) => [event.kind], now: () => now });
  live.show({ kind: 'step-started', step: 0, name: 'a', attempt: 1 });
  now = 1500;
  live.show({ kind: 'step-started', step: 1, name: 'ein langer Name 日本語', attempt: 1 });
  live.show({ kind: 'output', step: 0, name: 'a', text: '' });
  live.show({ kind: 'step-ended', step: 0, name: 'a', outcome: 'passed', isAllowed: false, durationMs: 1 });
  live.close();
  expect(written).toEqual([
    'step-started\n▸ 0s  a\n',
    '\u001B[1A\u001B[Jstep-started\n▸ 1.5s  a\n▸ 0s  ein langer N\n',
    '\u001B[2A\u001B[Joutput\n▸ 1.5s  a\n▸ 0s  ein langer N\n',
    '\u001B[2A\u001B[Jstep-ended\n▸ 0s  ein langer N\n',
    '\u001B[1A\u001B[J',
  ]);
});

it('makes lines of bytes, however they are cut', () => {
  const bytes = Buffer.from('grüße\n\nlast');
  for (let size = 1; size <= bytes.length; size++) {
    const lines = createOutputLines();
    const told: string[] = [];
    for (let at = 0; at < bytes.length; at += size) told.push(...lines.push(bytes.subarray(at, at + size)));
    expect([...told, ...lines.flush()]).toEqual(['grüße', '', 'last']);
    expect(lines.flush()).toEqual([]);
  }
});

it('cuts a line without an end in pieces', () => {
  const lines = createOutputLines();
  const told = lines.push(Buffer.from('x'.repeat(40_000)));
  expect(told.map(({ length }) => length)).toEqual([16_384, 16_384]);
  expect(lines.flush().map(({ length }) => length)).toEqual([40_000 - 2 * 16_384]);
});

it.each([
  ['\u001B[31mred\u001B[0m', '\u001B[31mred\u001B[0m\u001B[0m', 'red'],
  ['10%\r50%\r100%\r', '100%', '100%'],
  ['\u001B[2J\u001B[Htop\u001B[1A', 'top', 'top'],
  ['\u001B]0;title\u0007text', 'text', 'text'],
  ['\u001B]8;;https://example.com\u001B\\link\u001B]8;;\u001B\\', 'link', 'link'],
  ['bell\u0007 back\bk\ttab', 'bell back\ttab', 'bell back\ttab'],
  ['half \u001B[', 'half ', 'half '],
])('shows %j as %j in colours, and as %j without', (line, coloured, plain) => {
  expect(toShownLine(line, { keepsColours: true })).toBe(coloured);
  expect(toShownLine(line, { keepsColours: false })).toBe(plain);
});
