import { formatDuration } from '../duration.ts';
import type { ProblemList } from '../problem-list.ts';
import { quote } from '../problem-list.ts';
import type { YamlNode } from '../yaml-tree.ts';
import type { JobContainer } from './read-job.ts';
import { child } from './read-value.ts';

/**
 * Images that do something short without a command, or open a shell, which ends where there is no terminal: by the last
 * part of the name. An image that is not here, or that has a variant which serves, may well wait: nothing is said of it.
 */
const shortImages: ReadonlySet<string> = new Set(
  [
    'almalinux alpine amazonlinux archlinux busybox centos debian fedora opensuse rockylinux ubuntu',
    'bash bun cargo clojure composer dart deno elixir erlang gcc golang gradle groovy haskell julia maven node',
    'openjdk eclipse-temurin amazoncorretto perl pypy python r-base ruby rust swift sbt sdk',
    'git curl kubectl helm k8s terraform aws-cli cloud-sdk azure-cli kaniko-alpine buildah skopeo crane',
    'golangci-lint shellcheck hadolint hugo trivy semgrep yamllint playwright',
  ].flatMap((line) => line.split(' ')),
);

/** Programs that end by themselves, soon, whatever follows. */
const shortPrograms: ReadonlySet<string> = new Set(
  [
    'cd cp date echo false id ls mkdir mv printf pwd rm sync test touch true uname whoami',
    'apk apt apt-get git pip pytest',
  ].flatMap((line) => line.split(' ')),
);

/** Programs that do so with this as their next word; with another they may serve. */
const shortCommands: ReadonlySet<string> = new Set(
  [
    'npm ci, npm install, npm test, yarn install, yarn test, pnpm install, pnpm test',
    'go build, go test, go vet, cargo build, cargo check, cargo test, make, make all, make test',
    'mvn install, mvn package, mvn test, mvn verify, gradle build, gradle test',
    'docker build, kubectl apply, kubectl version, helm version, terraform apply, terraform plan',
  ].flatMap((line) => line.split(', ')),
);

/** Without a script they end where there is no terminal. */
const shells: ReadonlySet<string> = new Set(['ash', 'bash', 'dash', 'sh', 'zsh']);

const write = "write `command: [sleep, '1000000']`: steps come in from outside while it waits";

/**
 * A container that ends takes the steps with it. Only what is known to end is warned of: an image without a command whose
 * own ends, a command that does something and is done, a `sleep` shorter than the build.
 *
 * @param limitMs of the build
 */
export function checkWaiting(
  containers: ReadonlyMap<string, JobContainer>,
  used: ReadonlySet<string>,
  limits: { readonly limitMs: number; readonly problems: ProblemList },
): void {
  const { limitMs, problems } = limits;
  for (const [name, container] of containers) {
    const { node } = container;
    const words = [...readWords(child(node, 'command')), ...readWords(child(node, 'args'))];
    const hasTerminal = isTrue(child(node, 'stdin'));
    if (!used.has(name) || hasTerminal) continue;
    const image = child(node, 'image');
    const imageName = image?.kind === 'scalar' && typeof image.value === 'string' ? image.value : '';
    const command = child(node, 'command');
    const sleepMs = toSleepMs(words);
    if (sleepMs !== undefined && sleepMs < limitMs) {
      const message = `container ${quote(name)} sleeps ${formatDuration(sleepMs)}, less than the build may take, ${formatDuration(limitMs)}`;
      problems.warning(command ?? container, message, write);
    } else if (words.length === 0 && shortImages.has(toShortName(imageName))) {
      problems.warning(container, `container ${quote(name)} has no command, and that of its image ends at once`, write);
    } else if (command !== undefined && isShort(words)) {
      problems.warning(command, `the command of container ${quote(name)} ends by itself`, write);
    }
  }
}

function isShort(words: readonly string[]): boolean {
  const [program = '', second = ''] = words;
  const name = program.slice(program.lastIndexOf('/') + 1);
  if (!shells.has(name)) return isShortCommand(name, second);
  const flag = words.findIndex((word) => /^-[a-z]*c$/.test(word));
  // A file may wait, and so may another shell.
  if (flag === -1) return words.slice(1).every((word) => word.startsWith('-'));
  // What a script does last is what it waits for.
  const last = (words[flag + 1] ?? '').split(/&&|\|\||[;\n|]/).findLast((part) => part.trim() !== '');
  const [first = '', next = ''] = last?.trim().split(/\s+/) ?? [];
  return !shells.has(first) && isShortCommand(first, next);
}

function isShortCommand(program: string, next: string): boolean {
  return shortPrograms.has(program) || shortCommands.has(`${program} ${next}`.trim());
}

/** Of `sleep 300`; undefined when it is no such command, or does not end. */
function toSleepMs(words: readonly string[]): number | undefined {
  const [program = '', duration = ''] = words;
  const match = /^(\d{1,9})([smhd]?)$/.exec(duration);
  if (words.length !== 2 || !/^(?:.*\/)?sleep$/.test(program) || match === null) return undefined;
  const unit = { s: 1, m: 60, h: 3_600, d: 86_400 }[match[2] ?? ''] ?? 1;
  return Number(match[1]) * unit * 1_000;
}

/** `node` of `docker.io/library/node:24-alpine@sha256:…`. */
function toShortName(image: string): string {
  return image.slice(image.lastIndexOf('/') + 1).split(/[:@]/, 1)[0] ?? '';
}

function readWords(node: YamlNode | undefined): string[] {
  const items = node?.kind === 'list' ? node.items : [];
  return items.flatMap((item) => (item.kind === 'scalar' && typeof item.value === 'string' ? [item.value] : []));
}

function isTrue(node: YamlNode | undefined): boolean {
  return node?.kind === 'scalar' && node.value === true;
}
