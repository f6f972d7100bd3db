import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { startC3, type C3Process } from '../../dev/demo/c3-process.ts';
import { formatPipeline } from '../e2e/target.ts';
import { useOutsider } from './outsider.ts';

describe('A7 A job that uses its node against the policy of the operator', () => {
  const outsider = useOutsider();
  const { fixture } = outsider;
  let c3: C3Process;

  beforeAll(async () => {
    // Without Telegram, which gets at most twenty messages a minute.
    c3 = await startC3({ ...fixture.world.settings, C3_POD_POLICY: 'baseline', C3_TELEGRAM_CHAT: '' });
  });
  afterAll(async () => await c3.stop());

  it.each([
    ['a privileged container', 'command: [sleep', 'securityContext: {privileged: true}, command: [sleep', 'privileged'],
    ['a path of the node', 'emptyDir: {}', 'hostPath: {path: /}', 'hostPath'],
    ["the node's network", 'restartPolicy: Never', 'hostNetwork: true', 'hostNetwork'],
    ["the node's processes", 'restartPolicy: Never', 'hostPID: true', 'hostPID'],
    ["the node's shared memory", 'restartPolicy: Never', 'hostIPC: true', 'hostIPC'],
    ['a port of the node', 'command: [sleep', 'ports: [{containerPort: 1, hostPort: 22}], command: [sleep', 'hostPort'],
    [
      'a capability',
      'command: [sleep',
      'securityContext: {capabilities: {add: [SYS_ADMIN]}}, command: [sleep',
      'capabilities',
    ],
    ['an unmasked /proc', 'command: [sleep', 'securityContext: {procMount: Unmasked}, command: [sleep', 'procMount'],
    [
      'a container without a seccomp profile',
      'restartPolicy: Never',
      'securityContext: {seccompProfile: {type: Unconfined}}',
      'seccompProfile',
    ],
    [
      'a setting of the kernel',
      'restartPolicy: Never',
      'securityContext: {sysctls: [{name: kernel.msgmax, value: "1"}]}',
      'sysctls',
    ],
    [
      'a privileged container that runs before the others',
      'restartPolicy: Never',
      'initContainers: [{name: first, image: x, securityContext: {privileged: true}}]',
      'initContainers',
    ],
    [
      'a host process of Windows',
      'restartPolicy: Never',
      'securityContext: {windowsOptions: {hostProcess: true}}',
      'hostProcess',
    ],
    [
      'a privileged container by a text in place of a boolean',
      'command: [sleep',
      'securityContext: {privileged: "true"}, command: [sleep',
      'privileged',
    ],
    ['another service account', 'restartPolicy: Never', 'serviceAccountName: c3-builds', 'serviceAccountName'],
    [
      'another service account by its old name',
      'restartPolicy: Never',
      'serviceAccount: c3-builds',
      'serviceaccount/c3-builds',
    ],
    [
      'the token of a service account',
      'restartPolicy: Never',
      'automountServiceAccountToken: true',
      'automountServiceAccountToken',
    ],
    [
      'a projected token of a service account',
      'emptyDir: {}',
      'projected: {sources: [{serviceAccountToken: {path: token}}]}',
      'serviceAccountToken',
    ],
    ['a Secret as a volume', 'emptyDir: {}', 'secret: {secretName: c3-builds-token}', 'secret/c3-builds-token'],
    [
      'a Secret for the driver of a volume',
      'emptyDir: {}',
      'csi: {driver: x.example.com, nodePublishSecretRef: {name: c3-builds-token}}',
      'secret/c3-builds-token',
    ],
    [
      'secrets of a store outside the cluster',
      'emptyDir: {}',
      'csi: {driver: secrets-store.csi.k8s.io, volumeAttributes: {secretProviderClass: production}}',
      'secret/production',
    ],
    [
      'a Secret in a variable',
      'command: [sleep',
      'env: [{name: A, valueFrom: {secretKeyRef: {name: c3-builds-token, key: token}}}], command: [sleep',
      'secret/c3-builds-token',
    ],
    [
      'a Secret as variables',
      'command: [sleep',
      'envFrom: [{secretRef: {name: c3-builds-token}}], command: [sleep',
      'secret/c3-builds-token',
    ],
  ])('creates no Pod with %s', async (_, part, hostile, field) => {
    const hook = await fixture.setUp({ c3 });
    const source = formatPipeline(fixture.target, hook.k8s, '- main: echo').replace(part, hostile);
    await outsider.spare(async () => {
      const { sha } = await hook.user.push({ 'c3.yaml': source }, 'x');
      const status = await hook.user.waitForEnd(sha);
      expect(status).toMatchObject({ state: 'error', description: expect.stringMatching(/^config error/) });
      const log = (): string => c3.log.filter((line) => line.includes(sha)).join('\n');
      await expect.poll(log).toContain(field);
      expect(log()).toContain('job.spec');
    });
  });

  it('still creates Pods that request nothing of the kind', async () => {
    const hook = await fixture.setUp({ c3 });
    const source = formatPipeline(fixture.target, hook.k8s, '- main: echo');
    const { sha } = await hook.user.push({ 'c3.yaml': source }, 'x');
    expect(await hook.user.waitForEnd(sha)).toMatchObject({ state: 'success' });
    const pods = outsider.cluster.pods().filter(({ metadata }) => metadata.name?.startsWith('shop-'));
    expect(pods.map(({ spec }) => spec)).toContainEqual(
      expect.objectContaining({ automountServiceAccountToken: false }),
    );
  });
});

