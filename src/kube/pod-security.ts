import type { JsonObject } from '../pipeline/pipeline.ts';

/** What the operator lets a job ask of a cluster. `tenant`: whatever the cluster itself takes, for clusters that are the tenant's own. */
export type PodPolicy = 'tenant' | 'baseline' | 'restricted';

/** A place in the manifest. Absent and `null` are the same to Kubernetes: both are `undefined` here. */
interface Field {
  readonly path: string;
  readonly value: unknown;
}

/** A job of 64 KiB can offend some thousand times, and quotes itself; people read the first lines. */
const MAX_SENTENCES = 50;
const MAX_SENTENCE = 400;

const CONTAINER_LISTS = ['containers', 'initContainers', 'ephemeralContainers'] as const;

const BASELINE_CAPABILITIES = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
];

/** As of Kubernetes 1.32. */
const SAFE_SYSCTLS = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
];

const SELINUX_TYPES = ['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'];

const VOLUME_TYPES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

/** Profiles that confine; what a node calls `Localhost` its administrator has put there. */
const PROFILES = ['RuntimeDefault', 'Localhost'];

/** The older spelling of profiles, as annotations, by the prefix of their keys. */
const PROFILE_ANNOTATIONS = [
  ['AppArmor', 'container.apparmor.security.beta.kubernetes.io/'],
  ['Seccomp', 'container.seccomp.security.alpha.kubernetes.io/'],
  ['Seccomp', 'seccomp.security.alpha.kubernetes.io/'],
] as const;

/**
 * What of a job the policy forbids, a sentence each, with the field and the name of the control in the Pod Security Standards.
 * The exceptions that these make for Windows and for user namespaces are not made. What is not of the type that Kubernetes
 * expects is refused as well: c3 does not guess how an API server reads it.
 *
 * @param manifest the Pod, as it stands in c3.yaml
 * @returns nothing when the job may run; at most {@link MAX_SENTENCES}
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export function checkPodPolicy(manifest: JsonObject, policy: PodPolicy): readonly string[] {
  if (policy === 'tenant') return [];
  const complaints: string[] = [];
  const inspector = createInspector((sentence, rule) => {
    complaints.push(`${sentence.slice(0, MAX_SENTENCE)} (${rule === undefined ? policy : `${policy}: ${rule}`})`);
  });
  const job: Field = { path: 'job', value: manifest };
  checkBaseline(job, inspector);
  if (policy === 'restricted') checkRestricted(job, inspector);
  // Two levels may forbid the same value of the same field.
  return [...new Set(complaints)].slice(0, MAX_SENTENCES);
}

type Inspector = ReturnType<typeof createInspector>;

/** Walks the manifest, and complains of what it meets there. */
function createInspector(complain: (sentence: string, rule?: string) => void) {
  /** The field below another, along `names`. */
  function at(field: Field, ...names: readonly string[]): Field {
    let { path, value } = field;
    for (const name of names) {
      if (value !== undefined && !isMap(value)) complain(`${path} must be a map`);
      const child: unknown = isMap(value) && Object.hasOwn(value, name) ? value[name] : undefined;
      [path, value] = [`${path}.${name}`, child ?? undefined];
    }
    return { path, value };
  }
  function items({ path, value }: Field): Field[] {
    if (value === undefined) return [];
    if (Array.isArray(value)) return value.map((item: unknown, index) => ({ path: `${path}[${index}]`, value: item }));
    complain(`${path} must be a list`);
    return [];
  }
  /** Complains of a value that is there and not among `allowed`. */
  function allow({ path, value }: Field, rule: string, allowed: readonly unknown[]): void {
    if (value === undefined || allowed.includes(value)) return;
    const shown = JSON.stringify(value)?.slice(0, 80);
    const others = allowed.filter((one) => one !== '').map((one) => JSON.stringify(one));
    const wanted = others.length === 0 ? 'must not be set' : `may only be ${others.join(', ')}`;
    complain(`${path} is ${shown}, but ${wanted}`, rule);
  }
  /** Like `allow`, of a value that must be there. */
  function demand(field: Field, rule: string, allowed: readonly unknown[]): void {
    if (field.value !== undefined) return allow(field, rule, allowed);
    return complain(`${field.path} must be ${allowed.map((one) => JSON.stringify(one)).join(' or ')}`, rule);
  }
  function keys({ path, value }: Field): string[] {
    if (value === undefined) return [];
    if (isMap(value)) return Object.keys(value).filter((key) => (value[key] ?? undefined) !== undefined);
    complain(`${path} must be a map`);
    return [];
  }
  function containers(job: Field): Field[] {
    return CONTAINER_LISTS.flatMap((list) => items(at(job, 'spec', list)));
  }
  return { complain, at, items, allow, demand, keys, containers };
}

