import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatSecret } from '../src/sealing/index.ts';

const root = join(import.meta.dirname, '..');
const env = {
  PATH: process.env['PATH'],
  HOME: process.env['HOME'],
  FORGE_TOKEN: 'token',
  C3_SECRET: formatSecret(randomBytes(32)),
  C3_ALLOW_REPOS: '**',
};

let other: Server;
let port = 0;
beforeAll(async () => {
  other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  port = (other.address() as AddressInfo).port;
});
afterAll(() => void other.close());

interface Transcript {
  readonly code: unknown;
  readonly out: string;
  readonly err: string;
}

/** Runs a program until it ends, or until it has printed the text. */
async function run(
  args: readonly string[],
  { until, ...options }: { until?: string; cwd?: string; env?: object } = {},
): Promise<Transcript> {
  const child = spawn(process.execPath, args, { cwd: root, ...options, env: { ...env, ...options.env } });
  const exit = once(child, 'exit') as Promise<[unknown]>;
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString();
    if (until !== undefined && out.includes(until)) child.kill();
  });
  child.stderr.on('data', (data: Buffer) => void (err += data.toString()));
  const [code] = await exit;
  return { code, out, err };
}

test.each([
  ['c3', 'src/main.ts serve --host 127.0.0.1', 1],
  ['forge', 'dev/forge/main.ts', 1],
  ['telegram', 'dev/telegram/main.ts', 1],
  ['c3', 'dev/cluster/main.ts', 1],
])('%s says in one sentence that the port is in use: %s', async (name, command, code) => {
  const transcript = await run([...command.split(' '), '--port', String(port)]);
  const err = `${name}: error: Port ${port} of 127.0.0.1 is in use by another program: choose another one with --port\n`;
  expect(transcript).toEqual({ code, out: '', err });
});

test('c3 serve with port 0 says at which port it listens', async () => {
  const { out } = await run(['src/main.ts', 'serve', '--host', '127.0.0.1', '--port', '0'], { until: 'listening' });
  const { origin, url } = JSON.parse(out.split('\n')[0] ?? '') as { origin: string; url: string };
  expect(url).toBe(`http://localhost:${new URL(origin).port}`);
  expect(url).not.toContain(':0');
});

test('the Telegram of the kit serves the chat of a group', async () => {
  const { out, err } = await run(['dev/telegram/main.ts', '--port', '0', '--chat=-1001'], { until: 'Chats: ' });
  expect(err).toBe('');
  expect(out).toContain('Chats: -1001\n');
});

test('the embedded cluster explains its options, and refuses others in one sentence', async () => {
  expect(await run(['dev/cluster/main.ts', '--help'])).toMatchObject({
    code: 0,
    out: expect.stringContaining('--kubeconfig'),
  });
  const { code, err } = await run(['dev/cluster/main.ts', '--port', 'x']);
  expect({ code, err }).toEqual({
    code: 1,
    err: "error: option '--port <port>' argument 'x' is invalid. a port is a number from 0 to 65535.\n",
  });
});

test('npm run c3 reads files of the folder in which it was called', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'c3-caller-'));
  try {
    writeFileSync(join(cwd, 'c3.yaml'), 'wat: 1\n');
    const called = { npm_lifecycle_event: 'c3', npm_package_name: 'c3-ci', INIT_CWD: cwd };
    const { out } = await run(['src/main.ts', 'lint'], { env: called });
    expect(out).toContain('c3.yaml:1:1 error: unknown key "wat"');
    // A script of another package, which calls c3.
    const foreign = await run([join(root, 'src/main.ts'), 'lint'], {
      cwd,
      env: { ...called, npm_package_name: 'shop', INIT_CWD: root },
    });
    expect(foreign.out).toContain('c3.yaml:1:1 error: unknown key "wat"');
  } finally {
    rmSync(cwd, { recursive: true });
  }
});
