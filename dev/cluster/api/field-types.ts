/** The JSON type of each field. Other fields are not checked: this cluster does not read them. */
type Shape =
  | 'string'
  | 'int64'
  | 'bool'
  /** An object of strings: labels. */
  | 'map'
  | Struct
  | readonly [Struct | 'string'];

interface Struct {
  /** Go's name of the type, as in the message. */
  readonly name: string;
  readonly fields: Readonly<Record<string, Shape>>;
}

const KEY: Struct = { name: 'KeySelector', fields: { name: 'string', optional: 'bool' } };
const SECURITY: Struct = {
  name: 'SecurityContext',
  fields: { runAsUser: 'int64', runAsGroup: 'int64', runAsNonRoot: 'bool', readOnlyRootFilesystem: 'bool' },
};
const SOURCE: Struct = {
  name: 'EnvVarSource',
  fields: {
    fieldRef: { name: 'ObjectFieldSelector', fields: { fieldPath: 'string' } },
    secretKeyRef: KEY,
    configMapKeyRef: KEY,
  },
};
const CONTAINER: Struct = {
  name: 'Container',
  fields: {
    name: 'string',
    image: 'string',
    imagePullPolicy: 'string',
    command: ['string'],
    args: ['string'],
    env: [{ name: 'EnvVar', fields: { name: 'string', value: 'string', valueFrom: SOURCE } }],
    workingDir: 'string',
    volumeMounts: [
      { name: 'VolumeMount', fields: { name: 'string', mountPath: 'string', subPath: 'string', readOnly: 'bool' } },
    ],
    securityContext: SECURITY,
  },
};
const VOLUME: Struct = {
  name: 'Volume',
  fields: {
    name: 'string',
    emptyDir: { name: 'EmptyDirVolumeSource', fields: {} },
    hostPath: { name: 'HostPathVolumeSource', fields: { path: 'string', type: 'string' } },
    secret: { name: 'SecretVolumeSource', fields: { secretName: 'string', optional: 'bool' } },
    configMap: { name: 'ConfigMapVolumeSource', fields: { name: 'string', optional: 'bool' } },
  },
};
const POD: Struct = {
  name: 'Pod',
  fields: {
    metadata: {
      name: 'ObjectMeta',
      fields: { name: 'string', namespace: 'string', generateName: 'string', labels: 'map', annotations: 'map' },
    },
    spec: {
      name: 'PodSpec',
      fields: {
        containers: [CONTAINER],
        initContainers: [CONTAINER],
        volumes: [VOLUME],
        restartPolicy: 'string',
        terminationGracePeriodSeconds: 'int64',
        activeDeadlineSeconds: 'int64',
        nodeName: 'string',
        nodeSelector: 'map',
        hostname: 'string',
        securityContext: SECURITY,
      },
    },
  },
};

/**
 * Returns Kubernetes' message for the first field of a Pod with a wrong JSON type; undefined: none. People write
 * `value: 1` and `command: sleep` in YAML, which a real cluster refuses.
 */
export function findTypeError(pod: object): string | undefined {
  return findInStruct(pod as Record<string, unknown>, POD, '');
}

function findInStruct(value: Record<string, unknown>, struct: Struct, path: string): string | undefined {
  for (const [key, shape] of Object.entries(struct.fields)) {
    const problem = findInField(value[key], shape, { struct: struct.name, path: path === '' ? key : `${path}.${key}` });
    if (problem !== undefined) return problem;
  }
  return undefined;
}

interface Field {
  readonly struct: string;
  readonly path: string;
}

function findInField(value: unknown, shape: Shape, field: Field): string | undefined {
  // Go treats null as missing.
  if (value === undefined || value === null) return undefined;
  const mismatch = (type: string): string =>
    `json: cannot unmarshal ${describe(value)} into Go struct field ${field.struct}.${field.path} of type ${type}`;
  if (isList(shape)) {
    const [element] = shape;
    if (!Array.isArray(value)) return mismatch(element === 'string' ? '[]string' : `[]v1.${element.name}`);
    return first(value, (entry) => findInField(entry, element, field));
  }
  if (shape === 'string') return typeof value === 'string' ? undefined : mismatch('string');
  if (shape === 'bool') return typeof value === 'boolean' ? undefined : mismatch('bool');
  if (shape === 'int64') return Number.isInteger(value) ? undefined : mismatch('int64');
  const isObject = typeof value === 'object' && !Array.isArray(value);
  if (shape === 'map') {
    if (!isObject) return mismatch('map[string]string');
    return first(Object.values(value), (entry) => findInField(entry, 'string', field));
  }
  return isObject ? findInStruct(value as Record<string, unknown>, shape, field.path) : mismatch(`v1.${shape.name}`);
}

function isList(shape: Shape): shape is readonly [Struct | 'string'] {
  return Array.isArray(shape);
}

function first(entries: readonly unknown[], find: (entry: unknown) => string | undefined): string | undefined {
  for (const entry of entries) {
    const problem = find(entry);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}
