import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  openSealed,
  parseHookQuery,
  parseKeyring,
  parsePurpose,
  parseScope,
  toJwks,
  type Purpose,
} from '../sealing/index.ts';
import { runCli } from './commands.ts';
import { tellError, type Terminal } from './terminal.ts';

const SECRET = 'YzMtdGVzdC1zZWNyZXQtb2YtMzItYnl0ZXMtISEhISE';
const directory = mkdtempSync(join(tmpdir(), 'c3-cli-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Transcript {
  exitCode: number;
  out: string;
  err: string;
}

async function run(
  args: string[],
  part: { env?: Record<string, string>; input?: string; files?: Record<string, string> } = {},
): Promise<Transcript> {
  const out: string[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    env: part.env ?? {},
    isInputTerminal: false,
    readInput: () => Promise.resolve(part.input ?? ''),
    readFile(path) {
      const text = part.files?.[path];
      if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      return text;
    },
    writeFile(path, text) {
      if (part.files === undefined) throw new Error('read-only');
      part.files[path] = text;
    },
    print: (text) => void out.push(`${text}\n`),
    tell: (text) => void err.push(`${text}\n`),
  };
  const exitCode = await runCli(args, terminal);
  return { exitCode, out: out.join(''), err: err.join('') };
}

describe('c3 keygen', () => {
  it('prints a new secret, alone, that C3_SECRET takes', async () => {
    const [first, second] = [await run(['keygen']), await run(['keygen'])];
    expect(first).toMatchObject({ exitCode: 0, err: '', out: expect.stringMatching(/^[\w-]{43}\n$/) });
    expect(first.out).not.toBe(second.out);
    expect(parseKeyring(first.out.trim()).keys).toHaveLength(1);
  });
});

const KUBECONFIG = [
  'current-context: a',
  'clusters: [{name: a, cluster: {server: "https://k8s.example"}}]',
  'contexts: [{name: a, context: {cluster: a, user: a}}]',
  'users: [{name: a, user: {token: abcdefgh}}]',
].join('\n');

describe('c3 encrypt', () => {
  const env = { C3_SECRET: SECRET, C3_URL: 'https://c3.example' };
  const binding = { scope: parseScope('github.com/acme/shop'), purpose: { kind: 'k8s' } } as const;

  it('prints the token alone', async () => {
    const { exitCode, out, err } = await run(['encrypt', '--repo', 'github.com/acme/shop', '--for', 'k8s'], {
      env,
      input: `${KUBECONFIG}\n`,
    });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(await openSealed(parseKeyring(SECRET), out.trim(), binding)).toMatchObject({ plaintext: KUBECONFIG });
  });

  it.each([
    ['k8s', KUBECONFIG, (value: string) => ({ k8s: { value, ref: 'refs/heads/*' } })],
    ['telegram', '{"token": "1:a", "chat": 1}', (to: string) => ({ telegram: { to, ref: 'refs/heads/*' } })],
    ['secret:KEY', 'a-secret', (value: string) => ({ secrets: { KEY: { value, ref: 'refs/heads/*' } } })],
  ])(
    'seals %s for a ref, prints the token alone, and tells what to write into c3.yaml',
    async (purpose, input, lines) => {
      const args = ['encrypt', '--repo', 'github.com/acme/shop', '--for', purpose, '--ref', 'refs/heads/*'];
      const { exitCode, out, err } = await run(args, { env, input });
      expect(exitCode).toBe(0);
      const { scope } = binding;
      const bound = { scope, purpose: parsePurpose(purpose), ref: 'refs/heads/*' };
      expect(await openSealed(parseKeyring(SECRET), out.trim(), bound)).toMatchObject({ plaintext: input });
      await expect(
        openSealed(parseKeyring(SECRET), out.trim(), { scope, purpose: bound.purpose }),
      ).rejects.toMatchObject({ code: 'SEALED_INVALID' });
      const [first, ...rest] = err.split('\n');
      expect(first).toBe('c3: put this into c3.yaml:');
      expect(parse(rest.join('\n'))).toEqual(lines(out.trim()));
    },
  );

  it('seals for a ref with a public key', async () => {
    const file = join(directory, 'jwks.json');
    writeFileSync(file, JSON.stringify(toJwks(parseKeyring(SECRET))));
    const args = ['encrypt', '--repo', 'github.com/acme/shop', '--for', 'k8s', '--public-key', file];
    const { out } = await run([...args, '--ref', 'refs/heads/main'], { input: KUBECONFIG });
    const bound = { ...binding, ref: 'refs/heads/main' };
    expect(await openSealed(parseKeyring(SECRET), out.trim(), bound)).toMatchObject({ plaintext: KUBECONFIG });
  });

  it('prints the hook URL, then the webhook secret', async () => {
    const { out } = await run(['encrypt', '--repo', 'github.com/acme/shop', '--for', 'hook'], {
      env,
      input: 'ghp_token',
    });
    const [url = '', secret, rest] = out.split('\n');
    expect(url).toMatch(/^https:\/\/c3\.example\/hook\?key=/);
    expect(secret).toMatch(/^[\w-]{43}$/);
    expect(rest).toBe('');
    const { key, scope } = parseHookQuery(new URL(url).searchParams);
    expect(await openSealed(parseKeyring(SECRET), key, { scope, purpose: { kind: 'hook' } })).toMatchObject({
      plaintext: 'ghp_token',
    });
  });

  it('seals with a public key, without the secret', async () => {
    const file = join(directory, 'jwks.json');
    writeFileSync(file, JSON.stringify(toJwks(parseKeyring(SECRET))));
    const { out } = await run(['encrypt', '--repo', 'github.com/acme/shop', '--for', 'k8s', '--public-key', file], {
      input: KUBECONFIG,
    });
    expect(await openSealed(parseKeyring(SECRET), out.trim(), binding)).toMatchObject({ plaintext: KUBECONFIG });
  });

  it('reports what c3 cannot hide, and seals it', async () => {
    const args = ['encrypt', '--repo', 'github.com/acme/shop', '--for', 'secret:PIN'];
    const { exitCode, out, err } = await run(args, { env, input: 'seven77' });
    expect({ exitCode, err }).toEqual({
      exitCode: 0,
      err: 'c3: warning: c3 does not hide this value in logs: it has 7 characters, and c3 hides 8 or more\n',
    });
    expect(out).toMatch(/^[\w.-]+\n$/);
  });

  it('refuses a text that is not a kubeconfig', async () => {
    const args = ['encrypt', '--repo', 'github.com/acme/shop', '--for', 'k8s'];
    expect(await run(args, { env, input: 'hello' })).toEqual({
      exitCode: 2,
      out: '',
      err: 'c3: error: This is not a kubeconfig: it has no "clusters"\nc3: hint: give the text that kubectl config view --raw --minify --flatten prints\n',
    });
  });

  it.each(['hook', 'k8s', 'telegram', 'secret:A'])('refuses UTF-16 for %s', async (purpose) => {
    const args = ['encrypt', '--repo', 'github.com/acme/shop', '--for', purpose];
    expect(await run(args, { env, input: Buffer.from(`\uFEFF${KUBECONFIG}`, 'utf16le').toString() })).toEqual({
      exitCode: 2,
      out: '',
      err: 'c3: error: The text is UTF-16, as the `>` of Windows PowerShell writes it: write the file with `| Out-File -Encoding utf8`\n',
    });
  });

  it.each([
    ['hook', 'ghp_abcdefgh'],
    ['k8s', KUBECONFIG],
    ['telegram', '{"token": "1:a", "chat": -100123}'],
    ['secret:A', 'correct-horse'],
  ])('removes the byte order mark of a value for %s', async (named, input) => {
    const { out, err } = await run(['encrypt', '--repo', 'github.com/acme/shop', '--for', named], {
      env,
      input: `\uFEFF${input}\r\n`,
    });
    expect(err).toBe('');
    const [line = ''] = out.split('\n');
    const token = named === 'hook' ? (new URL(line).searchParams.get('key') ?? '') : line;
    const binding = { scope: parseScope('github.com/acme/shop'), purpose: parsePurpose(named) };
    expect(await openSealed(parseKeyring(SECRET), token, binding)).toMatchObject({ plaintext: input.trimEnd() });
  });

  it('reports a token that expires', async () => {
    const token = `e30.${Buffer.from('{"exp": 1000000000}').toString('base64url')}.e30`;
    const args = ['encrypt', '--repo', 'github.com/acme/shop', '--for', 'k8s'];
    const { err } = await run(args, { env, input: KUBECONFIG.replace('abcdefgh', token) });
    expect(err).toBe(
      'c3: warning: the token of this kubeconfig expired at 2001-09-09T01:46:40Z: builds with it fail\n',
    );
  });

  it.each(['http://c3.example', 'http://192.0.2.1:8668/', 'http://localhost.example', 'http://127.0.0.1.example'])(
    'refuses the public key from %s',
    async (url) => {
      const args = ['encrypt', '--repo', 'github.com/a/b', '--for', 'secret:A', '--public-key', url];
      expect(await run(args, { input: 'a long value' })).toEqual({
        exitCode: 2,
        out: '',
        err: `c3: error: Cannot read the public key "${url}": over http, anyone on the way can put another key in its place; use https, or a file\n`,
      });
    },
  );

  it('warns about a URL that GitHub may cut', async () => {
    const long = { ...env, C3_URL: `https://${'c'.repeat(150)}.example` };
    const { err, exitCode } = await run(['encrypt', '--repo', 'github.com/acme/shop', '--for', 'hook'], {
      env: long,
      input: 'x'.repeat(93),
    });
    expect(exitCode).toBe(0);
    expect(err).toMatch(/^c3: warning: the URL has \d+ characters; GitHub may cut it at 255\nc3: hint: /);
  });

  it('also prints the secret in the form that GitLab wants, except for github.com', async () => {
    const seal = async (repo: string): Promise<{ readonly out: string; readonly err: string }> =>
      await run(['encrypt', '--repo', repo, '--for', 'hook'], { env, input: 'a-token' });
    const { out, err } = await seal('gitlab.com/acme/web/shop');
    const secret = Buffer.from(out.trim().split('\n')[1] ?? '', 'base64url').toString('base64');
    expect(err).toBe(`c3: hint: on GitLab, the signing token of the webhook is whsec_${secret}\n`);
    expect((await seal('github.com/acme/shop')).err).toBe('');
  });

  it('makes a hook key that needs no signature, and says so in its URL', async () => {
    const args = ['encrypt', '--repo', 'github.com/acme/shop', '--for', 'hook', '--signature', 'optional'];
    const { exitCode, out } = await run(args, { env, input: 'a-token' });
    const { key, scope, signature } = parseHookQuery(new URL(out.split('\n')[0] ?? '').searchParams);
    expect([exitCode, signature]).toEqual([0, 'optional']);
    const open = async (purpose: Purpose): Promise<unknown> =>
      await openSealed(parseKeyring(SECRET), key, { scope, purpose });
    expect(await open({ kind: 'hook', signature })).toMatchObject({ plaintext: 'a-token' });
    await expect(open({ kind: 'hook' })).rejects.toMatchObject({ code: 'SEALED_INVALID' });
  });

  it('reads at most 64 KiB of what answers for a key set', async () => {
    let isClosed = false;
    const server = createServer((_, response) => {
      response.on('close', () => (isClosed = true));
      const piece = JSON.stringify({ keys: [] }).padEnd(64 * 1024);
      const write = (): void => void (response.write(piece) ? setImmediate(write) : response.once('drain', write));
      write();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { exitCode, err } = await run(['encrypt', '--repo', 'github.com/a/b', '--for', 'k8s', '--public-key', url], {
      input: 'x',
    });
    expect(exitCode).toBe(2);
    expect(err).toBe(`c3: error: Cannot read the public key "${url}": the answer is larger than 65536 bytes\n`);
    await expect.poll(() => isClosed).toBe(true);
    await new Promise((resolve) => server.close(resolve));
  });

  it.each([
    [['encrypt', '--for', 'k8s'], "c3: error: required option '--repo <host/owner/name>' not specified\n"],
    [
      ['encrypt', '--repo', 'shop', '--for', 'k8s'],
      'c3: error: Repository "shop" is not of the form HOST/OWNER/NAME\nc3: hint: for example github.com/acme/shop\n',
    ],
    [
      ['encrypt', '--repo', 'github.com/a/b', '--for', 'k8s', '--ref', 'main'],
      /^c3: error: Ref "main" must be refs\/heads\/ or refs\/tags\/ and a name\nc3: hint: write refs\/heads\/main\n$/,
    ],
    [
      ['encrypt', '--repo', 'github.com/a/b', '--for', 'hook', '--ref', 'refs/heads/main'],
      /^c3: error: A hook key cannot be sealed for a ref: its webhook reports every push\nc3: hint: leave the ref out; /,
    ],
    [
      ['encrypt', '--repo', 'github.com/a/b', '--for', 'k8s', '--public-key', '/no/such'],
      /^c3: error: Cannot read the public key "\/no\/such": /,
    ],
  ])('refuses %j with exit code 2', async (args, err) => {
    const transcript = await run(args, { env, input: 'x' });
    expect(transcript.exitCode).toBe(2);
    expect(transcript.err).toMatch(err);
    expect(transcript.out).toBe('');
  });
});

describe('c3 lint', () => {
  it('tells every problem with its place and ends with 1', async () => {
    const files = { 'c3.yaml': 'k8s: <x>\nsteps: []\nwat: 1\n' };
    const { exitCode, out, err } = await run(['lint'], { files });
    expect(exitCode).toBe(1);
    expect(out).toMatch(/c3\.yaml:3:1 error: unknown key "wat"/);
    expect(err).toMatch(/^c3\.yaml: \d+ errors, 1 warning\n$/);
  });

  it('prints one JSON object with --json', async () => {
    const { out } = await run(['lint', '--json', 'other.yaml'], { files: { 'other.yaml': 'wat: 1\n' } });
    expect(JSON.parse(out)).toMatchObject({
      file: 'other.yaml',
      problems: expect.arrayContaining([expect.objectContaining({ line: 1, severity: 'error' })]),
    });
  });

  it('says that there is no file', async () => {
    expect(await run(['lint'])).toEqual({
      exitCode: 2,
      out: '',
      err: 'c3: error: Cannot read "c3.yaml"\nc3: hint: name the file: c3 lint FILE\n',
    });
  });
});

describe('c3 serve', () => {
  it('tells all wrong settings at once and ends with 2', async () => {
    const { exitCode, err } = await run(['serve', '--port', 'abc'], {
      env: { C3_FORGES: 'svn=https://svn.example.com' },
    });
    expect(exitCode).toBe(2);
    expect(err.match(/^c3: error: (\w+)/gm)).toEqual([
      'c3: error: C3_SECRET',
      'c3: error: C3_PORT',
      'c3: error: C3_FORGES',
      'c3: error: C3_ALLOW_REPOS',
    ]);
  });
});

it('knows its commands', async () => {
  expect(await run(['frobnicate'])).toMatchObject({
    exitCode: 2,
    err: expect.stringMatching(/unknown command 'frobnicate'/),
  });
  expect(await run(['--help'])).toMatchObject({
    exitCode: 0,
    err: '',
    out: expect.stringMatching(/serve[\s\S]*keygen[\s\S]*encrypt[\s\S]*lint/),
  });
});

it('tells a fault of its own without the secrets of its environment', () => {
  const told: string[] = [];
  const terminal = {
    env: { C3_SECRET: `${SECRET},x`, C3_TELEGRAM_TOKEN: '1:a-bot-token' },
    tell: (text: string) => told.push(text),
  };
  expect(tellError(terminal, new Error(`no ${SECRET}, no 1:a-bot-token`))).toBe(1);
  expect(told.join('\n')).toMatch(/^c3: error: Error: no \*\*\*, no \*\*\*\n/);
});