describe('A7 A compromised c3', () => {
  const documents = parseAllDocuments(readFileSync(new URL('../../deploy/kubernetes.yaml', import.meta.url), 'utf8'));
  const objects = documents.map((document) => document.toJS() as Record<string, unknown>);

  it('has no root, capability or writable file system in its own Pod', () => {
    const deployment = objects.find(({ kind }) => kind === 'Deployment') as {
      spec: { template: { spec: { securityContext: object; containers: { securityContext: object }[] } } };
    };
    const { securityContext, containers } = deployment.spec.template.spec;
    expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    for (const container of containers) {
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
  });

  it('has no right to Pods, Secrets or execs of its own cluster', () => {
    const roles = objects.filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole');
    const resources = roles.flatMap((role) =>
      (role['rules'] as { resources: string[] }[]).flatMap(({ resources }) => resources),
    );
    expect(resources.filter((resource) => resource !== 'leases')).toEqual([]);
    expect(objects.filter(({ kind }) => kind === 'ClusterRole' || kind === 'ClusterRoleBinding')).toEqual([]);
  });

  it('builds where the account of the builds and its token are not', () => {
    const text = readFileSync(new URL('../../deploy/tenant-role.yaml', import.meta.url), 'utf8');
    const namespaces = parseAllDocuments(text).map((document) => {
      const { kind, metadata } = document.toJS() as { kind: string; metadata: { namespace?: string } };
      return [kind, metadata.namespace];
    });
    expect(namespaces).toEqual([
      ['ServiceAccount', 'ci-account'],
      ['Secret', 'ci-account'],
      ['Role', 'ci'],
      ['RoleBinding', 'ci'],
    ]);
    const binding = parseAllDocuments(text)[3]?.toJS() as { subjects: object[] } | undefined;
    expect(binding?.subjects).toEqual([{ kind: 'ServiceAccount', name: 'c3-builds', namespace: 'ci-account' }]);
  });

  it('gets permissions from a tenant only for the Pods of one namespace, and no wildcard, Secret or node', () => {
    const text = readFileSync(new URL('../../deploy/tenant-role.yaml', import.meta.url), 'utf8');
    const roles = parseAllDocuments(text).map(
      (document) => document.toJS() as { kind: string; rules?: { resources: string[]; verbs: string[] }[] },
    );
    expect(roles.map(({ kind }) => kind)).not.toContain('ClusterRole');
    const rules = roles.flatMap(({ rules }) => rules ?? []);
    expect(rules.flatMap(({ verbs }) => verbs)).not.toContain('*');
    const allowed = ['pods', 'pods/exec', 'pods/log', 'events', 'leases', 'nodes'];
    expect(
      rules
        .flatMap(({ resources }) => resources)
        .filter((resource) => !allowed.includes(resource) || resource === 'nodes'),
    ).toEqual([]);
  });
});
