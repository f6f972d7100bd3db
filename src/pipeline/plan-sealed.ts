import { formatRef, type Ref } from '../build/index.ts';
import type { Work } from './glob.ts';
import type { Pipeline, SealedValue, Step, Telegram } from './pipeline.ts';
import { MAX_WORK, type Plan } from './plan.ts';
import { matchesRef } from './ref-pattern.ts';

/** The sealed values that a build of one ref opens. */
export type SealedPlan =
  /** The build cannot run. `message` quotes step names, names of secrets and ref patterns. */
  | { readonly kind: 'refused'; readonly message: string; readonly hint: string }
  | {
      readonly kind: 'open';
      readonly k8s: SealedValue;
      /** Undefined: the build is reported as if c3.yaml had no `telegram`. */
      readonly telegram: Telegram | undefined;
      /** Those that are for this ref. */
      readonly secrets: Readonly<Record<string, SealedValue>>;
      /** Whether one of these values is only for some refs. */
      readonly hasRefBound: boolean;
    };

export interface SealedPlanOptions {
  /** The ref of the build, as the forge has proven it. */
  readonly ref: Ref;
  /** Whether the commit comes from a fork: then all `secrets` are closed. */
  readonly isFork?: boolean;
  /** Undefined for a reader of the build: then no step is checked. */
  readonly plan?: Extract<Plan, { kind: 'run' }> | undefined;
}

/**
 * Decides before anything is opened which sealed values are for the ref of a build (A1). Refuses the build if its
 * kubeconfig is not, or if a step that would run needs a secret that is not. Pure.
 */
export function planSealed(pipeline: Pipeline, { ref, plan, isFork = false }: SealedPlanOptions): SealedPlan {
  const work: Work = { left: MAX_WORK };
  const isOpened = (value: SealedValue): boolean => matchesRef(value.ref, ref, work);
  const built = `this build is of ${formatRef(ref)}`;
  const { k8s } = pipeline;
  if (!isOpened(k8s)) {
    const hint = `add \`${formatCondition(k8s)}\` at the top of c3.yaml, or seal a kubeconfig for this ref`;
    return { kind: 'refused', message: `k8s is sealed for ${k8s.ref}, ${built}`, hint };
  }
  const opens = Object.entries(pipeline.secrets).filter(([, value]) => !isFork && isOpened(value));
  const secrets = Object.fromEntries(opens);
  const closed = new Set(Object.keys(pipeline.secrets).filter((name) => !Object.hasOwn(secrets, name)));
  for (const { step, skipped } of [...(plan?.steps ?? []), ...(plan?.finally ?? [])].flatMap(({ steps }) => steps)) {
    const name = skipped === undefined ? findWord(step, closed) : undefined;
    const value = name === undefined ? undefined : pipeline.secrets[name];
    if (value === undefined) continue;
    if (isFork) {
      const message = `step "${step.name}" needs ${name}, and the build of a fork gets no secrets`;
      return { kind: 'refused', message, hint: 'add `when: {event: push}` to the step' };
    }
    const message = `step "${step.name}" needs ${name}, which is sealed for ${value.ref}; ${built}`;
    return { kind: 'refused', message, hint: `add \`${formatCondition(value)}\` to the step` };
  }
  const to = pipeline.telegram?.to;
  const telegram = to === undefined || isOpened(to) ? pipeline.telegram : undefined;
  const opened = [k8s, telegram?.to, ...Object.values(secrets)];
  return { kind: 'open', k8s, telegram, secrets, hasRefBound: opened.some((value) => value?.ref !== undefined) };
}

/**
 * Returns the first of the names that is a word in what the author wrote for a step: its command and the values of its
 * `env`. A script that reads the variable without naming it there is not found.
 */
function findWord({ run, env }: Step, names: ReadonlySet<string>): string | undefined {
  if (names.size === 0) return undefined;
  const texts = [...(run.kind === 'script' ? [run.text] : run.argv), ...Object.values(env)];
  for (const text of texts) {
    for (const [word] of text.matchAll(/\w+/g)) if (names.has(word)) return word;
  }
  return undefined;
}

/** Formats the `when` that holds for the refs of a value. */
function formatCondition({ ref = '' }: SealedValue): string {
  const [, kind, ...glob] = ref.split('/');
  return `when: {${kind === 'tags' ? 'tag' : 'branch'}: '${glob.join('/')}'}`;
}
