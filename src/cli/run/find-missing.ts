import { execFileSync } from 'node:child_process';
import { readArray, readObject, readString, type UnknownObject } from '../../json.ts';

/** What the embedded cluster does not have of a Pod. */
export interface Missing {
  /** Why the Pod cannot start. */
  readonly errors: readonly string[];
  /** Where steps can see something else than in their image. */
  readonly warnings: readonly string[];
}

/** This machine, as the containers of the embedded cluster see it. */
export interface Machine {
  /** As in the label `kubernetes.io/arch`: `amd64`, `arm64`. */
  readonly architecture: string;
  /** Returns what a program prints about its version. Undefined when it is not installed. */
  readVersion(program: string, args: readonly string[]): string | undefined;
}

/** The kinds of volumes that it has; the others if they are optional. */
const VOLUME_KINDS: ReadonlySet<string> = new Set(['name', 'emptyDir', 'hostPath']);
const OPTIONAL_KINDS: ReadonlySet<string> = new Set(['secret', 'configMap']);

/** What it cannot do with a container. */
const UNSUPPORTED = ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle', 'envFrom'];

/** The last part of an image's name, the program that its steps need, and how the program prints its version. */
const RUNTIMES: Readonly<Record<string, readonly [program: string, ...args: string[]]>> = {
  node: ['node', '--version'],
  python: ['python3', '--version'],
  golang: ['go', 'version'],
  ruby: ['ruby', '--version'],
  php: ['php', '--version'],
  rust: ['rustc', '--version'],
  openjdk: ['java', '-version'],
  'eclipse-temurin': ['java', '-version'],
  amazoncorretto: ['java', '-version'],
  maven: ['mvn', '--version'],
  gradle: ['gradle', '--version'],
  clojure: ['clojure', '--version'],
  deno: ['deno', '--version'],
  bun: ['bun', '--version'],
  docker: ['docker', '--version'],
};

const ARCHITECTURES = /(?:^|[/:_-])(amd64|arm64v8|arm64|arm32v[5-7]|i386|ppc64le|s390x|riscv64)(?:$|[/:_-])/;
const INSTEAD = 'use a real cluster: --kubeconfig FILE --context NAME';

/** Finds what the embedded cluster lacks, before anything runs. */
export function findMissing(manifest: unknown, machine: Machine): Missing {
  const spec = readObject(readObject(manifest)['spec']);
  const containers = [...readArray(spec['initContainers']), ...readArray(spec['containers'])].map(readObject);
  const mounted = new Set(containers.flatMap((container) => readArray(container['volumeMounts']).map(nameOf)));
  const volumes = readArray(spec['volumes']).filter((volume) => mounted.has(nameOf(volume)));
  return {
    errors: [
      ...volumes.flatMap((volume) => checkVolume(readObject(volume))),
      ...containers.flatMap(checkCommand),
      ...containers.flatMap(checkParts),
      ...checkSelector(spec, machine),
    ],
    warnings: [...containers.flatMap((container) => checkImage(container, machine)), ...checkPlacement(spec)],
  };
}

function nameOf(value: unknown): string {
  return readString(readObject(value)['name']) ?? '';
}

function checkVolume(volume: UnknownObject): string[] {
  return Object.entries(volume).flatMap(([kind, source]) => {
    if (VOLUME_KINDS.has(kind)) return [];
    if (OPTIONAL_KINDS.has(kind) && readObject(source)['optional'] === true) return [];
    const has = 'the embedded cluster has only emptyDir and hostPath';
    return [`volume "${nameOf(volume)}" is of the kind ${kind}, and ${has}: ${INSTEAD}`];
  });
}

/** The entrypoint of an image is not known, because no image is pulled. */
function checkCommand(container: UnknownObject): string[] {
  if (readArray(container['command']).length > 0) return [];
  const name = nameOf(container);
  const image = readString(container['image']) ?? '';
  const fix = `set its command to what the image "${image}" starts, which must be installed here, or ${INSTEAD}`;
  return [`container "${name}" has no command, and the embedded cluster runs no images: ${fix}`];
}

