import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../pipeline/pipeline.ts';
import { checkPodSecurity, type PodSecurityLevel } from './pod-security.ts';

type Change = readonly [path: string, value: unknown];

/** Creates a Pod with every kind of container, and sets the value at each `path` (`spec.containers.0.name`). */
function createJob(...changes: readonly Change[]): JsonObject {
  const job: Record<string, unknown> = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'shop', annotations: { 'example.com/any': 'thing' } },
    spec: {
      containers: [{ name: 'main', image: 'a' }],
      initContainers: [{ name: 'init', image: 'a' }],
      ephemeralContainers: [{ name: 'debug', image: 'a' }],
      volumes: [{ name: 'c3', emptyDir: {} }],
    },
  };
  for (const [path, value] of changes) {
    const names = path.split('.');
    const last = names.pop() ?? '';
    let target = job;
    for (const name of names) target = (target[name] ??= {}) as Record<string, unknown>;
    target[last] = structuredClone(value);
  }
  return job as JsonObject;
}

/** What `restricted` requires of the Pod and of each container. */
const COMPLIANT: readonly Change[] = [
  ['spec.securityContext', { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } }],
  ...['containers', 'initContainers', 'ephemeralContainers'].map((list): Change => [
    `spec.${list}.0.securityContext`,
    { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  ]),
];

const POD = 'spec.securityContext';
const LISTS = ['spec.containers.0', 'spec.initContainers.0', 'spec.ephemeralContainers.0'];
const CONTEXTS = LISTS.map((path) => `${path}.securityContext`);

/** A control of the standard, the fields that it checks, and values that it refuses and accepts. */
type Rule = readonly [
  name: string,
  paths: readonly string[],
  refused: readonly unknown[],
  accepted: readonly unknown[],
];

function below(paths: readonly string[], ...fields: readonly string[]): string[] {
  return fields.flatMap((field) => paths.map((path) => `${path}.${field}`));
}

const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle.postStart', 'lifecycle.preStop'];
const HANDLERS = PROBES.flatMap((probe) => [`${probe}.httpGet`, `${probe}.tcpSocket`]);