function checkBaseline(job: Field, inspector: Inspector): void {
  const { at, items, allow } = inspector;
  for (const name of ['hostNetwork', 'hostPID', 'hostIPC']) allow(at(job, 'spec', name), 'Host Namespaces', [false]);
  for (const volume of items(at(job, 'spec', 'volumes'))) allow(at(volume, 'hostPath'), 'HostPath Volumes', []);
  const podContext = at(job, 'spec', 'securityContext');
  for (const sysctl of items(at(podContext, 'sysctls'))) {
    inspector.demand(at(sysctl, 'name'), 'Sysctls', SAFE_SYSCTLS);
  }
  checkContext(podContext, inspector);
  checkAnnotations(job, inspector);
  for (const container of inspector.containers(job)) {
    const context = at(container, 'securityContext');
    checkContext(context, inspector);
    allow(at(context, 'privileged'), 'Privileged Containers', [false]);
    allow(at(context, 'procMount'), '/proc Mount Type', ['Default']);
    for (const capability of items(at(context, 'capabilities', 'add'))) {
      allow(capability, 'Capabilities', BASELINE_CAPABILITIES);
    }
    for (const port of items(at(container, 'ports'))) allow(at(port, 'hostPort'), 'Host Ports', [0]);
    checkHandlers(container, inspector);
  }
}

/** What a Pod's security context and a container's have in common. */
function checkContext(context: Field, { at, allow }: Inspector): void {
  allow(at(context, 'windowsOptions', 'hostProcess'), 'HostProcess', [false]);
  allow(at(context, 'appArmorProfile', 'type'), 'AppArmor', PROFILES);
  allow(at(context, 'seccompProfile', 'type'), 'Seccomp', PROFILES);
  allow(at(context, 'seLinuxOptions', 'type'), 'SELinux', SELINUX_TYPES);
  for (const name of ['user', 'role']) allow(at(context, 'seLinuxOptions', name), 'SELinux', ['']);
}

function checkAnnotations(job: Field, { at, keys, complain }: Inspector): void {
  const annotations = at(job, 'metadata', 'annotations');
  for (const key of keys(annotations)) {
    const [rule] = PROFILE_ANNOTATIONS.find(([, prefix]) => key.startsWith(prefix)) ?? [];
    const { path, value } = at(annotations, key);
    if (rule === undefined || (typeof value === 'string' && /^(?:runtime\/default$|localhost\/)/.test(value))) continue;
    complain(`${path} is ${JSON.stringify(value)}, but may only be "runtime/default" or begin with "localhost/"`, rule);
  }
}

/** A probe with a host of its own makes the node ask another machine, or itself. Since Kubernetes 1.34. */
function checkHandlers(container: Field, { at, allow }: Inspector): void {
  const probes = ['livenessProbe', 'readinessProbe', 'startupProbe'].map((name) => at(container, name));
  const hooks = ['postStart', 'preStop'].map((name) => at(container, 'lifecycle', name));
  for (const handler of [...probes, ...hooks]) {
    for (const kind of ['httpGet', 'tcpSocket']) {
      allow(at(handler, kind, 'host'), 'Host Probes / Lifecycle Hooks', ['']);
    }
  }
}

function checkRestricted(job: Field, inspector: Inspector): void {
  const { at, items, allow, demand } = inspector;
  for (const volume of items(at(job, 'spec', 'volumes'))) {
    for (const type of inspector.keys(volume)) {
      if (type !== 'name' && !VOLUME_TYPES.includes(type)) allow(at(volume, type), 'Volume Types', []);
    }
  }
  const podContext = at(job, 'spec', 'securityContext');
  const podNonRoot = at(podContext, 'runAsNonRoot');
  const podSeccomp = at(podContext, 'seccompProfile', 'type');
  allow(podNonRoot, 'Running as Non-root', [true]);
  checkUser(podContext, inspector);
  // What the Pod does not say, each container must.
  const wantNonRoot = podNonRoot.value === undefined ? demand : allow;
  const wantSeccomp = podSeccomp.value === undefined ? demand : allow;
  for (const container of inspector.containers(job)) {
    const context = at(container, 'securityContext');
    wantNonRoot(at(context, 'runAsNonRoot'), 'Running as Non-root', [true]);
    wantSeccomp(at(context, 'seccompProfile', 'type'), 'Seccomp', PROFILES);
    checkUser(context, inspector);
    demand(at(context, 'allowPrivilegeEscalation'), 'Privilege Escalation', [false]);
    const dropped = at(context, 'capabilities', 'drop');
    if (!items(dropped).some(({ value }) => value === 'ALL')) {
      inspector.complain(`${dropped.path} must hold "ALL"`, 'Capabilities');
    }
    for (const capability of items(at(context, 'capabilities', 'add'))) {
      allow(capability, 'Capabilities', ['NET_BIND_SERVICE']);
    }
  }
}

function checkUser(context: Field, { at, complain }: Inspector): void {
  const { path, value } = at(context, 'runAsUser');
  if (value === undefined || (typeof value === 'number' && value !== 0)) return;
  complain(`${path} is ${JSON.stringify(value)}, but must be another user than 0`, 'Running as Non-root user');
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
