import { trimEnd } from '../../trim-end.ts';
import { CHECKOUT_PATH_PATTERN, checkoutVocabulary, DEPTH_LIMITS } from '../language.ts';
import type { Checkout } from '../pipeline.ts';
import type { ProblemList } from '../problem-list.ts';
import type { YamlNode } from '../yaml-tree.ts';
import type { Containers, JobContainer } from './read-job.ts';
import { hintContainer } from './read-job.ts';
import { child, readBoolean, readChild, readWholeNumber, readText, refuseUnknownKeys } from './read-value.ts';

export const defaultCheckout: Checkout = {
  container: 'git',
  path: '/c3/project',
  depth: 50,
  submodules: false,
  clean: true,
  credential: true,
};

export function readCheckout(node: YamlNode | undefined, problems: ProblemList): Checkout | false {
  if (node === undefined) return defaultCheckout;
  if (node.kind === 'scalar' && node.value === false) return false;
  if (node.kind !== 'map') {
    problems.error(node, 'checkout must be a mapping or false', 'remove the key for the default checkout');
    return defaultCheckout;
  }
  refuseUnknownKeys(node, checkoutVocabulary, problems);
  const flag = (key: 'submodules' | 'clean' | 'credential'): boolean =>
    readChild(node, key, (value) => readBoolean(value, `checkout.${key}`, problems)) ?? defaultCheckout[key];
  const container = readChild(node, 'container', (value) => readText(value, 'checkout.container', problems));
  const path = readChild(node, 'path', (value) => readPath(value, problems));
  const limits = { ...DEPTH_LIMITS, problems };
  const depth = readChild(node, 'depth', (value) => readWholeNumber(value, 'checkout.depth', limits));
  return {
    container: container ?? defaultCheckout.container,
    path: path ?? defaultCheckout.path,
    depth: depth ?? defaultCheckout.depth,
    submodules: flag('submodules'),
    clean: flag('clean'),
    credential: flag('credential'),
  };
}

function readPath(node: YamlNode, problems: ProblemList): string | undefined {
  const text = readText(node, 'checkout.path', problems);
  if (text === undefined) return undefined;
  if (CHECKOUT_PATH_PATTERN.test(text)) return trimEnd(text, '/');
  const hint = trimEnd(text, '/').split('/').slice(0, -1).join('').includes(' ')
    ? 'a space is allowed only in the name of the directory itself, not in those above it'
    : 'write an absolute path below a volume, for example /c3/project';
  problems.error(node, 'checkout.path is not a directory that c3 can fill', hint);
  return undefined;
}

interface CheckoutContext {
  /** The value of the key `checkout`. */
  readonly node: YamlNode | undefined;
  readonly containers: Containers;
  readonly initContainers: ReadonlySet<string>;
  /** The containers that steps run in. */
  readonly used: ReadonlySet<string>;
  readonly problems: ProblemList;
}

/** Checks that the commit lands in a volume that the containers of the steps also mount. */
export function checkCheckout(
  checkout: Checkout,
  { node, containers, initContainers, used, problems }: CheckoutContext,
): void {
  const isDefault = checkout.path === defaultCheckout.path;
  const path = isDefault ? checkout.path : 'checkout.path';
  const mount = `volumeMounts: [{name: project, mountPath: ${isDefault ? '/c3' : 'DIRECTORY'}}]`;
  const container = containers.get(checkout.container);
  const chosen = node?.kind === 'map' ? child(node, 'container') : undefined;
  if (container === undefined && chosen !== undefined) {
    problems.error(
      chosen,
      'the job has no container with this name',
      hintContainer(checkout.container, { containers, initContainers }),
    );
  } else if (container === undefined) {
    const hint =
      'add one with git (image: alpine/git), name another one in checkout.container, or write `checkout: false`';
    const at = containers.values().next().value ?? { start: 0, end: 0 };
    problems.error(at, `the job has no container "${checkout.container}" to check out the commit`, hint);
  } else if (!hasMount(container, checkout.path)) {
    const hint = `add the volume \`{name: project, emptyDir: {}}\`, and to every container \`${mount}\``;
    problems.error(container, `${container.label} has no volume at ${path}`, hint);
  } else {
    for (const name of used) {
      const other = containers.get(name);
      if (other === undefined) continue;
      if (hasMount(other, checkout.path)) {
        warnOfUser(other, container, problems);
        continue;
      }
      const message = `${other.label} has no volume at ${path}: its steps do not see the commit`;
      problems.warning(other, message, `add \`${mount}\``);
    }
  }
}

/**
 * Warns of steps that can read the commit but not change it. The umask is 022 everywhere, so that `fsGroup` changes
 * nothing: it opens the volume itself to a group, not the files that are created in it.
 */
function warnOfUser(container: JobContainer, git: JobContainer, problems: ProblemList): void {
  if (!container.user || container.user === git.user) return;
  const owner = git.user === undefined ? 'the user of its image' : `user ${git.user}`;
  const message = `${container.label} runs as user ${container.user}, and ${git.label} checks the commit out as ${owner}: if they differ, its steps cannot change or create files there`;
  const hint =
    'set one securityContext.runAsUser for both, or let a step of the other container run `chmod -R a+rwX .` first';
  problems.warning(container, message, hint);
}

/** Returns whether a volume is mounted at the path or at a directory above it. */
function hasMount(container: JobContainer, path: string): boolean {
  return container.mountPaths.some((mount) => path === mount || path.startsWith(`${mount}/`));
}
