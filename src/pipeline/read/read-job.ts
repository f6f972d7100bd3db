import { trimEnd } from '../../trim-end.ts';
import type { Job, JsonObject } from '../pipeline.ts';
import type { Located, ProblemList } from '../problem-list.ts';
import { quote } from '../problem-list.ts';
import { suggest } from '../suggest.ts';
import type { YamlMap, YamlNode } from '../yaml-tree.ts';
import { toJson } from '../yaml-tree.ts';
import { child, describeKind, readText, textOf, toMap } from './read-value.ts';

export interface JobResult {
  readonly job: Job;
  readonly containers: Containers;
}

/** By name, in order. */
export type Containers = ReadonlyMap<string, JobContainer>;

/** Located at its name. */
export interface JobContainer extends Located {
  readonly node: YamlMap;
  /**
   * What messages call it: `container "git"`. Without the name when an alias can lead to it, because it can be a
   * secret.
   */
  readonly label: string;
  readonly isShared: boolean;
  readonly mountPaths: readonly string[];
}

/** A label has 63 characters: this leaves room for a hyphen and a hash. */
export const MAX_POD_NAME_LENGTH = 45;

/** @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names */
export const LABEL_PATTERN: RegExp = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/u;

/**
 * Reads the Pod. Checks only what c3 itself needs; the cluster checks the rest, which it gets verbatim. Returns
 * undefined when the containers are unknown.
 */
export function readJob(node: YamlNode, problems: ProblemList): JobResult | undefined {
  const map = toMap(node, 'job', problems);
  if (map === undefined) return undefined;
  checkKind(map, problems);
  const name = readPodName(map, problems);
  const containers = readContainers(map, problems);
  if (containers === undefined) return undefined;
  const manifest = toJson(map) as JsonObject;
  return { job: { manifest, name: name ?? '', containers: [...containers.keys()] }, containers };
}

/** Says which container the author may have meant, or which there are. */
export function hintContainer(name: string, containers: Containers): string {
  const names = [...containers].filter(([, { isShared }]) => !isShared).map(([known]) => known);
  const meant = suggest(name, names);
  return meant === undefined ? `it has ${names.slice(0, 10).join(', ')}` : `did you mean "${meant}"?`;
}

function checkKind(map: YamlMap, problems: ProblemList): void {
  for (const [key, expected] of Object.entries({ apiVersion: 'v1', kind: 'Pod' })) {
    const node = child(map, key);
    if (textOf(node) === expected) continue;
    const hint = 'c3 runs a plain Pod: apiVersion v1, kind Pod';
    if (node === undefined) problems.error(map, `job.${key} is missing`, `add \`${key}: ${expected}\``);
    else problems.error(node, `job.${key} must be "${expected}"`, hint);
  }
}

function readPodName(map: YamlMap, problems: ProblemList): string | undefined {
  const metadataNode = child(map, 'metadata');
  const metadata = metadataNode && toMap(metadataNode, 'job.metadata', problems);
  if (metadataNode !== undefined && metadata === undefined) return undefined;
  const node = child(metadata, 'name');
  if (node === undefined) {
    problems.error(metadata ?? map, 'job.metadata.name is missing', 'c3 adds a hash to it to name the Pod');
    return undefined;
  }
  const name = readText(node, 'job.metadata.name', problems);
  if (name === undefined || (LABEL_PATTERN.test(name) && name.length <= MAX_POD_NAME_LENGTH)) return name;
  const hint = `lower-case letters, digits and "-", at most ${MAX_POD_NAME_LENGTH}: c3 adds a hash`;
  problems.error(node, 'job.metadata.name cannot be the name of a Pod', hint);
  return undefined;
}

