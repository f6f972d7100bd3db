/** The words of c3.yaml, in the order in which messages and the documentation list them. */
export const topKeys = ['k8s', 'telegram', 'job', 'steps', 'env', 'secrets', 'timeout', 'checkout', 'pod'] as const;
export const stepKeys = ['name', 'timeout', 'env', 'container', 'run'] as const;
export const checkoutKeys = ['container', 'path', 'depth', 'submodules', 'clean'] as const;
export const podKeys = ['reuse', 'idle', 'max_age'] as const;

/** Words of the language that this version does not have. They are reserved, so that a file keeps its meaning when it does. */
export const laterTopKeys = ['when', 'finally', 'concurrency'] as const;
export const laterStepKeys = ['parallel', 'when', 'retry', 'allow_failure'] as const;

const stepKeySet: ReadonlySet<string> = new Set([...stepKeys, ...laterStepKeys]);

/** Whether a key of a step is an option, now or later, and so never the name of a container. */
export function isStepKey(key: string): boolean {
  return stepKeySet.has(key);
}

/** How other systems spell what c3 has: a better hint than the nearest word. From the documentation of each. */
export const topAliases: ReadonlyMap<string, string> = new Map([
  ['kubeconfig', 'k8s'],
  ['kubernetes', 'k8s'],
  ['cluster', 'k8s'],
  ['notify', 'telegram'],
  ['notifications', 'telegram'],
  ['jobs', 'job'],
  ['podTemplate', 'job'],
  ['spec', 'job'],
  ['script', 'steps'],
  ['stages', 'steps'],
  ['pipeline', 'steps'],
  ['tasks', 'steps'],
  ['environment', 'env'],
  ['variables', 'env'],
  ['vars', 'env'],
  ['timeout-minutes', 'timeout'],
  ['timeout_in_minutes', 'timeout'],
  ['clone', 'checkout'],
  ['git', 'checkout'],
  ['on', 'when'],
  ['if', 'when'],
  ['rules', 'when'],
  ['branches', 'when'],
  ['after_script', 'finally'],
  ['ensure', 'finally'],
  ['interruptible', 'concurrency'],
]);

export const stepAliases: ReadonlyMap<string, string> = new Map([
  ['environment', 'env'],
  ['variables', 'env'],
  ['vars', 'env'],
  ['params', 'env'],
  ['timeout-minutes', 'timeout'],
  ['timeout_in_minutes', 'timeout'],
  ['label', 'name'],
  ['title', 'name'],
  ['displayName', 'name'],
  ['image', 'container'],
  ['uses', 'container'],
  ['command', 'run'],
  ['commands', 'run'],
  ['cmd', 'run'],
  ['script', 'run'],
  ['continue-on-error', 'allow_failure'],
  ['soft_fail', 'allow_failure'],
  ['failure', 'allow_failure'],
  ['onError', 'allow_failure'],
  ['attempts', 'retry'],
  ['retries', 'retry'],
  ['on', 'when'],
  ['if', 'when'],
  ['only', 'when'],
  ['rules', 'when'],
  ['in_parallel', 'parallel'],
]);

/** Keys of `checkout` and `pod` as GitHub Actions, Woodpecker and GitLab spell them. */
export const checkoutAliases: ReadonlyMap<string, string> = new Map([
  ['fetch-depth', 'depth'],
  ['recursive', 'submodules'],
  ['directory', 'path'],
  ['dir', 'path'],
  ['image', 'container'],
]);

export const podAliases: ReadonlyMap<string, string> = new Map([
  ['maxAge', 'max_age'],
  ['max-age', 'max_age'],
  ['ttl', 'idle'],
  ['warm', 'reuse'],
]);
