import * as fc from 'fast-check';
import { stringify } from 'yaml';
import type { WorkspaceRequest } from '../../src/engine/cluster.ts';
import { createAddressPolicy } from '../../src/kube/address-policy.ts';
import { listKubeconfigSecrets, parseKubeconfig } from '../../src/kube/kubeconfig.ts';
import { planPod } from '../../src/kube/pod.ts';
import { checkPodSecurity } from '../../src/kube/pod-security.ts';
import type { JsonObject } from '../../src/pipeline/pipeline.ts';
import { bent, jsonWith, mutated } from './arbitraries.ts';
import { pod } from './kube-targets.ts';
import { defineTarget, ensure, orRefusal, type Target } from './target.ts';

const TOKEN = 'the-token-of-a-tenant-0123456789';

const kubeconfig = {
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'main',
  contexts: [{ name: 'main', context: { cluster: 'c', user: 'u', namespace: 'ci' } }],
  clusters: [{ name: 'c', cluster: { server: 'https://k8s.example.com:6443/prefix', 'tls-server-name': 'k8s' } }],
  users: [{ name: 'u', user: { token: TOKEN } }],
};
const hostileUsers = [
  'exec: {command: sh}',
  'auth-provider: {name: gcp}',
  'tokenFile: /etc/passwd',
  'as: admin',
  '<<: {exec: {}}',
];

/** Forbidden requests to a shared cluster: each in any of the lists. */
const FORBIDDEN: readonly JsonObject[] = [
  { privileged: true },
  { capabilities: { add: ['SYS_ADMIN'] } },
  { procMount: 'Unmasked' },
  { seccompProfile: { type: 'Unconfined' } },
  { windowsOptions: { hostProcess: true } },
];

/** The forms of an IPv4 address in a URL. */
const SPELLINGS: readonly ((octets: readonly number[]) => string)[] = [
  (octets) => octets.join('.'),
  (octets) => String(octets.reduce((sum, octet) => sum * 256 + octet, 0)),
  (octets) => `0x${octets.map((octet) => octet.toString(16).padStart(2, '0')).join('')}`,
  (octets) => octets.map((octet) => `0${octet.toString(8)}`).join('.'),
  (octets) => `${octets.join('.')}.`,
  (octets) => `[::ffff:${octets.join('.')}]`,
  (octets) => `[64:ff9b::${octets.join('.')}]`,
  (octets) => `[2002:${toHex(octets, 0)}:${toHex(octets, 2)}::1]`,
  (octets) => octets.join('.').replaceAll(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
];

function toHex(octets: readonly number[], at: number): string {
  return (((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)).toString(16);
}

const octet = fc.integer({ min: 0, max: 255 });
const privateAddress = fc.oneof(
  fc.tuple(fc.constantFrom(0, 10, 127, 224, 239, 240, 255), octet, octet, octet),
  fc.tuple(fc.constant(192), fc.constant(168), octet, octet),
  fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), octet, octet),
  fc.tuple(fc.constant(169), fc.constant(254), octet, octet),
  fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), octet, octet),
);
const policy = createAddressPolicy([]);

const order: Omit<WorkspaceRequest, 'manifest'> = {
  scope: 'git.example.com/a/b',
  owner: 'branches',
  root: '/c3/.c3',
  buildId: 'abc',
  isResumed: false,
  reuse: true,
  idleMs: 1,
  maxAgeMs: 1_000,
  neededMs: 1,
};

/** The input of a tenant: the access to a cluster, and the Pod. */
export const policyTargets: readonly Target[] = [
  defineTarget(
    'kubeconfig',
    fc.oneof(
      mutated([
        stringify(kubeconfig),
        ...hostileUsers.map((line) => stringify(kubeconfig).replace('token:', `${line}\n      token:`)),
      ]),
      bent(kubeconfig).map((value) => stringify(value) ?? ''),
    ),
    (text) => {
      let message = '';
      const access = orRefusal(() => {
        try {
          return parseKubeconfig(text);
        } catch (error) {
          ({ message } = error as Error);
          throw error;
        }
      });
      ensure(!message.includes(TOKEN), 'a refusal contains no token');
      if (access === 'refused') return;
      ensure(/^https:\/\/[^/@\s]+$/.test(access.origin), 'the address is an https URL');
      ensure(/^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/.test(access.namespace), 'the namespace is a name');
      ensure(access.token === undefined || /^[\x21-\x7e]+$/.test(access.token), 'the token fits a header');
      ensure(listKubeconfigSecrets(text).length > 0, 'an access contains a secret');
    },
  ),

  defineTarget(
    'address-policy',
    fc.tuple(
      privateAddress,
      fc.constantFrom(...SPELLINGS),
      mutated(['[::1]', '[fe80::1%25eth0]', '[fd00:ec2::254]', 'example.com', '[::ffff:7f00:1]', '8.8.8.8']),
    ),
    ([octets, spell, other]) => {
      const host = spell(octets);
      ensure(
        orRefusal(() => policy.checkOrigin(new URL(`https://${host}:6443`).origin)) === 'refused',
        `${host} is refused`,
      );
      if (URL.canParse(`https://${other}`)) orRefusal(() => policy.checkOrigin(new URL(`https://${other}`).origin));
    },
  ),

  defineTarget(
    'pod-policy',
    fc.tuple(
      bent(pod, fc.oneof(jsonWith(['a']), fc.constantFrom(...FORBIDDEN))),
      fc.constantFrom(...FORBIDDEN),
      fc.constantFrom('containers', 'initContainers', 'ephemeralContainers'),
    ),
    ([manifest, securityContext, list]) => {
      const object = (
        typeof manifest === 'object' && manifest !== null && !Array.isArray(manifest) ? manifest : {}
      ) as JsonObject;
      const given = (
        typeof object['spec'] === 'object' && object['spec'] !== null && !Array.isArray(object['spec'])
          ? object['spec']
          : {}
      ) as JsonObject;
      ensure(checkPodSecurity(object, 'tenant').length === 0, 'a tenant may request anything from their own cluster');
      const others = Array.isArray(given[list]) ? given[list] : [];
      const hostile = {
        ...object,
        spec: { ...given, [list]: [...others, { name: 'evil', image: 'x', securityContext }] },
      };
      for (const level of ['baseline', 'restricted'] as const) {
        ensure(
          checkPodSecurity(object, level).every((sentence) => sentence.length > 0 && sentence.length < 1_000),
          'each violation has a message',
        );
        ensure(
          checkPodSecurity(hostile, level).some((sentence) => sentence.includes(list)),
          'a violation is found in every list',
        );
      }
    },
  ),

  defineTarget(
    'pod-plan',
    bent({ ...pod, metadata: { ...(pod['metadata'] as object), namespace: 'ci', generateName: 'x-' } }),
    (manifest) => {
      if (typeof manifest !== 'object' || manifest === null || Array.isArray(manifest)) return;
      const plan = planPod(
        { ...order, manifest: JSON.parse(JSON.stringify(manifest)) as JsonObject },
        { namespace: 'default' },
      );
      ensure(/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(plan.name), 'Kubernetes accepts the name of a Pod');
      const metadata = plan.manifest['metadata'] as { annotations: Record<string, string> };
      ensure(metadata.annotations['c3.build/spec-hash'] === plan.specHash, 'the annotations of c3 are set by c3');
      ensure(metadata.annotations['c3.build/scope'] === order.scope, 'a Pod belongs to one repository');
    },
  ),
];
