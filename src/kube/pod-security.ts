import { isJsonObject } from '../json.ts';
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
 * The name of the control, the fields that it restricts (`[]` stands for each item of a list), and their allowed
 * values.
 */
type Control = readonly [name: string, paths: readonly string[], allowed: readonly unknown[]];

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
 * @param manifest the Pod as it is in c3.yaml
 * @returns an empty list when the job may run; at most {@link MAX_SENTENCES}
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export function checkPodSecurity(manifest: JsonObject, policy: PodSecurityLevel): readonly string[] {
  if (policy === 'tenant') return [];
  const violations: string[] = [];
  const checker = createChecker((sentence, rule) => {
    violations.push(`${sentence.slice(0, MAX_SENTENCE)} (${rule === undefined ? policy : `${policy}: ${rule}`})`);
  });
  const job: Field = { path: 'job', value: manifest };
  checkBaseline(job, checker);
  if (policy === 'restricted') checkRestricted(job, checker);
  // Both levels may forbid the same value of the same field.
  return [...new Set(violations)].slice(0, MAX_SENTENCES);
}

type Checker = ReturnType<typeof createChecker>;

/** Creates the functions that read fields of the manifest and report violations. */
function createChecker(report: (sentence: string, rule?: string) => void) {
  /** Returns the field at the path `names` below another field. */
  function at(field: Field, ...names: readonly string[]): Field {
    let { path, value } = field;
    for (const name of names) {
      if (value !== undefined && !isJsonObject(value)) report(`${path} must be a map`);
      const child: unknown = isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
      [path, value] = [`${path}.${name}`, child ?? undefined];
    }
    return { path, value };
  }
  function items({ path, value }: Field): Field[] {
    if (value === undefined) return [];
    if (Array.isArray(value)) return value.map((item: unknown, index) => ({ path: `${path}[${index}]`, value: item }));
    report(`${path} must be a list`);
    return [];
  }
  /** Reports a value that is set and not one of `allowed`. */
  function allow({ path, value }: Field, rule: string, allowed: readonly unknown[]): void {
    if (value === undefined || allowed.includes(value)) return;
    const shown = JSON.stringify(value)?.slice(0, 80);
    const others = allowed.filter((one) => one !== '').map((one) => JSON.stringify(one));
    const wanted = others.length === 0 ? 'must not be set' : `may only be ${others.join(', ')}`;
    report(`${path} is ${shown}, but ${wanted}`, rule);
  }
  /** Like `allow`, for a value that must be set. */
  function demand(field: Field, rule: string, allowed: readonly unknown[]): void {
    if (field.value !== undefined) return allow(field, rule, allowed);
    return report(`${field.path} must be ${allowed.map((one) => JSON.stringify(one)).join(' or ')}`, rule);
  }
  function keys({ path, value }: Field): string[] {
    if (value === undefined) return [];
    if (isJsonObject(value)) return Object.keys(value).filter((key) => (value[key] ?? undefined) !== undefined);
    report(`${path} must be a map`);
    return [];
  }
  /** Returns the fields of the job at a path of a {@link Control}. */
  function select(job: Field, path: string): Field[] {
    return path
      .split('.')
      .reduce<Field[]>(
        (fields, name) =>
          name.endsWith('[]')
            ? fields.flatMap((field) => items(at(field, name.slice(0, -2))))
            : fields.map((field) => at(field, name)),
        [job],
      );
  }
  return { report, at, items, allow, demand, keys, select };
}

function checkBaseline(job: Field, checker: Checker): void {
  for (const [name, paths, allowed] of BASELINE) {
    for (const field of paths.flatMap((path) => checker.select(job, path))) checker.allow(field, name, allowed);
  }
  for (const sysctl of checker.select(job, 'spec.securityContext.sysctls[].name')) {
    checker.demand(sysctl, 'Sysctls', SAFE_SYSCTLS);
  }
  checkAnnotations(job, checker);
}

function checkAnnotations(job: Field, { at, keys, report }: Checker): void {
  const annotations = at(job, 'metadata', 'annotations');
  for (const key of keys(annotations)) {
    const [rule] = PROFILE_ANNOTATIONS.find(([, prefix]) => key.startsWith(prefix)) ?? [];
    const { path, value } = at(annotations, key);
    if (rule === undefined || (typeof value === 'string' && /^(?:runtime\/default$|localhost\/)/.test(value))) continue;
    report(`${path} is ${JSON.stringify(value)}, but may only be "runtime/default" or begin with "localhost/"`, rule);
  }
}

function checkRestricted(job: Field, checker: Checker): void {
  const { at, items, allow, demand } = checker;
  for (const volume of checker.select(job, 'spec.volumes[]')) {
    for (const type of checker.keys(volume)) {
      if (type !== 'name' && !VOLUME_TYPES.includes(type)) allow(at(volume, type), 'Volume Types', []);
    }
  }
  const podContext = at(job, 'spec', 'securityContext');
  const podNonRoot = at(podContext, 'runAsNonRoot');
  const podSeccomp = at(podContext, 'seccompProfile', 'type');
  allow(podNonRoot, 'Running as Non-root', [true]);
  checkUser(podContext, checker);
  // Each container must set what the Pod does not set.
  const wantNonRoot = podNonRoot.value === undefined ? demand : allow;
  const wantSeccomp = podSeccomp.value === undefined ? demand : allow;
  for (const context of CONTAINER_CONTEXTS.flatMap((path) => checker.select(job, path))) {
    wantNonRoot(at(context, 'runAsNonRoot'), 'Running as Non-root', [true]);
    wantSeccomp(at(context, 'seccompProfile', 'type'), 'Seccomp', PROFILES);
    checkUser(context, checker);
    demand(at(context, 'allowPrivilegeEscalation'), 'Privilege Escalation', [false]);
    const dropped = at(context, 'capabilities', 'drop');
    if (!items(dropped).some(({ value }) => value === 'ALL')) {
      checker.report(`${dropped.path} must hold "ALL"`, 'Capabilities');
    }
    for (const capability of items(at(context, 'capabilities', 'add'))) {
      allow(capability, 'Capabilities', ['NET_BIND_SERVICE']);
    }
  }
}

function checkUser(context: Field, { at, report }: Checker): void {
  const { path, value } = at(context, 'runAsUser');
  if (value === undefined || (typeof value === 'number' && value !== 0)) return;
  report(`${path} is ${JSON.stringify(value)}, but must be another user than 0`, 'Running as Non-root user');
}