const BASELINE: readonly Rule[] = [
  [
    'HostProcess',
    below([POD, ...CONTEXTS], 'windowsOptions'),
    [{ hostProcess: true }, { hostProcess: 'false' }, 'x'],
    [{ hostProcess: false }, {}, null],
  ],
  ['Host Namespaces', ['spec.hostNetwork', 'spec.hostPID', 'spec.hostIPC'], [true, 'true', 1, {}], [false, null]],
  ['Privileged Containers', below(CONTEXTS, 'privileged'), [true, 'true', 0, []], [false, null]],
  [
    'Capabilities',
    below(CONTEXTS, 'capabilities.add'),
    [['SYS_ADMIN'], ['CHOWN', 'NET_RAW'], ['ALL'], ['cap_chown'], [null], 'CHOWN', {}],
    [['CHOWN', 'KILL', 'NET_BIND_SERVICE', 'SYS_CHROOT'], [], null],
  ],
  [
    'HostPath Volumes',
    ['spec.volumes'],
    [
      [{ name: 'a', hostPath: { path: '/' } }],
      [{ name: 'a', hostPath: '' }],
      [{ name: 'a' }, { hostPath: {} }],
      {},
      [1],
    ],
    [[{ name: 'a', hostPath: null }], [{ name: 'a', nfs: {} }], []],
  ],
  ['Host Ports', below(LISTS, 'ports'), [[{ hostPort: 80 }], [{}, { hostPort: '0' }], {}], [[{ hostPort: 0 }], [{}]]],
  [
    'Host Probes / Lifecycle Hooks',
    below(LISTS, ...HANDLERS),
    [{ host: '127.0.0.1' }, { host: 0 }, 'x'],
    [{ host: '' }],
  ],
  [
    'AppArmor',
    below([POD, ...CONTEXTS], 'appArmorProfile.type'),
    ['Unconfined', '', true],
    ['RuntimeDefault', 'Localhost', null],
  ],
  [
    'AppArmor',
    ['metadata.annotations'],
    ['unconfined', '', 'runtime/default2', 1, {}].map((value) => ({
      'container.apparmor.security.beta.kubernetes.io/main': value,
    })),
    ['runtime/default', 'localhost/x'].map((value) => ({
      'container.apparmor.security.beta.kubernetes.io/main': value,
    })),
  ],
  [
    'SELinux',
    below([POD, ...CONTEXTS], 'seLinuxOptions'),
    [{ type: 'spc_t' }, { user: 'system_u' }, { role: 'sysadm_r' }, { type: 1 }],
    [{ type: 'container_t', user: '', role: '' }, { type: 'container_engine_t', level: 's0' }, { type: '' }],
  ],
  ['/proc Mount Type', below(CONTEXTS, 'procMount'), ['Unmasked', 'default', 1], ['Default', null]],
  [
    'Seccomp',
    below([POD, ...CONTEXTS], 'seccompProfile.type'),
    ['Unconfined', 'runtimedefault', 1],
    ['RuntimeDefault', 'Localhost'],
  ],
  [
    'Seccomp',
    ['metadata.annotations'],
    [
      { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' },
      { 'container.seccomp.security.alpha.kubernetes.io/main': 'unconfined' },
    ],
    [{ 'seccomp.security.alpha.kubernetes.io/pod': 'runtime/default' }],
  ],
  [
    'Sysctls',
    [`${POD}.sysctls`],
    [
      [{ name: 'kernel.msgmax', value: '1' }],
      [{ name: 'net.ipv4.tcp_rmem' }, { name: 'net.core.somaxconn' }],
      [{}],
      {},
    ],
    [[{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }], [], null],
  ],
];

/** Changes to a job that otherwise complies with `restricted`. */
const RESTRICTED: readonly Rule[] = [
  [
    'Volume Types',
    ['spec.volumes'],
    ['nfs', 'iscsi', 'gitRepo', 'flexVolume', 'image', 'made-up'].map((type) => [{ name: 'a', [type]: {} }]),
    ['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret']
      .map((type): unknown => [{ name: 'a', [type]: {} }])
      .concat([[{ name: 'a' }], [{ name: 'a', nfs: null }]]),
  ],
  ['Privilege Escalation', below(CONTEXTS, 'allowPrivilegeEscalation'), [true, null, undefined, 'false', 0], [false]],
  ['Running as Non-root', below([POD], 'runAsNonRoot'), [false, null, 'true'], [true]],
  ['Running as Non-root', below(CONTEXTS, 'runAsNonRoot'), [false, 'true', 1], [true, null, undefined]],
  ['Running as Non-root user', below([POD, ...CONTEXTS], 'runAsUser'), [0, '1000', true, -0], [1, 1000, null]],
  [
    'Seccomp',
    below([POD], 'seccompProfile'),
    [{ type: 'Unconfined' }, null, {}, { type: '' }],
    [{ type: 'Localhost' }],
  ],
  ['Seccomp', below(CONTEXTS, 'seccompProfile'), [{ type: 'Unconfined' }], [{ type: 'Localhost' }, {}, null]],
  [
    'Capabilities',
    below(CONTEXTS, 'capabilities'),
    [
      {},
      { drop: [] },
      { drop: ['NET_RAW'] },
      { drop: ['all'] },
      { drop: 'ALL' },
      { drop: ['ALL'], add: ['CHOWN'] },
      null,
    ],
    [{ drop: ['ALL'], add: ['NET_BIND_SERVICE'] }, { drop: ['KILL', 'ALL'] }],
  ],
];

function toCases(rules: readonly Rule[]): [string, string, Rule][] {
  return rules.flatMap((rule) => rule[1].map((field): [string, string, Rule] => [rule[0], field, rule]));
}

describe('the policy "tenant"', () => {
  it('accepts every job', () => {
    const worst = createJob(['spec.hostPID', true], ['spec.containers.0.securityContext', { privileged: true }]);
    expect(checkPodSecurity(worst, 'tenant')).toEqual([]);
  });
});

describe('the policy "baseline"', () => {
  it('accepts a plain job, and one with empty security contexts', () => {
    expect(checkPodSecurity(createJob(), 'baseline')).toEqual([]);
    const empty = [POD, ...CONTEXTS].map((field): Change => [field, {}]);
    expect(checkPodSecurity(createJob(...empty), 'baseline')).toEqual([]);
  });

  it.each(toCases(BASELINE))('%s: %s', (name, field, [, , refused, accepted]) => {
    const path = `job.${field.replaceAll(/\.(\d+)/g, '[$1]')}`;
    function isRight(sentence: string): boolean {
      // A value that is not a map or a list is reported without the rule.
      const isOfType = / must be a (?:map|list) \(baseline\)$/.test(sentence);
      return sentence.startsWith(path) && (isOfType || sentence.endsWith(` (baseline: ${name})`));
    }
    const missed = refused.filter((value) => {
      const sentences = checkPodSecurity(createJob([field, value]), 'baseline');
      return sentences.length === 0 || !sentences.every(isRight);
    });
    expect(missed).toEqual([]);
    expect(accepted.flatMap((value) => checkPodSecurity(createJob([field, value]), 'baseline'))).toEqual([]);
  });

  it('reports every violation with its field and its rule', () => {
    const job = createJob(
      ['spec.hostNetwork', true],
      ['spec.volumes', [{ name: 'root', hostPath: { path: '/' } }]],
      ['spec.containers.0.securityContext', { privileged: true, capabilities: { add: ['SYS_PTRACE'] } }],
      ['spec.initContainers', { name: 'init' }],
    );
    expect(checkPodSecurity(job, 'baseline')).toEqual([
      'job.spec.hostNetwork is true, but may only be false (baseline: Host Namespaces)',
      'job.spec.volumes[0].hostPath is {"path":"/"}, but must not be set (baseline: HostPath Volumes)',
      'job.spec.initContainers must be a list (baseline)',
      'job.spec.containers[0].securityContext.privileged is true, but may only be false (baseline: Privileged Containers)',
      expect.stringMatching(
        /^job\.spec\.containers\[0\]\.securityContext\.capabilities\.add\[0\] is "SYS_PTRACE", but may only be "AUDIT_WRITE", /,
      ),
    ]);
  });

  it.each([['spec'], ['metadata'], ['spec.containers'], [POD], ['metadata.annotations']])(
    'refuses a job whose %s has a wrong type',
    (field) => {
      expect(checkPodSecurity(createJob([field, 'text']), 'baseline')).toEqual([
        expect.stringMatching(`^job\\.${field.replaceAll('.', '\\.')} must be a (?:map|list) \\(baseline\\)$`),
      ]);
    },
  );

  it('ignores inherited properties', () => {
    const job = JSON.parse(
      '{"spec":{"containers":[{"securityContext":{"__proto__":{"privileged":true}}}]}}',
    ) as JsonObject;
    expect(checkPodSecurity(job, 'baseline')).toEqual([]);
    const spec: unknown = Object.create({ hostPID: true });
    expect(checkPodSecurity({ spec } as JsonObject, 'baseline')).toEqual([]);
  });
});

describe('the policy "restricted"', () => {
  it('accepts a job whose Pod complies', () => {
    expect(checkPodSecurity(createJob(...COMPLIANT), 'restricted')).toEqual([]);
  });

  it('accepts a job whose containers each comply', () => {
    const context = {
      allowPrivilegeEscalation: false,
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
      capabilities: { drop: ['ALL'] },
    };
    expect(checkPodSecurity(createJob(...CONTEXTS.map((field): Change => [field, context])), 'restricted')).toEqual([]);
  });

  it.each(toCases(BASELINE))('refuses what "baseline" refuses: %s: %s', (_, field, [, , refused]) => {
    const missed = refused.filter(
      (value) => checkPodSecurity(createJob(...COMPLIANT, [field, value]), 'restricted').length === 0,
    );
    expect(missed).toEqual([]);
  });

  it.each(toCases(RESTRICTED))('%s: %s', (name, field, [, , refused, accepted]) => {
    const missed = refused.filter((value) => {
      const sentences = checkPodSecurity(createJob(...COMPLIANT, [field, value]), 'restricted');
      return !sentences.some((sentence) => sentence.endsWith(` (restricted: ${name})`));
    });
    expect(missed).toEqual([]);
    const violations = accepted.flatMap((value) =>
      checkPodSecurity(createJob(...COMPLIANT, [field, value]), 'restricted'),
    );
    expect(violations).toEqual([]);
  });

  it('reports what a plain job lacks', () => {
    const plain = { spec: { containers: [{ name: 'main' }] } };
    const context = 'job.spec.containers[0].securityContext';
    expect(checkPodSecurity(plain, 'restricted')).toEqual([
      `${context}.runAsNonRoot must be true (restricted: Running as Non-root)`,
      `${context}.seccompProfile.type must be "RuntimeDefault" or "Localhost" (restricted: Seccomp)`,
      `${context}.allowPrivilegeEscalation must be false (restricted: Privilege Escalation)`,
      `${context}.capabilities.drop must hold "ALL" (restricted: Capabilities)`,
    ]);
  });
});

describe('service accounts and Secrets', () => {
  const TOKEN = { serviceAccountToken: { path: 'token' } };
  const projected = (source: object): Change => ['spec.volumes', [{ name: 'a', projected: { sources: [source] } }]];
  const FIELDS: readonly (readonly [field: string, change: Change, name: string])[] = [
    ['spec.serviceAccountName', ['spec.serviceAccountName', 'builder'], 'serviceaccount/builder'],
    ['spec.serviceAccount', ['spec.serviceAccount', 'builder'], 'serviceaccount/builder'],
    ['spec.serviceAccountName', ['spec.serviceAccountName', 7], 'serviceaccount/7'],
    ['spec.automountServiceAccountToken', ['spec.automountServiceAccountToken', true], 'serviceaccount/default'],
    ['spec.automountServiceAccountToken', ['spec.automountServiceAccountToken', 'true'], 'serviceaccount/default'],
    ['spec.volumes[0].projected.sources[0].serviceAccountToken', projected(TOKEN), 'serviceaccount/default'],
    [
      'spec.volumes[0].projected.sources[0].podCertificate',
      projected({ podCertificate: {} }),
      'serviceaccount/default',
    ],
    ['spec.volumes[0].projected.sources[0].secret.name', projected({ secret: { name: 'npm' } }), 'secret/npm'],
    ...LISTS.flatMap((path): [string, Change, string][] => {
      const field = path.replace('.0', '[0]');
      const env = [{ name: 'A', valueFrom: { secretKeyRef: { name: 'npm', key: 'a' } } }];
      return [
        [`${field}.env[0].valueFrom.secretKeyRef.name`, [`${path}.env`, env], 'secret/npm'],
        [`${field}.envFrom[0].secretRef.name`, [`${path}.envFrom`, [{ secretRef: { name: 'npm' } }]], 'secret/npm'],
      ];
    }),
  ];

  it.each(FIELDS)('are refused in %s unless the operator allows them', (field, change, name) => {
    for (const policy of ['baseline', 'restricted'] as const) {
      const job = createJob(...COMPLIANT, change);
      const [sentence = '', ...others] = checkPodSecurity(job, policy);
      expect(others).toEqual([]);
      expect(sentence.split(' is ')[0]).toBe(`job.${field}`);
      expect(sentence).toContain(`, but the operator does not allow ${name} (C3_ALLOW_IN_JOBS) (${policy})`);
      expect(checkPodSecurity(job, policy, { isAllowed: (one) => one === name })).toEqual([]);
    }
    expect(checkPodSecurity(createJob(change), 'tenant')).toEqual([]);
  });

  it.each([
    'secret.secretName',
    'azureFile.secretName',
    'csi.nodePublishSecretRef.name',
    'csi.volumeAttributes.secretProviderClass',
    ...['cephfs', 'flexVolume', 'iscsi', 'rbd', 'scaleIO', 'storageos'].map((kind) => `${kind}.secretRef.name`),
  ])('are refused in spec.volumes[0].%s unless the operator allows them', (field) => {
    const job = createJob(...COMPLIANT, [`spec.volumes.0.${field}`, 'npm']);
    const sentence = `job.spec.volumes[0].${field} is "npm", but the operator does not allow secret/npm (C3_ALLOW_IN_JOBS)`;
    expect(checkPodSecurity(job, 'baseline')).toEqual([`${sentence} (baseline)`]);
    expect(checkPodSecurity(job, 'restricted')).toContain(`${sentence} (restricted)`);
    expect(checkPodSecurity(job, 'baseline', { isAllowed: (name) => name === 'secret/npm' })).toEqual([]);
  });

  it('need the permission for the account whose token they show', () => {
    const job = createJob(['spec.serviceAccountName', 'builder'], projected(TOKEN));
    const isAllowed = (name: string): boolean => name === 'serviceaccount/default';
    expect(checkPodSecurity(job, 'baseline', { isAllowed })).toHaveLength(2);
    expect(checkPodSecurity(job, 'baseline', { isAllowed: (name) => name === 'serviceaccount/builder' })).toEqual([]);
  });

  it.each<Change>([
    ['spec.serviceAccountName', 'default'],
    ['spec.serviceAccountName', ''],
    ['spec.serviceAccountName', null],
    ['spec.automountServiceAccountToken', false],
    ['spec.imagePullSecrets', [{ name: 'registry' }]],
    projected({ configMap: { name: 'a' } }),
  ])('are not used by %s: %j', (...change) => {
    expect(checkPodSecurity(createJob(change), 'baseline')).toEqual([]);
  });
});

describe('a job with endless violations', () => {
  it('is reported in at most fifty short sentences', () => {
    const ports = Array.from({ length: 1000 }, (_, n) => ({ hostPort: n + 1 }));
    const annotation = `container.apparmor.security.beta.kubernetes.io/${'x'.repeat(10_000)}`;
    const job = createJob(
      ['spec.containers.0.ports', ports],
      ['metadata.annotations', { [annotation]: 'y'.repeat(10_000) }],
    );
    const sentences = checkPodSecurity(job, 'baseline');
    expect(sentences).toHaveLength(50);
    expect(Math.max(...sentences.map(({ length }) => length))).toBeLessThan(500);
  });
});

describe('any policy', () => {
  it('returns sentences for any job', () => {
    fc.assert(
      fc.property(
        fc.object({ maxDepth: 6 }),
        fc.constantFrom<PodSecurityLevel>('baseline', 'restricted'),
        (spec, policy) => {
          for (const sentence of checkPodSecurity({ spec } as JsonObject, policy)) expect(sentence).toMatch(/^job\./);
        },
      ),
    );
  });
});