function readContainers(map: YamlMap, problems: ProblemList): Containers | undefined {
  const specNode = child(map, 'spec');
  const spec = specNode && toMap(specNode, 'job.spec', problems);
  if (specNode !== undefined && spec === undefined) return undefined;
  const list = child(spec, 'containers');
  if (list === undefined) {
    problems.error(spec ?? map, 'job.spec.containers is missing', 'steps run in the containers of the Pod');
    return undefined;
  }
  if (list.kind !== 'list' || list.items.length === 0) {
    const actual = list.kind === 'list' ? 'an empty one' : describeKind(list);
    problems.error(list, `job.spec.containers must be a list of containers, not ${actual}`);
    return undefined;
  }
  const containers = new Map<string, JobContainer>();
  const volumes = itemsOf(child(spec, 'volumes')).flatMap((volume) => child(volume, 'name') ?? []);
  let isComplete = true;
  for (const item of list.items) {
    const container = toMap(item, 'a container', problems);
    if (container === undefined || !addContainer(container, containers, problems)) isComplete = false;
    if (container !== undefined) checkContainer(container, volumes, problems);
  }
  return isComplete ? containers : undefined;
}

/** Returns false when the name is unknown. */
function addContainer(container: YamlMap, containers: Map<string, JobContainer>, problems: ProblemList): boolean {
  const node = child(container, 'name');
  if (node === undefined) {
    problems.error(container, 'the container has no name', 'steps refer to it by its name');
    return false;
  }
  const name = readText(node, 'the name of a container', problems);
  if (name === undefined) return false;
  if (!LABEL_PATTERN.test(name)) {
    const hint = 'lower-case letters, digits and "-", at most 63';
    problems.error(node, 'this cannot be the name of a container', hint);
    return false;
  }
  const { start, end, isShared } = node;
  const label = isShared ? 'this container' : `container ${quote(name)}`;
  const mounts = itemsOf(child(container, 'volumeMounts'));
  const mountPaths = mounts
    .flatMap((mount) => textOf(child(mount, 'mountPath')) ?? [])
    .map((path) => trimEnd(path, '/'));
  if (containers.has(name)) problems.error(node, `${label} has the name of another container`);
  else containers.set(name, { start, end, node: container, label, isShared, mountPaths });
  return true;
}

/** Reports early what the API server would refuse. */
function checkContainer(container: YamlMap, volumes: readonly YamlNode[], problems: ProblemList): void {
  for (const key of ['command', 'args']) {
    const node = child(container, key);
    if (node === undefined) continue;
    if (node.kind === 'list') for (const item of node.items) readText(item, `a word of ${key}`, problems);
    else
      problems.error(
        node,
        `${key} of a container must be a list, not ${describeKind(node)}`,
        `write \`${key}: [...]\``,
      );
  }
  const known = new Set(volumes.map(textOf));
  for (const mount of itemsOf(child(container, 'volumeMounts'))) {
    const node = child(mount, 'name');
    const name = textOf(node);
    if (node === undefined || name === undefined || known.has(name)) continue;
    const names = volumes.filter(({ isShared }) => !isShared).flatMap((volume) => textOf(volume) ?? []);
    const meant = suggest(name, names);
    const hint =
      meant === undefined ? 'add it to job.spec.volumes: `{name: …, emptyDir: {}}`' : `did you mean ${quote(meant)}?`;
    problems.error(node, 'the job has no volume with this name', hint);
  }
}

/** Returns the mappings of a list, if it is one. */
function itemsOf(node: YamlNode | undefined): readonly YamlMap[] {
  return node?.kind === 'list' ? node.items.filter((item) => item.kind === 'map') : [];
}

/**
 * Images that run something short without a command, or a shell, which exits without a terminal. By the last part of
 * the name. c3 says nothing about other images: they can keep running.
 */
const shortImages: ReadonlySet<string> = toSet(`
  almalinux alpine amazonlinux archlinux busybox centos debian fedora opensuse rockylinux ubuntu
  bash bun cargo clojure composer dart deno elixir erlang gcc golang gradle groovy haskell julia maven node
  openjdk eclipse-temurin amazoncorretto perl pypy python r-base ruby rust swift sbt sdk
  git curl kubectl helm k8s terraform aws-cli cloud-sdk azure-cli kaniko-alpine buildah skopeo crane
  golangci-lint shellcheck hadolint hugo trivy semgrep yamllint playwright`);

/** Programs that soon exit, with any arguments. */
const shortPrograms: ReadonlySet<string> = toSet(`
  cd cp date echo false id ls mkdir mv printf pwd rm sync test touch true uname whoami
  apk apt apt-get git pip pytest`);

