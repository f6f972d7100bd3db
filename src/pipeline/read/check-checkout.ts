import type { Located, ProblemList } from '../problem-list.ts';
import { quote } from '../problem-list.ts';
import type { JobContainer } from './read-job.ts';
import type { CheckoutAnswer } from './read-options.ts';

interface CheckoutContext {
  readonly containers: ReadonlyMap<string, JobContainer>;
  /** Containers that steps run in. */
  readonly used: ReadonlySet<string>;
}

/** The revision must land in a volume, where the containers of the other steps see it. */
export function checkCheckout(answer: CheckoutAnswer, context: CheckoutContext, problems: ProblemList): void {
  const { checkout, containerAt } = answer;
  const { containers } = context;
  if (checkout === false) return;
  const { path } = checkout;
  const container = containers.get(checkout.container);
  const mount = `volumeMounts: [{name: project, mountPath: ${path.slice(0, path.lastIndexOf('/')) || path}}]`;
  if (container === undefined) {
    const at: Located = containerAt ?? containers.values().next().value ?? { start: 0, end: 0 };
    const message = `the job has no container ${quote(checkout.container)} to check the revision out with`;
    const hint =
      'add one with git in it (image: alpine/git), name another in checkout.container, or say `checkout: false`';
    problems.error(at, message, hint);
  } else if (!hasMount(container, path)) {
    const message = `container ${quote(checkout.container)} mounts no volume at ${quote(path)}`;
    const hint = `add the volume \`{name: project, emptyDir: {}}\`, and to every container \`${mount}\``;
    problems.error(container, message, hint);
  } else {
    for (const name of context.used) {
      const other = containers.get(name);
      if (other === undefined || hasMount(other, path)) continue;
      const message = `container ${quote(name)} mounts no volume at ${quote(path)}: its steps do not see the revision`;
      problems.warning(other, message, `add \`${mount}\``);
    }
  }
}

/** Whether a volume is mounted at the path or at a parent of it. */
function hasMount(container: JobContainer, path: string): boolean {
  return container.mountPaths.some((mount) => path === mount || path.startsWith(`${mount}/`));
}
