import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { WorkspaceAnswer } from '../../src/engine/cluster.ts';
import type { C3Error } from '../../src/errors.ts';
import { createClusterPool } from '../../src/kube/index.ts';
import { createTrap, type Trap } from './trap.ts';
import { REQUEST } from './request.ts';
import { deadline } from '../time-limits.ts';

/** A sample of a service account's token, which must never leave this machine. */
const SECRET = 'the-service-account-token-of-c3-itself';
const directory = mkdtempSync(join(tmpdir(), 'c3-attack-'));
const secretFile = join(directory, 'token');
const canary = join(directory, 'ran');
writeFileSync(secretFile, SECRET);

const traps: Trap[] = [];
afterEach(async () => {
  await Promise.all(traps.splice(0).map((trap) => trap.close()));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Parts {
  cluster?: object;
  user?: object;
  context?: object;
  root?: object;
}

function toKubeconfig(server: string, ca: string, { cluster, user, context, root }: Parts = {}): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'main',
    contexts: [{ name: 'main', context: { cluster: 'c', user: 'u', ...context } }],
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': toBase64(ca), ...cluster } }],
    users: [{ name: 'u', user: { token: 'a-token-of-the-tenant', ...user } }],
    ...root,
  });
}

function toBase64(text: string | Buffer): string {
  return Buffer.from(text).toString('base64');
}

/** Opens a workspace. The traps are on the loopback interface, which a real c3 refuses. */
async function open(text: string): Promise<WorkspaceAnswer> {
  const pool = createClusterPool({ allowNets: ['127.0.0.0/8'] });
  try {
    return await pool.getCluster(text).openWorkspace(REQUEST, {
      signal: deadline(),
      startTimeoutMs: 120_000,
      onWaiting: () => {},
    });
  } finally {
    await pool.close();
  }
}

/** Returns the message of a refusal, and checks that nothing was run, read or connected to. */
async function refusalOf(parts: Parts): Promise<string> {
  const trap = await createTrap(undefined, { isSecure: true });
  traps.push(trap);
  const error: unknown = await open(toKubeconfig(trap.origin, trap.ca, parts)).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'C3Error', code: 'KUBECONFIG_INVALID' });
  const { message, hint } = error as C3Error;
  expect(`${message} ${hint}`).not.toContain(SECRET);
  expect(`${message} ${hint}`).not.toContain('a-token-of-the-tenant');
  expect(existsSync(canary)).toBe(false);
  expect(trap.requests).toEqual([]);
  return message;
}

const RUN = {
  command: 'sh',
  args: ['-c', `touch ${canary}`],
  apiVersion: 'client.authentication.k8s.io/v1',
  interactiveMode: 'Never',
};

