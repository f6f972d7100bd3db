import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { generate } from 'selfsigned';
import { beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { parseKubeconfig } from './kubeconfig.ts';

/** The exact messages of refusals, and unusual kubeconfigs that are accepted. */
const SECRET = 'tok-5ecr3t-5ecr3t';
let cert = '';
let key = '';

beforeAll(async () => {
  const made = await generate(undefined, { keyType: 'ec' });
  cert = Buffer.from(made.cert).toString('base64');
  key = Buffer.from(made.private).toString('base64');
});

interface Parts {
  readonly root?: object;
  readonly context?: object;
  readonly cluster?: object;
  readonly user?: object;
}

function toText({ root, context, cluster, user }: Parts): string {
  return stringify({
    'current-context': 'm',
    contexts: [{ name: 'm', context: { cluster: 'c', user: 'u', ...context } }],
    clusters: [{ name: 'c', cluster: { server: 'https://k8s.example.com', ...cluster } }],
    users: [{ name: 'u', user: { token: 'a-token', ...user } }],
    ...root,
  });
}

function refusalOf(parts: Parts | string): string {
  try {
    parseKubeconfig(typeof parts === 'string' ? parts : toText(parts));
  } catch (error) {
    return (error as Error).message.replace(/^Kubeconfig refused: /, '');
  }
  throw new Error('it was taken');
}

describe('a kubeconfig is refused with the name of the field', () => {
  const context = 'contexts["m"].context';
  const cluster = 'clusters["c"].cluster';
  const user = 'users["u"].user';

  it.each<[string, Parts]>([
    ['current-context is missing', { root: { 'current-context': '' } }],
    ['current-context is not text', { root: { 'current-context': 7 } }],
    ['contexts is missing', { root: { contexts: { m: {} } } }],
    ['clusters is missing', { root: { clusters: null } }],
    ['users is missing', { root: { users: 'u' } }],
    ['contexts has no entry named "m"', { root: { contexts: [null, 'm', { name: 'other' }] } }],
    ['contexts["m"].context is missing', { root: { contexts: [{ name: 'm', context: null }] } }],
    ['clusters["c"].cluster is missing', { root: { clusters: [{ name: 'c' }] } }],
    ['users["u"].user is missing', { root: { users: [{ name: 'u', user: [] }] } }],
    [`${context}.cluster is missing`, { context: { cluster: '' } }],
    [`${context}.cluster is not text`, { context: { cluster: ['c'] } }],
    [`${context}.user is missing`, { context: { user: null } }],
    [`${context}.user is not text`, { context: { user: 7 } }],
    [`${context}.namespace is not text`, { context: { namespace: true } }],
    [`${context}.namespace is not a namespace's name`, { context: { namespace: 'a/b' } }],
    [`${context}.namespace is not a namespace's name`, { context: { namespace: 'a'.repeat(64) } }],
    [`${context}.namespace is not a namespace's name`, { context: { namespace: '-a' } }],
    [`${cluster}.server is missing`, { cluster: { server: '' } }],
    [`${cluster}.server is not text`, { cluster: { server: {} } }],
    [`${cluster}.server is not an https:// address`, { cluster: { server: 'nonsense' } }],
    [`${cluster}.server carries a user name or password; use token`, { cluster: { server: 'https://ann@h' } }],
    [`${cluster}.server carries a user name or password; use token`, { cluster: { server: 'https://:word@h' } }],
    [`${cluster}.server carries a query or fragment`, { cluster: { server: 'https://h/?' } }],
    [`${cluster}.server carries a query or fragment`, { cluster: { server: 'https://h/#' } }],
    [`${cluster}.tls-server-name is not text`, { cluster: { 'tls-server-name': 7 } }],
    [`${cluster}.tls-server-name is not a host name`, { cluster: { 'tls-server-name': 'a b' } }],
    [`${cluster}.tls-server-name is not a host name`, { cluster: { 'tls-server-name': 'a'.repeat(254) } }],
    [`${cluster}.certificate-authority-data is not text`, { cluster: { 'certificate-authority-data': 7 } }],
    [`${cluster}.certificate-authority-data is not base64`, { cluster: { 'certificate-authority-data': 'AAAA=?' } }],
    [`${cluster}.certificate-authority-data is not base64`, { cluster: { 'certificate-authority-data': '?AAAA' } }],
    [
      `${cluster}.certificate-authority-data is not a certificate in PEM`,
      { cluster: { 'certificate-authority-data': 'AAAA' } },
    ],
    ...['a-', 'A', 'a.b', '/a', 'a/', 'a\n'].map((namespace): [string, Parts] => [
      `${context}.namespace is not a namespace's name`,
      { context: { namespace } },
    ]),
    ...['/a', 'a/', 'a\n', 'ä.example'].map((name): [string, Parts] => [
      `${cluster}.tls-server-name is not a host name`,
      { cluster: { 'tls-server-name': name } },
    ]),
    ...['AA=A', 'AAAA===', '=', '-_-_'].map((data): [string, Parts] => [
      `${cluster}.certificate-authority-data is not base64`,
      { cluster: { 'certificate-authority-data': data } },
    ]),
    ...['éa', 'aé', 'a\u007f', 'a\nX-Evil: 1'].map((token): [string, Parts] => [
      `${user}.token has characters that no token has`,
      { user: { token } },
    ]),
    [`${user}.as-uid is impersonation; use an account that has the rights itself`, { user: { 'as-uid': '0' } }],
    [
      `${user}.as-user-extra is impersonation; use an account that has the rights itself`,
      { user: { 'as-user-extra': { scopes: ['all'] } } },
    ],
    [`${user}.toString is not a field c3 knows`, { user: { toString: 'x' } }],
    [`${cluster}.exec would run a program on the machine of c3`, { cluster: { exec: 0 } }],
    [`${user}.token is not text`, { user: { token: 7 } }],
    [`${user}.token has characters that no token has`, { user: { token: 'a b' } }],
    [`${user} has neither token nor client-certificate-data`, { user: { token: '' } }],
    [
      `${user}.client-certificate-data is not a certificate in PEM`,
      { user: { 'client-certificate-data': 'AAAA', 'client-key-data': 'AAAA' } },
    ],
    [`${user}.${'x'.repeat(80)} is not a field c3 knows`, { user: { ['x'.repeat(90)]: 1 } }],
  ])('%s', (message, parts) => {
    expect(refusalOf(parts)).toBe(message);
  });

  it.each<[string, Parts]>([
    [`${user}.exec would run a program`, { user: { exec: { command: 'touch', args: ['/tmp/x'] } } }],
    [`${user}.auth-provider would run a program`, { user: { 'auth-provider': { config: { 'cmd-path': 'sh' } } } }],
    [`${user}.tokenFile names a file`, { user: { tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token' } }],
    [`${user}.client-certificate names a file`, { user: { 'client-certificate': '/etc/passwd' } }],
    [`${user}.client-key names a file`, { user: { 'client-key': '/etc/passwd' } }],
    [`${user}.username is basic authentication`, { user: { username: 'a' } }],
    [`${user}.password is basic authentication`, { user: { password: SECRET } }],
    [`${user}.as is impersonation`, { user: { as: 'system:admin' } }],
    [`${user}.as-groups is impersonation`, { user: { 'as-groups': ['system:masters'] } }],
    [`${user}.token has characters`, { user: { token: `${SECRET}\r\nX-Evil: 1` } }],
    [`${cluster}.certificate-authority names a file`, { cluster: { 'certificate-authority': '/etc/passwd' } }],
    [`${cluster}.proxy-url would send the connection`, { cluster: { 'proxy-url': 'http://169.254.169.254' } }],
    [`${cluster}.insecure-skip-tls-verify would let any server`, { cluster: { 'insecure-skip-tls-verify': true } }],
    [`${cluster}.server is http://`, { cluster: { server: 'http://k8s.example.com' } }],
    [`${cluster}.server is not an https:// address`, { cluster: { server: 'file:///etc/passwd' } }],
    [`${cluster}.server carries a user name`, { cluster: { server: `https://a:${SECRET}@k8s.example.com` } }],
    [`${context}.as is impersonation`, { context: { as: 'x' } }],
    [`users has no entry named "nobody"`, { context: { user: 'nobody' } }],
    [`clusters has no entry named "nowhere"`, { context: { cluster: 'nowhere' } }],
    [`contexts has no entry named "gone"`, { root: { 'current-context': 'gone' } }],
  ])('%s, without a secret', (start, parts) => {
    const message = refusalOf(parts);
    expect(message.startsWith(start)).toBe(true);
    expect(message).not.toContain(SECRET);
  });

  it('a key that does not belong to its certificate, or is encrypted', async () => {
    const other = await generate(undefined, { keyType: 'ec' });
    const withKey = (pem: string): Parts => {
      const encoded = Buffer.from(pem).toString('base64');
      return { user: { 'client-certificate-data': cert, 'client-key-data': encoded } };
    };
    expect(refusalOf(withKey(other.private))).toBe(
      `${user}.client-key-data does not belong to client-certificate-data`,
    );
    expect(refusalOf(withKey('secret'))).toBe(`${user}.client-key-data is not an unencrypted private key in PEM`);
  });

  it.each(['client-certificate-data', 'client-key-data'])('the missing half of a pair: %s', (missing) => {
    const pair = { 'client-certificate-data': cert, 'client-key-data': key, [missing]: '' };
    expect(refusalOf({ user: pair })).toBe(`${user}.${missing} is missing`);
  });

  it.each([
    ['it is not a YAML object', ''],
    ['it is not a YAML object', '- a'],
    ['it is not a YAML object', 'text'],
    ['line 2 is not YAML', 'a: 1\n"b'],
    ['line 2 is not YAML', 'a: 1\n---\nb: 1\n'],
    ['it has "users" twice in one object', 'users: []\nusers: []\n'],
    ['line 4 is not YAML', `users:\n- name: u\n  token: "${SECRET}\n`],
    ['it has "a" twice in one object', 'x: {a: 1, a: 2}'],
    ['it uses YAML aliases', 'a: &a 1\nb: *a'],
    ['it has "1" twice in one object', '{1: a, "1": b}'],
    ['line 2 is not YAML', 'a: 1\n? [b]\n: 2'],
    [`it has "${'k'.repeat(80)}" twice in one object`, `{${'k'.repeat(81)}: 1, ${'k'.repeat(81)}: 2}`],
    ['it is not a YAML object', 'null'],
    ['it is not a YAML object', '# nothing'],
    ['line 3 is not YAML', 'a: 1\nb: 2\n}: 3\n]: 4'],
    ['it is larger than 262144 bytes', `#${'x'.repeat(262_144)}`],
  ])('%s', (message, text) => {
    expect(refusalOf(text)).toBe(message);
  });
});

it('a refusal lists all fields that c3 reads', () => {
  expect(() => parseKubeconfig('')).toThrow(
    expect.objectContaining({
      code: 'KUBECONFIG_INVALID',
      message: 'Kubeconfig refused: it is not a YAML object',
      hint: 'c3 reads server, certificate-authority-data, tls-server-name, token, client-certificate-data, client-key-data and namespace',
    }),
  );
});

describe('a kubeconfig is accepted', () => {
  it('when it has the maximum size', () => {
    const text = toText({});
    expect(parseKubeconfig(text + '#'.repeat(262_144 - text.length))).toMatchObject({ token: 'a-token' });
  });

  it('when refused fields have no value', () => {
    const absent = { exec: null, 'auth-provider': '', 'insecure-skip-tls-verify': false, username: '' };
    expect(
      parseKubeconfig(toText({ user: absent, cluster: { 'proxy-url': '', 'certificate-authority': null } })),
    ).toEqual({
      origin: 'https://k8s.example.com',
      basePath: '',
      token: 'a-token',
      namespace: 'default',
    });
  });

  it('with names of the maximum length, and fields without effect', () => {
    const [namespace, serverName] = ['a'.repeat(63), 'a'.repeat(253)];
    const harmless = (): object => ({ extensions: [{ name: 'x', extension: {} }], 'disable-compression': true });
    const text = toText({
      context: { namespace, ...harmless() },
      cluster: { 'tls-server-name': serverName, ...harmless() },
      user: { token: '!~', ...harmless() },
    });
    expect(parseKubeconfig(text)).toEqual({
      origin: 'https://k8s.example.com',
      basePath: '',
      serverName,
      token: '!~',
      namespace,
    });
  });

  it('with white space around a token or in base64, and slashes after a path', () => {
    const access = parseKubeconfig(
      toText({
        context: { namespace: 'a' },
        cluster: {
          server: 'https://h:1/p/q//',
          'certificate-authority-data': `\n${cert.slice(0, 9)} \n${cert.slice(9)}\n`,
        },
        user: { token: ' a-token\n' },
      }),
    );
    expect(access).toMatchObject({ origin: 'https://h:1', basePath: '/p/q', token: 'a-token', namespace: 'a' });
    expect(access.ca).toBe(Buffer.from(cert, 'base64').toString());
  });

  it('with a certificate instead of a token, and absent fields stay absent', () => {
    const access = parseKubeconfig(
      toText({ user: { token: null, 'client-certificate-data': cert, 'client-key-data': key } }),
    );
    expect(Object.keys(access).sort()).toEqual(['basePath', 'clientCertificate', 'namespace', 'origin']);
  });
});

describe('a client key with more than 4096 bits', () => {
  function refusalOfKey(made: KeyObject): string {
    const pem = Buffer.from(made.export({ type: 'pkcs8', format: 'pem' })).toString('base64');
    return refusalOf({ user: { 'client-certificate-data': cert, 'client-key-data': pem } });
  }
  const field = 'users["u"].user.client-key-data';

  it.each([
    ['rsa', () => generateKeyPairSync('rsa', { modulusLength: 4104 })],
    ['rsa-pss', () => generateKeyPairSync('rsa-pss', { modulusLength: 4104 })],
  ])('is refused: %s', (_, create) => {
    expect(refusalOfKey(create().privateKey)).toBe(`${field} has 4104 bits, and c3 accepts at most 4096`);
  });

  it('is refused, but one with 4096 bits is accepted', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 4096 });
    expect(refusalOfKey(privateKey)).toBe(`${field} does not belong to client-certificate-data`);
  });
});
