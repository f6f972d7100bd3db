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

beforeAll(async () => {
  const made = await generate(undefined, { keyType: 'ec' });
  [cert, key] = [made.cert, made.private];
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
