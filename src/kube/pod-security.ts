import { isJsonObject, readArray, readObject } from '../json.ts';
import type { JsonObject } from '../pipeline/pipeline.ts';

/**
 * What the operator allows a job to request from a cluster (threat model A7): a level of the Pod Security Standards,
 * or with `tenant` anything that the cluster itself allows, for clusters that belong to the tenant.
 */
export type PodSecurityLevel = 'tenant' | 'baseline' | 'restricted';

/** A field of the manifest. For Kubernetes, absent and `null` are the same. Here both are `undefined`. */
interface Field {
  readonly path: string;
  readonly value: unknown;
}

/** A job of 64 KiB can have thousands of violations, and its values are quoted. People read the first lines. */
const MAX_SENTENCES = 50;
const MAX_SENTENCE = 400;

const BASELINE_CAPABILITIES = words(`AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE
  SETFCAP SETGID SETPCAP SETUID SYS_CHROOT`);

/** As of Kubernetes 1.32. */
const SAFE_SYSCTLS = words(`kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_unprivileged_port_start
  net.ipv4.tcp_syncookies net.ipv4.ping_group_range net.ipv4.ip_local_reserved_ports net.ipv4.tcp_keepalive_time
  net.ipv4.tcp_fin_timeout net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_rmem
  net.ipv4.tcp_wmem`);

const SELINUX_TYPES = ['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'];

const VOLUME_TYPES = words('configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret');

/** Profiles that restrict a container. The administrator of the node installs the `Localhost` profiles. */
const PROFILES = ['RuntimeDefault', 'Localhost'];

/** Older Kubernetes versions configure profiles with annotations. These are the prefixes of their keys. */
const PROFILE_ANNOTATIONS = [
  ['AppArmor', 'container.apparmor.security.beta.kubernetes.io/'],
  ['Seccomp', 'container.seccomp.security.alpha.kubernetes.io/'],
  ['Seccomp', 'seccomp.security.alpha.kubernetes.io/'],
] as const;

const CONTAINERS = ['containers', 'initContainers', 'ephemeralContainers'].map((list) => `spec.${list}[]`);
const CONTAINER_CONTEXTS = below(CONTAINERS, 'securityContext');
const CONTEXTS = ['spec.securityContext', ...CONTAINER_CONTEXTS];
/**
 * A probe with its own host makes the node send requests to another machine or to itself. In the standard since
 * Kubernetes 1.34.
 */
