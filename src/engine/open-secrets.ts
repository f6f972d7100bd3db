import type { ConfigProblem, Ending } from '../build/index.ts';
import { C3Error } from '../errors.ts';
import type { Repository } from '../forges/forge.ts';
import { planSealed, type Pipeline, type Plan } from '../pipeline/index.ts';
import type { SealedValue, Telegram } from '../pipeline/pipeline.ts';
import { createMasking, type Masking, type Purpose } from '../sealing/index.ts';
import type { BuildDependencies, ProvenBuild, TelegramOptions } from './build-request.ts';
import type { BuildProgress } from './build-progress.ts';
import { PIPELINE_FILE } from './prove-build.ts';

/** A build that ends before the cluster is asked for anything. */
export interface Ended<T extends Ending = Ending> {
  readonly kind: 'ended';
  readonly ending: T;
  /** It was built and reported before, so it is not reported again. */
  readonly isReplayed?: boolean;
}

/** The build cannot run because of its c3.yaml. */
export type Unusable = Ended<Extract<Ending, { kind: 'config-error' }>>;

export function end<T extends Ending>(ending: T): Ended<T> {
  return { kind: 'ended', ending };
}

export function endForConfig(message: string, problems: readonly ConfigProblem[] = []): Unusable {
  const shown = problems.length === 0 ? {} : { problems };
  return end({ kind: 'config-error', message, ...shown });
}

export interface OpenedSecrets {
  readonly kind: 'opened';
  readonly kubeconfig: string;
  /** Undefined: c3.yaml has no `telegram`, or not for this ref. */
  readonly telegram: TelegramOptions | undefined;
  /** Those of the `secrets` that are for this ref. */
  readonly environment: Readonly<Record<string, string>>;
  /** Whether one of the opened values was sealed only for some refs. */
  readonly hasRefBound: boolean;
  /** Masks the secrets, the kubeconfig and the token. */
  readonly masking: Masking;
}

export interface SecretsOptions {
  readonly pipeline: Pipeline;
  readonly repository: Pick<Repository, 'gitAccess'>;
  readonly build: Pick<ProvenBuild, 'ref' | 'trust'>;
  /** Undefined for a reader of the build. */
  readonly plan?: Extract<Plan, { kind: 'run' }>;
}

/**
 * Opens the sealed values of c3.yaml that are for the ref (A1), and creates their masking. Refuses a build that needs
 * others, and secrets that are too long to be masked. The build of a fork gets no `secrets` (A3).
 *
 * @throws {C3Error} SEALED_INVALID, with the place of the value
 */
export async function openSecrets(
  { pipeline, repository, build, plan }: SecretsOptions,
  dependencies: Pick<BuildDependencies, 'open' | 'listSecrets'>,
  progress: Pick<BuildProgress, 'warn'>,
): Promise<Unusable | OpenedSecrets> {
  const planned = planSealed(pipeline, { ref: build.ref, plan, isFork: build.trust === 'fork' });
  if (planned.kind === 'refused') {
    const { message, hint } = planned;
    return endForConfig(`${PIPELINE_FILE}: ${message}`, [{ message, hint }]);
  }
  async function open(sealed: SealedValue, purpose: Purpose, where: string): Promise<string> {
    try {
      const { plaintext, isOldKey } = await dependencies.open(sealed.value, { purpose, ref: sealed.ref });
      if (isOldKey)
        progress.warn([`${PIPELINE_FILE} warning: ${where} is sealed with an old key of this c3; seal it again`]);
      return plaintext;
    } catch (error) {
      if (!(error instanceof C3Error)) throw error;
      throw new C3Error(error.code, `${PIPELINE_FILE}: ${where}: ${error.message}`, { cause: error });
    }
  }
  const { k8s, telegram, hasRefBound } = planned;
  const secrets = Object.entries(planned.secrets);
  const [kubeconfig, destination, ...values] = await Promise.all([
    open(k8s, { kind: 'k8s' }, 'k8s'),
    telegram?.to && open(telegram.to, { kind: 'telegram' }, 'telegram'),
    ...secrets.map(([name, value]) => open(value, { kind: 'secret', name }, `secrets.${name}`)),
  ]);
  const others = dependencies.listSecrets?.({ kubeconfig, telegram: destination }) ?? [];
  const masking = createMasking([...repository.gitAccess().secrets, ...values, ...others]);
  if (masking.isTooMuch()) {
    return endForConfig(
      `${PIPELINE_FILE}: its secrets are too long to be hidden in what c3 shows: with their lines, and in all encodings, they take more than 3 MiB; use fewer or shorter ones`,
    );
  }
  return {
    kind: 'opened',
    kubeconfig,
    telegram: telegram && toTelegramOptions(telegram, destination),
    environment: Object.fromEntries(secrets.map(([name], index) => [name, values[index] ?? ''])),
    hasRefBound,
    masking,
  };
}

function toTelegramOptions({ to: _sealed, ...options }: Telegram, destination: string | undefined): TelegramOptions {
  return { ...options, destination };
}
