import { createHash, createHmac } from 'node:crypto';

export interface MacOptions {
  /**
   * The kubeconfig: every c3 that leads or reads the build has it, and nothing in the Pod has it. Its owner may run
   * anything there.
   */
  readonly key: string;
  readonly buildId: string;
  /** The Pod's UID: what c3 has noted in one Pod is not valid in another. */
  readonly workspaceId: string;
}

/**
 * The MACs of what c3 keeps in a Pod. Each program in the Pod can write there, so c3 believes only what has a valid MAC
 * (threat model A3). Every c3 computes the same ones.
 */
export interface Macs {
  /**
   * Computes the proof of a step. The step's supervisor gets it over standard input, and writes it into the exit file when the step
   * has passed: a program that reads it there comes too late.
   */
  ofStep(stepId: string): string;
  /** Computes the MAC for a line in the journal of the build. */
  ofEntry(text: string): string;
  /** Computes the MAC for the time when the first agent of the Pod started. All builds in the Pod have the same one. */
  ofFirst(start: string): string;
}

/** 128 bits, in hexadecimal digits. */
export const MAC_LENGTH = 32;

export function createMacs({ key, buildId, workspaceId }: MacOptions): Macs {
  // A kubeconfig is long, and a journal has many lines.
  const digest = createHash('sha256').update(key).digest();
  function compute(...parts: string[]): string {
    return createHmac('sha256', digest).update(parts.join('\n')).digest('hex').slice(0, MAC_LENGTH);
  }
  return {
    ofStep: (stepId) => compute('c3-step-v1', workspaceId, buildId, stepId),
    ofEntry: (text) => compute('c3-entry-v1', workspaceId, buildId, text),
    ofFirst: (start) => compute('c3-first-v1', workspaceId, start),
  };
}
