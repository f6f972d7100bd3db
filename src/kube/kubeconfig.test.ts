import fc from 'fast-check';
import { generate } from 'selfsigned';
import { beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { C3Error } from '../errors.ts';
import { createMasking } from '../sealing/index.ts';
import { listKubeconfigSecrets, parseKubeconfig } from './kubeconfig.ts';

const SECRET = 'tok-5ecr3t-5ecr3t';
let cert = '';
let key = '';
let otherKey = '';

beforeAll(async () => {
  const [one, other] = await Promise.all([
    generate(undefined, { keyType: 'ec' }),
    generate(undefined, { keyType: 'ec' }),
  ]);
  cert = one.cert;
  key = one.private;
  otherKey = other.private;
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

interface Parts {
  cluster?: object;
  user?: object;
  context?: object;
  root?: object;
}

function kubeconfig({ cluster, user, context, root }: Parts = {}): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    preferences: {},
    'current-context': 'main',
    contexts: [
      { name: 'other', context: { cluster: 'x', user: 'thief' } },
      { name: 'main', context: { cluster: 'c', user: 'u', ...context } },
    ],
    clusters: [{ name: 'c', cluster: { server: 'https://k8s.example.com:6443', ...cluster } }],
    users: [
      { name: 'thief', user: { exec: { command: 'sh' } } },
      { name: 'u', user: { token: SECRET, ...user } },
    ],
    ...root,
  });
}