function checkParts(container: UnknownObject): string[] {
  const name = `container "${nameOf(container)}"`;
  const parts = UNSUPPORTED.filter((part) => container[part] !== undefined && container[part] !== null);
  return [
    ...parts.map((part) => `${name} has ${part}, which the embedded cluster does not have: ${INSTEAD}`),
    ...(container['restartPolicy'] === 'Always'
      ? [`${name} is a sidecar (restartPolicy: Always), which the embedded cluster does not have: ${INSTEAD}`]
      : []),
  ];
}

/** Reports what decides on a real cluster where a Pod may run, and decides nothing here. */
function checkPlacement(spec: UnknownObject): string[] {
  const limits = readArray(spec['containers']).flatMap((container) =>
    Object.keys(readObject(readObject(readObject(container)['resources'])['limits'])),
  );
  const devices = new Set(limits.filter((name) => name.includes('/')));
  const rules = ['affinity', 'runtimeClassName'].filter((name) => spec[name] !== undefined && spec[name] !== null);
  return [...rules, ...devices].map((name) => `${name} has no effect in the embedded cluster`);
}

function checkSelector(spec: UnknownObject, { architecture }: Machine): string[] {
  const labels: UnknownObject = {
    'kubernetes.io/hostname': 'embedded',
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': architecture,
  };
  const node = readString(spec['nodeName']);
  if (node !== undefined && node !== labels['kubernetes.io/hostname'])
    return [`nodeName asks for the node "${node}", and the embedded cluster has only "embedded": ${INSTEAD}`];
  const missing = Object.entries(readObject(spec['nodeSelector'])).find(([key, value]) => labels[key] !== value);
  if (missing === undefined) return [];
  const wanted = `nodeSelector asks for a node with ${missing.map(String).join('=')}`;
  return [`${wanted}, and this machine is of ${architecture} and has no other labels: ${INSTEAD}`];
}

function checkImage(container: UnknownObject, machine: Machine): string[] {
  const image = readString(container['image']) ?? '';
  const [, found] = ARCHITECTURES.exec(image) ?? [];
  const architecture = found?.replace(/^arm64v8$/, 'arm64');
  const name = `container "${nameOf(container)}" has the image "${image}"`;
  const instead = "the steps see this machine's programs";
  const warnings: string[] = [];
  if (architecture !== undefined && architecture !== machine.architecture) {
    warnings.push(`${name} for ${architecture}, and this machine is of ${machine.architecture}: ${instead}`);
  }
  const [repository = '', tag = ''] = image.slice(image.lastIndexOf('/') + 1).split(/[:@]/);
  const [program, ...args] = RUNTIMES[repository] ?? [];
  if (program === undefined) return warnings;
  const wanted = /^\d+(?:\.\d+)*/.exec(tag)?.[0];
  const printed = machine.readVersion(program, args);
  const actual = (printed ?? '').split(/[^0-9.]/).find((part) => /^\d/.test(part));
  if (printed === undefined) warnings.push(`${name}, and ${program} is not installed here: ${instead}`);
  else if (wanted !== undefined && actual !== undefined && !`${actual}.`.startsWith(`${wanted}.`)) {
    warnings.push(`${name}, and ${program} is ${actual} here: ${instead}`);
  }
  return warnings;
}

/** A version is printed within this time, also by a JVM. */
const VERSION_TIMEOUT_MS = 10_000;

export function createMachine(path: string | undefined): Machine {
  return {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    readVersion(program, args) {
      try {
        // Java writes it to standard error.
        const command = ['-c', '"$@" 2>&1', 'sh', program, ...args];
        return execFileSync('sh', command, { env: { PATH: path }, timeout: VERSION_TIMEOUT_MS }).toString();
      } catch {
        return undefined;
      }
    },
  };
}
