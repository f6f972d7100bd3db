import type { Container, Pod, PodSpec } from '../objects.ts';
import { findTypeError } from './field-types.ts';
import { badRequest, type FieldProblem, invalidPod } from './status.ts';

const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_RULE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/**
 * Parts of a Pod that this cluster cannot implement. It refuses them, because they would change what the Pod does.
 */
const UNSUPPORTED = ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle', 'envFrom'] as const;

/**
 * Parses a posted Pod and adds the API server's defaults. Fields that only restrict (capabilities, seccomp,
 * resources) are stored without effect.
 *
 * @throws {ApiRefusal} 400 if it is not a Pod, 422 with causes if a field is wrong or not supported
 */
export function parsePod(body: unknown, namespace: string): Pod {
  const given = body as Partial<Pod> | null;
  if (typeof given !== 'object' || given === null) {
    throw badRequest('the object provided is unrecognized (must be of type Pod): want an object');
  }
  // The URL names the resource, so both are optional.
  const { apiVersion = 'v1', kind = 'Pod' } = given;
  const refuse = `${kind} in version "${apiVersion}" cannot be handled as a Pod: `;
  if (kind !== 'Pod' || apiVersion !== 'v1') {
    throw badRequest(`${refuse}no kind "${kind}" is registered for version "${apiVersion}"`);
  }
  const typeError = findTypeError(given);
  if (typeError !== undefined) throw badRequest(refuse + typeError);
  const metadata = given.metadata ?? ({} as Partial<Pod['metadata']>);
  if (metadata.namespace !== undefined && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  const spec: Partial<PodSpec> = given.spec ?? {};
  const problems: FieldProblem[] = [];
  const name = metadata.name ?? '';
  if (name === '') problems.push(required('metadata.name', 'name or generateName is required'));
  else if (!DNS_SUBDOMAIN.test(name)) problems.push(invalid('metadata.name', name, SUBDOMAIN_RULE));
  checkSpec(spec, problems);
  if (problems.length > 0) throw invalidPod(name, problems);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, namespace } as Pod['metadata'],
    spec: withDefaults(spec as PodSpec),
    status: { phase: 'Pending', qosClass: 'BestEffort' },
  };
}

function checkSpec(spec: Partial<PodSpec>, problems: FieldProblem[]): void {
  const containers = Array.isArray(spec.containers) ? spec.containers : [];
  const inits = Array.isArray(spec.initContainers) ? spec.initContainers : [];
  const names = new Set<string>();
  const volumes = new Set((Array.isArray(spec.volumes) ? spec.volumes : []).map((volume) => volume.name));
  if (containers.length === 0) problems.push(required('spec.containers', ''));
  const checks = [
    ...inits.map((container, index) => ({ container, field: `spec.initContainers[${index}]` })),
    ...containers.map((container, index) => ({ container, field: `spec.containers[${index}]` })),
  ];
  for (const { container, field } of checks) {
    checkContainer(container, { field, volumes, problems });
    if (names.has(container.name)) {
      problems.push({
        field: `${field}.name`,
        reason: 'FieldValueDuplicate',
        message: `Duplicate value: "${container.name}"`,
      });
    }
    names.add(container.name);
  }
  const policy = spec.restartPolicy;
  if (policy !== undefined && !['Always', 'OnFailure', 'Never'].includes(policy)) {
    const message = `Unsupported value: "${policy}": supported values: "Always", "OnFailure", "Never"`;
    problems.push({ field: 'spec.restartPolicy', reason: 'FieldValueNotSupported', message });
  }
  const seconds = spec.activeDeadlineSeconds;
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 1)) {
    problems.push({
      field: 'spec.activeDeadlineSeconds',
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${String(seconds)}: must be between 1 and 2147483647, inclusive`,
    });
  }
}

interface Place {
  readonly field: string;
  readonly volumes: ReadonlySet<string>;
  readonly problems: FieldProblem[];
}

function checkContainer(container: Container, { field, volumes, problems }: Place): void {
  if (!container.name) problems.push(required(`${field}.name`, ''));
  else if (!DNS_LABEL.test(container.name)) problems.push(invalid(`${field}.name`, container.name, LABEL_RULE));
  if (!container.image) problems.push(required(`${field}.image`, ''));
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${field}.volumeMounts[${index}]`;
    if (!volumes.has(mount.name)) {
      problems.push({ field: `${at}.name`, reason: 'FieldValueNotFound', message: `Not found: "${mount.name}"` });
    }
    if (!mount.mountPath) problems.push(required(`${at}.mountPath`, ''));
  }
  for (const key of UNSUPPORTED) {
    if (Object.hasOwn(container, key)) problems.push(unsupported(`${field}.${key}`));
  }
  if (container.securityContext?.readOnlyRootFilesystem === true) {
    problems.push(unsupported(`${field}.securityContext.readOnlyRootFilesystem`));
  }
}

function withDefaults(spec: PodSpec): PodSpec {
  const defaults = {
    restartPolicy: 'Always' as const,
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    serviceAccountName: 'default',
    serviceAccount: 'default',
    securityContext: {},
    schedulerName: 'default-scheduler',
    enableServiceLinks: true,
    preemptionPolicy: 'PreemptLowerPriority',
    priority: 0,
  };
  return {
    ...defaults,
    ...spec,
    containers: spec.containers.map(withContainerDefaults),
    ...(spec.initContainers ? { initContainers: spec.initContainers.map(withContainerDefaults) } : {}),
  };
}

function withContainerDefaults(container: Container): Container {
  const isLatest = !/@|:(?!latest$)[^:/]+$/.test(container.image);
  const defaults = {
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: isLatest ? ('Always' as const) : ('IfNotPresent' as const),
  };
  return { ...defaults, ...container };
}

function required(field: string, detail: string): FieldProblem {
  return {
    field,
    reason: 'FieldValueRequired',
    message: detail === '' ? 'Required value' : `Required value: ${detail}`,
  };
}

function invalid(field: string, value: string, rule: string): FieldProblem {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: "${value}": ${rule}` };
}

function unsupported(field: string): FieldProblem {
  return { field, reason: 'FieldValueForbidden', message: 'Forbidden: the embedded cluster cannot do this' };
}
