import type { Task } from '../../src/engine/tasks.ts';

/** Returns a step's task with these changes. */
export function createTask(changes: Partial<Task> = {}): Task {
  const run = { kind: 'script', text: '' } as const;
  const options = { timeoutMs: undefined, retry: 0, isAllowed: false, group: undefined, skipped: undefined };
  return {
    index: 1,
    kind: 'step',
    name: 'test',
    container: 'main',
    run,
    env: {},
    ...options,
    runsAfter: ['success'],
    ...changes,
  };
}