function messageOf(text: string): string {
  try {
    parseKubeconfig(text);
  } catch (error) {
    if (error instanceof C3Error && error.code === 'KUBECONFIG_INVALID') return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('c3 accepts', () => {
  test('a token, the public authorities and the default namespace', () => {
    expect(parseKubeconfig(kubeconfig())).toEqual({
      origin: 'https://k8s.example.com:6443',
      basePath: '',
      token: SECRET,
      namespace: 'default',
    });
  });

  test('a client certificate, an authority, a path, a server name and a namespace', () => {
    const access = parseKubeconfig(
      kubeconfig({
        cluster: {
          server: 'https://10.0.0.1/k8s/clusters/c-1/',
          'certificate-authority-data': base64(cert),
          'tls-server-name': 'kubernetes',
          'insecure-skip-tls-verify': false,
          extensions: [],
        },
        user: { token: '', 'client-certificate-data': base64(cert), 'client-key-data': base64(key) },
        context: { namespace: 'ci' },
      }),
    );
    expect(access).toEqual({
      origin: 'https://10.0.0.1',
      basePath: '/k8s/clusters/c-1',
      ca: cert,
      serverName: 'kubernetes',
      clientCertificate: { cert, key },
      namespace: 'ci',
    });
  });

  test('JSON, which is YAML', () => {
    const text = JSON.stringify({
      'current-context': 'a',
      contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
      clusters: [{ name: 'a', cluster: { server: 'https://h' } }],
      users: [{ name: 'a', user: { token: 't' } }],
    });
    expect(parseKubeconfig(text).origin).toBe('https://h');
  });
});

describe('c3 refuses, with the name of the field,', () => {
  const user = 'users["u"].user';
  const cluster = 'clusters["c"].cluster';
  test.each<[string, Parts]>([
    [`${user}.exec would run a program`, { user: { exec: { command: 'touch', args: ['/tmp/x'] } } }],
    [
      `${user}.auth-provider would run a program`,
      { user: { 'auth-provider': { name: 'gcp', config: { 'cmd-path': 'sh' } } } },
    ],
    [`${user}.tokenFile names a file`, { user: { tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token' } }],
    [`${user}.client-certificate names a file`, { user: { 'client-certificate': '/etc/passwd' } }],
    [`${user}.client-key names a file`, { user: { 'client-key': '/etc/passwd' } }],
    [`${user}.username is basic authentication`, { user: { username: 'a' } }],
    [`${user}.password is basic authentication`, { user: { password: SECRET } }],
    [`${user}.as is impersonation`, { user: { as: 'system:admin' } }],
    [`${user}.as-groups is impersonation`, { user: { 'as-groups': ['system:masters'] } }],
    [`${user}.impersonate is not a field c3 knows`, { user: { impersonate: 'a' } }],
    [`${cluster}.certificate-authority names a file`, { cluster: { 'certificate-authority': '/etc/passwd' } }],
    [`${cluster}.proxy-url would send the connection`, { cluster: { 'proxy-url': 'http://169.254.169.254' } }],
    [`${cluster}.insecure-skip-tls-verify would let anybody`, { cluster: { 'insecure-skip-tls-verify': true } }],
    [`${cluster}.server is http://`, { cluster: { server: 'http://k8s.example.com' } }],
    [`${cluster}.server is not an https:// address`, { cluster: { server: 'file:///etc/passwd' } }],
    [`${cluster}.server carries a user name`, { cluster: { server: `https://a:${SECRET}@k8s.example.com` } }],
    [`${cluster}.server carries a query`, { cluster: { server: 'https://k8s.example.com/?a=b' } }],
    [`${cluster}.server is missing`, { cluster: { server: null } }],
    [`${cluster}.server is not text`, { cluster: { server: ['https://k8s.example.com'] } }],
    [`${cluster}.tls-server-name is not a host name`, { cluster: { 'tls-server-name': 'a b' } }],
    [
      `${cluster}.certificate-authority-data is not base64`,
      { cluster: { 'certificate-authority-data': '-----BEGIN' } },
    ],
    [
      `${cluster}.certificate-authority-data is not a certificate`,
      { cluster: { 'certificate-authority-data': 'AAAA' } },
    ],
    [`${user}.token has characters`, { user: { token: `${SECRET}\r\nX-Evil: 1` } }],
    [`${user} has neither token`, { user: { token: '' } }],
    [`contexts["main"].context.namespace is not`, { context: { namespace: '../kube-system' } }],
    [`contexts["main"].context.as is impersonation`, { context: { as: 'x' } }],
    [`contexts["main"].context.user is missing`, { context: { user: null } }],
    [`users has no entry named "nobody"`, { context: { user: 'nobody' } }],
    [`clusters has no entry named "nowhere"`, { context: { cluster: 'nowhere' } }],
    [`contexts has no entry named "gone"`, { root: { 'current-context': 'gone' } }],
    ['current-context is missing', { root: { 'current-context': '' } }],
  ])('%s', (sentence, parts) => {
    const message = messageOf(kubeconfig(parts));
    expect(message).toContain(`Kubeconfig refused: ${sentence}`);
    expect(message).not.toContain(SECRET);
  });

  test('a key without its certificate, a certificate without its key, a key of another certificate', () => {
    const pair = { 'client-certificate-data': base64(cert), 'client-key-data': base64(otherKey) };
    expect(messageOf(kubeconfig({ user: pair }))).toContain(
      'client-key-data does not belong to client-certificate-data',
    );
    expect(messageOf(kubeconfig({ user: { 'client-key-data': base64(key) } }))).toContain(
      'client-certificate-data is missing',
    );
    expect(messageOf(kubeconfig({ user: { 'client-certificate-data': base64(cert) } }))).toContain(
      'client-key-data is missing',
    );
    expect(messageOf(kubeconfig({ user: { ...pair, 'client-key-data': base64('secret') } }))).toContain(
      'client-key-data is not an unencrypted private key',
    );
  });

  test('aliases, duplicate keys, several documents, and values other than an object', () => {
    expect(messageOf('a: &x 1\nb: *x\n')).toContain('YAML aliases');
    expect(messageOf('users: []\nusers: []\n')).toContain('"users" twice');
    expect(messageOf('- a\n')).toContain('not a YAML object');
    expect(messageOf('a: 1\n---\nb: 1\n')).toMatch(/line \d is not YAML/);
    expect(messageOf('')).toContain('not a YAML object');
  });

  test('text that is not YAML, without quoting it', () => {
    const message = messageOf(`users:\n- name: u\n  token: "${SECRET}\n`);
    expect(message).toMatch(/^Kubeconfig refused: line \d+ is not YAML$/);
  });

  test('text that is too large, without parsing it', () => {
    expect(messageOf(`a: ${'x'.repeat(256 * 1024)}`)).toContain('larger than 262144 bytes');
  });
});

test('any text is accepted or fails with KUBECONFIG_INVALID', () => {
  const word = fc.constantFrom(
    'exec',
    'server',
    'token',
    'https://a',
    '{',
    '[',
    ']',
    '}',
    ': ',
    '\n',
    '- ',
    '&a',
    '*a',
    '!!js',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word).map((words) => words.join('')),
      ),
      (text) => {
        expect(messageOf(text)).toMatch(/^Kubeconfig refused: /);
      },
    ),
    { numRuns: 300 },
  );
});

describe('the secrets of a kubeconfig', () => {
  test('are the token and the key', () => {
    const pair = { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) };
    expect(listKubeconfigSecrets(kubeconfig())).toEqual([SECRET]);
    expect(listKubeconfigSecrets(kubeconfig({ user: { token: '', ...pair } }))).toEqual([key, base64(key)]);
    expect(listKubeconfigSecrets(kubeconfig({ user: pair }))).toEqual([SECRET, key, base64(key)]);
  });

  test('are masked when a step prints the kubeconfig, however the output is cut', () => {
    const text = kubeconfig({ user: { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) } });
    const output = Buffer.from(`${text}\n${key}\n${Buffer.from(text).toString('base64')}\n`);
    const whole = createMasking(listKubeconfigSecrets(text)).mask(output.toString());
    const spellings = [SECRET, base64(key), ...key.split('\n').slice(1, -2)];
    for (const hidden of spellings) expect(whole).not.toContain(hidden);
    const decoded = whole.split('\n').map((line) => Buffer.from(line, 'base64').toString());
    for (const hidden of spellings) expect(decoded.join('\n')).not.toContain(hidden);
    expect(whole).toContain('https://k8s.example.com:6443');
    for (let cut = 0; cut <= output.length; cut += 61) {
      const masker = createMasking(listKubeconfigSecrets(text)).createMasker();
      const parts = [masker.push(output.subarray(0, cut)), masker.push(output.subarray(cut)), masker.flush()];
      expect(Buffer.concat(parts).toString()).toBe(whole);
    }
  });
});
