import { expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Terminal } from '../terminal.ts';
import { readUserCluster } from './open-target.ts';

const FILES: Readonly<Record<string, string>> = {
  '/home/ann/.kube/config': `
current-context: minikube
contexts:
- {name: minikube, context: {cluster: minikube, user: minikube, namespace: ci}}
- {name: cloud, context: {cluster: cloud, user: cloud}}
clusters:
- {name: minikube, cluster: {server: 'https://192.168.49.2:8443', certificate-authority: ../ca.crt}}
- {name: cloud, cluster: {server: 'https://cloud.example', certificate-authority-data: Q0E=}}
users:
- {name: minikube, user: {client-certificate: /certs/client.crt, client-key: /certs/client.key}}
- {name: cloud, user: {exec: {command: aws, apiVersion: client.authentication.k8s.io/v1}}}
`,
  '/home/ann/ca.crt': 'the authority',
  '/certs/client.crt': 'the certificate',
  '/certs/client.key': 'the key',
  '/etc/c3/other': `
contexts:
- {name: other, context: {cluster: minikube, user: robot}}
users:
- {name: robot, user: {tokenFile: token}}
`,
  '/etc/c3/token': 'the token\n',
  '/etc/c3/broken': 'users: [',
};

function read(options: { kubeconfig?: string; context?: string; env?: Record<string, string> }): {
  name: string;
  root: unknown;
} {
  const terminal = {
    env: { HOME: '/home/ann', ...options.env },
    readFile(path: string) {
      const text = FILES[path];
      if (text === undefined) throw new Error(`no file "${path}"`);
      return text;
    },
  } as unknown as Terminal;
  const { name, kubeconfig } = readUserCluster(terminal, options);
  return { name, root: parse(kubeconfig) as unknown };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

it('puts the files of the current context into it', () => {
  expect(read({})).toEqual({
    name: 'minikube',
    root: {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'minikube',
      contexts: [{ name: 'minikube', context: { cluster: 'cluster', user: 'user', namespace: 'ci' } }],
      clusters: [
        {
          name: 'cluster',
          cluster: { server: 'https://192.168.49.2:8443', 'certificate-authority-data': base64('the authority') },
        },
      ],
      users: [
        {
          name: 'user',
          user: { 'client-certificate-data': base64('the certificate'), 'client-key-data': base64('the key') },
        },
      ],
    },
  });
});

it('joins the files of KUBECONFIG, each with paths of its own', () => {
  const { root } = read({ env: { KUBECONFIG: '/etc/c3/other:/home/ann/.kube/config' }, context: 'other' });
  expect(root).toMatchObject({
    clusters: [{ cluster: { server: 'https://192.168.49.2:8443' } }],
    users: [{ user: { token: 'the token' } }],
  });
});

it.each([
  [
    { context: 'cloud' },
    'KUBECONFIG_INVALID',
    'The user "cloud" of the kubeconfig gets its token from a program (exec), which c3 does not run',
  ],
  [{ context: 'no-such' }, 'KUBECONFIG_INVALID', 'The kubeconfig has no context "no-such"'],
  [{ kubeconfig: '/no/such' }, 'USAGE_INVALID', 'Cannot read the kubeconfig "/no/such"'],
  [{ kubeconfig: '/etc/c3/other' }, 'KUBECONFIG_INVALID', 'The kubeconfig has no current-context'],
  [{ kubeconfig: '/etc/c3/other', context: 'other' }, 'KUBECONFIG_INVALID', 'The kubeconfig has no cluster "minikube"'],
  [{ kubeconfig: '/etc/c3/broken' }, 'KUBECONFIG_INVALID', '"/etc/c3/broken" is not a kubeconfig'],
])('of %j says %s', (options, code, message) => {
  expect(() => read(options)).toThrow(expect.objectContaining({ code, message }));
});

it('shows how to do without a program', () => {
  expect(() => read({ context: 'cloud' })).toThrow(
    expect.objectContaining({
      hint: expect.stringMatching(/kubectl create token .* kubectl config view --minify --flatten --raw/),
    }),
  );
});