const HANDLERS = below(
  below(CONTAINERS, 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle.postStart', 'lifecycle.preStop'),
  'httpGet',
  'tcpSocket',
);

/**
 * The name of the control, the fields that it restricts (`[]` stands for each item of a list), their allowed values,
 * and whether a field must be set.
 */
type Control = readonly [name: string, paths: readonly string[], allowed: readonly unknown[], isRequired?: boolean];

const BASELINE: readonly Control[] = [
  ['Host Namespaces', below(['spec'], 'hostNetwork', 'hostPID', 'hostIPC'), [false]],
  ['HostPath Volumes', ['spec.volumes[].hostPath'], []],
  ['HostProcess', below(CONTEXTS, 'windowsOptions.hostProcess'), [false]],
  ['AppArmor', below(CONTEXTS, 'appArmorProfile.type'), PROFILES],
  ['Seccomp', below(CONTEXTS, 'seccompProfile.type'), PROFILES],
  ['SELinux', below(CONTEXTS, 'seLinuxOptions.type'), SELINUX_TYPES],
  ['SELinux', below(CONTEXTS, 'seLinuxOptions.user', 'seLinuxOptions.role'), ['']],
  ['Privileged Containers', below(CONTAINER_CONTEXTS, 'privileged'), [false]],
  ['/proc Mount Type', below(CONTAINER_CONTEXTS, 'procMount'), ['Default']],
  ['Capabilities', below(CONTAINER_CONTEXTS, 'capabilities.add[]'), BASELINE_CAPABILITIES],
  ['Host Ports', below(CONTAINERS, 'ports[].hostPort'), [0]],
  ['Host Probes / Lifecycle Hooks', below(HANDLERS, 'host'), ['']],
  ['Sysctls', ['spec.securityContext.sysctls[].name'], SAFE_SYSCTLS, true],
];

const RESTRICTED: readonly Control[] = [
  ['Running as Non-root', ['spec.securityContext.runAsNonRoot'], [true]],
  ['Privilege Escalation', below(CONTAINER_CONTEXTS, 'allowPrivilegeEscalation'), [false], true],
  ['Capabilities', below(CONTAINER_CONTEXTS, 'capabilities.add[]'), ['NET_BIND_SERVICE']],
];

/** Restricted fields of a security context that a container must set when the Pod does not set them. */
const RESTRICTED_UNLESS_INHERITED = [
  ['Running as Non-root', 'runAsNonRoot', [true]],
  ['Seccomp', 'seccompProfile.type', PROFILES],
] as const;

/** Each gives a container an identity in the cluster. */
const TOKEN_SOURCES = below(['spec.volumes[].projected.sources[]'], 'serviceAccountToken', 'podCertificate');

/**
 * Each shows a Secret to a container, or uses it to open storage. A `secretProviderClass` shows secrets of a store
 * outside the cluster, and needs the permission for a Secret of its name. An image is pulled without showing the Secret.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume/
 * @see https://secrets-store-csi-driver.sigs.k8s.io/concepts
 */
const SECRET_NAMES = [
  ...below(
    ['spec.volumes[]'],
    'secret.secretName',
    'projected.sources[].secret.name',
    'csi.nodePublishSecretRef.name',
    'csi.volumeAttributes.secretProviderClass',
    'azureFile.secretName',
    ...below(words('cephfs flexVolume iscsi rbd scaleIO storageos'), 'secretRef.name'),
  ),
  ...below(CONTAINERS, 'env[].valueFrom.secretKeyRef.name', 'envFrom[].secretRef.name'),
];

function words(text: string): string[] {
  return text.split(/\s+/);
}

function below(paths: readonly string[], ...fields: readonly string[]): string[] {
  return paths.flatMap((path) => fields.map((field) => `${path}.${field}`));
}

/**
 * Checks a job against the Pod Security Standards. Each violation is a sentence with the field and the name of the
 * control. The standards' exceptions for Windows and for user namespaces do not apply. A value of a type that
 * Kubernetes does not expect is a violation too, because c3 cannot know how an API server reads it.
 *
 * Service accounts and Secrets are a violation unless the operator allows them. The namespace may hold tokens with more
 * rights than a build has, and c3 cannot read what a Secret contains.
 *
 * @param manifest the Pod as it is in c3.yaml
 * @param options `isAllowed` says whether a job may use `serviceaccount/NAME` or `secret/NAME`. Default: none.
 * @returns an empty list when the job may run; at most {@link MAX_SENTENCES}
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export function checkPodSecurity(
  manifest: JsonObject,
  policy: PodSecurityLevel,
  { isAllowed = () => false }: { isAllowed?(name: string): boolean } = {},
): readonly string[] {
  if (policy === 'tenant') return [];
  // A set, because both levels may forbid the same value of the same field.
  const violations = new Set<string>();
  const checker = createChecker(manifest, (sentence, rule) => {
    violations.add(`${sentence.slice(0, MAX_SENTENCE)} (${rule === undefined ? policy : `${policy}: ${rule}`})`);
  });
  BASELINE.forEach(checker.check);
  checkAnnotations(checker);
  checkCredentials(checker, isAllowed);
  if (policy === 'restricted') checkRestricted(checker);
  return [...violations].slice(0, MAX_SENTENCES);
}

type Checker = ReturnType<typeof createChecker>;

/** Creates the functions that read fields of the manifest and report violations. */
function createChecker(manifest: JsonObject, report: (sentence: string, rule?: string) => void) {
  function child({ path, value }: Field, name: string): Field {
    const fields = members({ path, value });
    const found = Object.hasOwn(fields, name) ? fields[name] : undefined;
    return { path: `${path}.${name}`, value: found ?? undefined };
  }
  function members({ path, value }: Field): Readonly<Record<string, unknown>> {
    if (value !== undefined && !isJsonObject(value)) report(`${path} must be a map`);
    return readObject(value);
  }
  function items({ path, value }: Field): Field[] {
    if (value !== undefined && !Array.isArray(value)) report(`${path} must be a list`);
    return readArray(value).map((item, index) => ({ path: `${path}[${index}]`, value: item }));
  }
  /** Returns the fields at a path of a {@link Control}. */
  function select(path: string): Field[] {
    let fields: Field[] = [{ path: 'job', value: manifest }];
    for (const name of path.split('.')) {
      const children = fields.map((field) => child(field, name.replace('[]', '')));
      fields = name.endsWith('[]') ? children.flatMap(items) : children;
    }
    return fields;
  }
  function check([rule, paths, allowed, isRequired = false]: Control): void {
    const values = allowed.filter((one) => one !== '').map((one) => JSON.stringify(one));
    for (const { path, value } of paths.flatMap(select)) {
      const wanted = values.length === 0 ? 'must not be set' : `may only be ${values.join(', ')}`;
      if (value !== undefined && !allowed.includes(value)) report(`${path} is ${quote(value)}, but ${wanted}`, rule);
      if (value === undefined && isRequired) report(`${path} must be ${values.join(' or ')}`, rule);
    }
  }
  return { report, child, members, items, select, check };
}

function toName({ value }: Field): string {
  return typeof value === 'string' ? value : (quote(value) ?? '');
}

function quote(value: unknown): string | undefined {
  return JSON.stringify(value)?.slice(0, 80);
}

function checkAnnotations({ select, child, members, report }: Checker): void {
  for (const annotations of select('metadata.annotations')) {
    for (const key of Object.keys(members(annotations))) {
      const [rule] = PROFILE_ANNOTATIONS.find(([, prefix]) => key.startsWith(prefix)) ?? [];
      const { path, value } = child(annotations, key);
      const isAllowed = typeof value === 'string' && /^(?:runtime\/default$|localhost\/)/.test(value);
      if (rule === undefined || value === undefined || isAllowed) continue;
      report(`${path} is ${JSON.stringify(value)}, but may only be "runtime/default" or begin with "localhost/"`, rule);
    }
  }
}

/** Checks what no role can prevent: an account that creates Pods can use all accounts and Secrets of the namespace. */
function checkCredentials({ select, report }: Checker, isAllowed: (name: string) => boolean): void {
  function check({ path, value }: Field, name: string): void {
    if (!isAllowed(name))
      report(`${path} is ${quote(value)}, but the operator does not allow ${name} (C3_ALLOW_IN_JOBS)`);
  }
  const accounts = below(['spec'], 'serviceAccountName', 'serviceAccount').flatMap(select);
  const named = accounts.filter(({ value }) => value !== undefined && value !== '');
  for (const field of named) if (field.value !== 'default') check(field, `serviceaccount/${toName(field)}`);
  const account = `serviceaccount/${named[0] ? toName(named[0]) : 'default'}`;
  const tokens = TOKEN_SOURCES.flatMap(select).filter(({ value }) => value !== undefined);
  const mounts = select('spec.automountServiceAccountToken').filter(
    ({ value }) => value !== undefined && value !== false,
  );
  for (const field of [...tokens, ...mounts]) check(field, account);
  for (const field of SECRET_NAMES.flatMap(select)) {
    if (field.value !== undefined) check(field, `secret/${toName(field)}`);
  }
}

function checkRestricted({ select, child, members, items, check, report }: Checker): void {
  for (const volume of select('spec.volumes[]')) {
    for (const type of Object.keys(members(volume))) {
      const { path, value } = child(volume, type);
      if (type === 'name' || value === undefined || VOLUME_TYPES.includes(type)) continue;
      report(`${path} is ${quote(value)}, but must not be set`, 'Volume Types');
    }
  }
  for (const [rule, name, allowed] of RESTRICTED_UNLESS_INHERITED) {
    const isInherited = select(`spec.securityContext.${name}`).some(({ value }) => value !== undefined);
    check([rule, below(CONTAINER_CONTEXTS, name), allowed, !isInherited]);
  }
  RESTRICTED.forEach(check);
  for (const dropped of below(CONTAINER_CONTEXTS, 'capabilities.drop').flatMap(select)) {
    if (items(dropped).some(({ value }) => value === 'ALL')) continue;
    report(`${dropped.path} must hold "ALL"`, 'Capabilities');
  }
  for (const { path, value } of below(CONTEXTS, 'runAsUser').flatMap(select)) {
    if (value === undefined || (typeof value === 'number' && value !== 0)) continue;
    report(`${path} is ${JSON.stringify(value)}, but must be another user than 0`, 'Running as Non-root user');
  }
}