/** Programs that soon exit with this next word. With another they can be servers. */
const shortCommands: ReadonlySet<string> = new Set(
  [
    'npm ci, npm install, npm test, yarn install, yarn test, pnpm install, pnpm test',
    'go build, go test, go vet, cargo build, cargo check, cargo test, make, make all, make test',
    'mvn install, mvn package, mvn test, mvn verify, gradle build, gradle test',
    'docker build, kubectl apply, kubectl version, helm version, terraform apply, terraform plan',
  ].flatMap((line) => line.split(', ')),
);

/** Without a script, these exit where there is no terminal. */
const shells: ReadonlySet<string> = new Set(['ash', 'bash', 'dash', 'sh', 'zsh']);

const sleepHint = "write `command: [sleep, '1000000']`: c3 starts the steps in the container while it sleeps";

/**
 * Warns of containers that exit: they end the steps in them. Warns only of what certainly exits: an image without a
 * command whose own command exits, a command that does something short, a `sleep` shorter than the build.
 *
 * @param timeoutMs of the build
 */
export function checkContainers(
  containers: Containers,
  used: ReadonlySet<string>,
  { timeoutMs, problems }: { readonly timeoutMs: number; readonly problems: ProblemList },
): void {
  for (const [name, container] of containers) {
    const { node, label } = container;
    const stdin = child(node, 'stdin');
    const hasTerminal = stdin?.kind === 'scalar' && stdin.value === true;
    if (!used.has(name) || hasTerminal) continue;
    const command = child(node, 'command');
    const words = [...readWords(command), ...readWords(child(node, 'args'))];
    const sleepMs = toSleepMs(words);
    if (sleepMs !== undefined && sleepMs < timeoutMs) {
      problems.warning(command ?? container, `${label} sleeps for less time than the build can take`, sleepHint);
    } else if (words.length === 0 && shortImages.has(toShortName(textOf(child(node, 'image')) ?? ''))) {
      problems.warning(container, `${label} has no command, and the command of its image exits at once`, sleepHint);
    } else if (command !== undefined && isShort(words)) {
      problems.warning(command, `the command of ${label} exits by itself`, sleepHint);
    }
  }
}

function toSet(words: string): ReadonlySet<string> {
  return new Set(words.trim().split(/\s+/));
}

function isShort(words: readonly string[]): boolean {
  const [program = '', second = ''] = words;
  const name = program.slice(program.lastIndexOf('/') + 1);
  if (!shells.has(name)) return isShortCommand(name, second);
  const flag = words.findIndex((word) => /^-[a-z]*c$/.test(word));
  // A script file can keep running, and so can another shell.
  if (flag === -1) return words.slice(1).every((word) => word.startsWith('-'));
  // The last command of a script decides.
  const last = (words[flag + 1] ?? '').split(/&&|\|\||[;\n|]/).findLast((part) => part.trim() !== '');
  const [first = '', next = ''] = last?.trim().split(/\s+/) ?? [];
  return !shells.has(first) && isShortCommand(first, next);
}

function isShortCommand(program: string, next: string): boolean {
  return shortPrograms.has(program) || shortCommands.has(`${program} ${next}`.trim());
}

/** Parses `sleep 300`. Returns undefined for any other command, and for one that does not end. */
function toSleepMs(words: readonly string[]): number | undefined {
  const [program = '', duration = ''] = words;
  const match = /^(\d{1,9})([smhd]?)$/.exec(duration);
  if (words.length !== 2 || !/^(?:.*\/)?sleep$/.test(program) || match === null) return undefined;
  const unit = { s: 1, m: 60, h: 3_600, d: 86_400 }[match[2] ?? ''] ?? 1;
  return Number(match[1]) * unit * 1_000;
}

/** Returns `node` for `docker.io/library/node:24-alpine@sha256:…`. */
function toShortName(image: string): string {
  return image.slice(image.lastIndexOf('/') + 1).split(/[:@]/, 1)[0] ?? '';
}

function readWords(node: YamlNode | undefined): string[] {
  return node?.kind === 'list' ? node.items.flatMap((item) => textOf(item) ?? []) : [];
}
