import { createHmac } from 'node:crypto';

export interface ProofOrder {
  /** What every c3 that leads the build has, and nothing in its Pod: its kubeconfig. Whoever has that can run what they like there. */
  readonly key: string;
  readonly buildId: string;
  /** The Pod's UID: what was proved in one proves nothing in another. */
  readonly workspaceId: string;
}

/**
 * The words by which the supervisors of a build's steps prove to c3 that it was they who noted that a step has passed, by the step's
 * id. A supervisor is told its own with the step, over standard input, and writes it only then: who shares its files reads it when
 * there is nothing more to forge.
 */
export function createStepProofs({ key, buildId, workspaceId }: ProofOrder): (stepId: string) => string {
  return (stepId) =>
    createHmac('sha256', key)
      .update(['c3-step-v1', workspaceId, buildId, stepId].join('\n'))
      .digest('hex')
      .slice(0, 32);
}
