import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { setUp, someShells } from '../fakes/local-steps.ts';
import type { Death, EngineOrder } from './engine-child.ts';

const CHILD = fileURLToPath(new URL('engine-child.ts', import.meta.url));

const DEATHS: readonly Death[] = [
  'before its exec',
  'while it sends a launch',
  'while a step runs',
  'after a step has ended',
  'between two steps',
];

/** Prints its start, writes more than one frame, and counts its runs. */
function toScript(directory: string, exitCode: number): string {
  return [
    `# ${'x'.repeat(20_000)}`,
    `echo run >> ${join(directory, `ran-${exitCode}`)}`,
    `echo started ${exitCode}`,
    'sleep 0.2',
    'i=0; while [ "$i" -lt 5000 ]; do i=$((i + 1)); echo "line $i"; done',
    `exit ${exitCode}`,
  ].join('\n');
}

async function runToDeath(order: EngineOrder): Promise<void> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(order)], { stdio: ['ignore', 'ignore', 'inherit'] });
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
}

describe.each(someShells)('under %s', (shell) => {
  test.each(DEATHS)(
    'a c3 that is killed %s has a successor that finds each step run once, its whole log and its exit code',
    async (death) => {
      const steps = setUp(shell);
      const { directory } = steps.workspace;
      const scripts = [toScript(directory, 3), toScript(directory, 4)];
      await runToDeath({ shell, directory, buildId: steps.buildId, scripts, death });
      const agent = steps.openAgent({ epoch: 2 });
      for (const [index, script] of scripts.entries()) {
        const before = steps.text().length;
        const result = await steps.run(script, { stepId: `s${index}`, agent });
        expect(result).toEqual({ kind: 'exited', exitCode: index + 3 });
        const lines = Array.from({ length: 5000 }, (_, line) => `line ${line + 1}\n`).join('');
        expect(steps.text().slice(before)).toBe(`started ${index + 3}\n${lines}`);
        expect(readFileSync(join(directory, `ran-${index + 3}`), 'utf8')).toBe('run\n');
      }
    },
  );
});