describe('A5 A kubeconfig that acts on the machine of c3', () => {
  it('runs no credential plugin (exec)', async () => {
    expect(await refusalOf({ user: { exec: RUN } })).toContain('.exec');
  });

  it('runs no command of the auth provider gcp', async () => {
    const config = { 'cmd-path': 'sh', 'cmd-args': `-c "touch ${canary}"` };
    expect(await refusalOf({ user: { 'auth-provider': { name: 'gcp', config } } })).toContain('.auth-provider');
  });

  it('runs no command of the auth provider exec', async () => {
    const config = { exec: RUN };
    expect(await refusalOf({ user: { 'auth-provider': { name: 'exec', config } } })).toContain('.auth-provider');
  });

  it('reads no token file, neither as tokenFile nor in an auth provider', async () => {
    expect(await refusalOf({ user: { token: undefined, tokenFile: secretFile } })).toContain('.tokenFile');
    expect(await refusalOf({ user: { 'auth-provider': { name: 'x', config: { tokenFile: secretFile } } } })).toContain(
      '.auth-provider',
    );
  });

  it('reads no certificate authority from a file, and does not say whether the file exists', async () => {
    expect(await refusalOf({ cluster: { 'certificate-authority': secretFile } })).toContain('.certificate-authority');
    expect(await refusalOf({ cluster: { 'certificate-authority': join(directory, 'no-such') } })).toContain(
      '.certificate-authority',
    );
  });

  it('reads no client certificate from a file', async () => {
    expect(await refusalOf({ user: { 'client-certificate': secretFile } })).toContain('.client-certificate');
  });

  it('reads no client key from a file', async () => {
    expect(await refusalOf({ user: { 'client-key': secretFile } })).toContain('.client-key');
  });

  it('uses no proxy', async () => {
    expect(await refusalOf({ cluster: { 'proxy-url': 'http://127.0.0.1:1' } })).toContain('.proxy-url');
  });

  it('does not skip the check of the certificate', async () => {
    expect(await refusalOf({ cluster: { 'insecure-skip-tls-verify': true } })).toContain('.insecure-skip-tls-verify');
  });

  it('sends no credentials over http://', async () => {
    const trap = await createTrap();
    traps.push(trap);
    await expect(open(toKubeconfig(trap.origin, ''))).rejects.toMatchObject({ code: 'KUBECONFIG_INVALID' });
    expect(trap.requests).toEqual([]);
  });

  it('follows no redirect to another address', async () => {
    const inner = await createTrap();
    const outer = await createTrap(
      (_, answer) => void answer.writeHead(302, { location: `${inner.origin}/latest/meta-data/` }).end(),
      { isSecure: true },
    );
    traps.push(inner, outer);
    const answer = await open(toKubeconfig(outer.origin, outer.ca)).catch((error: unknown) => error);
    expect(JSON.stringify(answer instanceof Error ? answer.message : answer)).toMatch(/redirect/);
    expect(outer.requests.length).toBeGreaterThan(0);
    expect(inner.requests).toEqual([]);
  });

  it('accepts no basic authentication', async () => {
    expect(await refusalOf({ user: { username: 'admin', password: 'guess' } })).toContain('.username');
  });

  it('impersonates nobody', async () => {
    expect(await refusalOf({ user: { as: 'system:admin', 'as-groups': ['system:masters'] } })).toContain('.as');
  });

  it('accepts no user name in the address', async () => {
    expect(await refusalOf({ cluster: { server: 'https://admin:guess@127.0.0.1:1' } })).toContain('.server');
  });

  it('accepts only https addresses', async () => {
    for (const server of [
      'file:///etc/passwd',
      'unix:///var/run/docker.sock',
      'gopher://127.0.0.1',
      'javascript:1',
      '//127.0.0.1',
      '127.0.0.1:1',
    ])
      expect(await refusalOf({ cluster: { server } })).toContain('.server');
  });

  it('lets no token start another header', async () => {
    expect(await refusalOf({ user: { token: 'x\r\nX-Remote-User: admin' } })).toContain('.token');
  });

  it('lets no namespace leave its path', async () => {
    for (const namespace of ['../kube-system', 'a/../../b', 'a%2fb', 'A', 'a?b', 'a#b'])
      expect(await refusalOf({ context: { namespace } })).toContain('.namespace');
  });

  it('refuses an unknown field, with its name', async () => {
    expect(await refusalOf({ user: { 'future-credential-plugin': RUN } })).toContain('.future-credential-plugin');
  });

  it('refuses duplicate fields, which another reader would read differently', async () => {
    const trap = await createTrap(undefined, { isSecure: true });
    traps.push(trap);
    const text = toKubeconfig(trap.origin, trap.ca).replace('token: ', 'token: first\n      token: ');
    await expect(open(text)).rejects.toMatchObject({
      code: 'KUBECONFIG_INVALID',
      message: expect.stringMatching(/twice/),
    });
    expect(trap.requests).toEqual([]);
  });

  it('refuses fields from YAML aliases, merges or tags', async () => {
    const base = toKubeconfig('https://127.0.0.1:1', '');
    const merged = base.replace('user:\n      token', 'user:\n      <<: {exec: {command: sh}}\n      token');
    for (const text of [`x: &x {exec: {command: sh}}\ny: *x\n${base}`, merged, `%YAML 1.1\n---\n${merged}`]) {
      await expect(open(text)).rejects.toMatchObject({ code: 'KUBECONFIG_INVALID' });
    }
  });

  it('ignores inherited properties', async () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const text = toKubeconfig('https://127.0.0.1:1', '', { root: { 'current-context': name } });
      await expect(open(text)).rejects.toMatchObject({ message: expect.stringMatching(/no entry named/) });
    }
    const poisoned = toKubeconfig('https://127.0.0.1:1', '').replace(
      'kind: Config',
      'kind: Config\n__proto__: {polluted: yes, insecure-skip-tls-verify: true}',
    );
    await open(poisoned).catch(() => undefined);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('does not expand a YAML bomb', async () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 12; level += 1) {
      const former = `*a${level - 1}`;
      lines.push(`a${level}: &a${level} [${Array.from({ length: 9 }, () => former).join(', ')}]`);
    }
    await expect(open(`${lines.join('\n')}\n${toKubeconfig('https://127.0.0.1:1', '')}`)).rejects.toMatchObject({
      code: 'KUBECONFIG_INVALID',
    });
  });

  it('trusts no server with a certificate of another authority', async () => {
    const [trap, other] = await Promise.all([
      createTrap(undefined, { isSecure: true }),
      createTrap(undefined, { isSecure: true }),
    ]);
    traps.push(trap, other);
    const answer = await open(toKubeconfig(trap.origin, other.ca)).catch((error: unknown) => error);
    expect(JSON.stringify(answer instanceof Error ? answer.message : answer)).toMatch(/Cannot reach the cluster/);
    expect(trap.requests).toEqual([]);
  });

  it('uses nothing from the environment or the home of c3', async () => {
    const trap = await createTrap(undefined, { isSecure: true });
    traps.push(trap);
    process.env['KUBECONFIG'] = secretFile;
    try {
      await open(toKubeconfig(trap.origin, trap.ca)).catch(() => undefined);
    } finally {
      delete process.env['KUBECONFIG'];
    }
    const sent = trap.requests.map(({ headers }) => headers.authorization);
    expect(new Set(sent)).toEqual(new Set(['Bearer a-token-of-the-tenant']));
    expect(readFileSync(secretFile, 'utf8')).toBe(SECRET);
  });
});
