import type { ProblemList } from '../problem-list.ts';
import type { YamlNode } from '../yaml-tree.ts';
import type { Containers } from './read-job.ts';
import { child, textOf } from './read-value.ts';

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
