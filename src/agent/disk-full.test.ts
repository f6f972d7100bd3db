import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { setUp, someShells, type LocalSteps } from '../../test/fakes/local-steps.ts';
import type { Shell } from '../../test/fakes/local-workspace.ts';

const EXITED = { kind: 'exited', exitCode: 5 };
const PAGE = 4096;
const DISK_BYTES = 64 * PAGE;

/** Tells whether the program succeeded. */
function run(program: string, ...argv: readonly string[]): boolean {
  return spawnSync(program, argv).status === 0;
}

const mounted: string[] = [];
afterEach(() => {
  for (const root of mounted.splice(0)) run('umount', '--lazy', root);
});

function mount(root: string): boolean {
  mkdirSync(root, { recursive: true });
  const isMounted = run('mount', '-t', 'tmpfs', '-o', `size=${DISK_BYTES},mode=1777`, 'c3', root);
  if (isMounted) mounted.push(root);
  return isMounted;
}

/** Whether this process may mount: in CI without root it may not. */
const mayMount = ((): boolean => {
  const root = mkdtempSync(join(tmpdir(), 'c3-disk-'));
  const isMounted = mount(root);
  for (const one of mounted.splice(0)) run('umount', '--lazy', one);
  rmSync(root, { recursive: true });
  return isMounted;
})();

/** A workspace whose directory of c3's files is a small disk of its own. */
function setUpDisk(shell: Shell): LocalSteps {
  const steps = setUp(shell);
  mount(steps.root);
  return steps;
}

/** Leaves so many pages free. */
function fill({ root }: LocalSteps, pages = 0): void {
  const name = join(root, 'filler');
  const file = openSync(name, 'w');
  const page = Buffer.alloc(PAGE, 'x');
  let size = 0;
  try {
    for (;;) size += writeSync(file, page);
  } catch {
    // That was the last of it.
  }
  closeSync(file);
  truncateSync(name, Math.max(0, size - pages * PAGE));
}

describe.runIf(mayMount).each(someShells)('under %s, on a full disk,', (shell) => {
  function lost({ root }: LocalSteps) {
    return { kind: 'lost', message: `container "main": no space left in ${root}` };
  }

  it('a step is lost at once, with the reason', async () => {
    const steps = setUpDisk(shell);
    fill(steps);
    expect(await steps.run('echo never')).toEqual(lost(steps));
    expect(steps.workspace.execCount).toBe(1);
  });

  it('a step after others is lost at once, with the reason', async () => {
    const steps = setUpDisk(shell);
    await steps.run(':');
    fill(steps);
    expect(await steps.run('echo never', { stepId: 's2' })).toEqual(lost(steps));
    expect(steps.workspace.execCount).toBe(1);
  });

  it.each([1, 2, 3, 4, 5, 6, 7])(
    'with %i pages left, a step ends as it should or is lost, and runs once at most',
    async (pages) => {
      const steps = setUpDisk(shell);
      await steps.run(':', { stepId: 's0' });
      fill(steps, pages);
      const ran = join(steps.workspace.directory, 'ran');
      writeFileSync(ran, '');
      const script = `echo run >> ${ran}; exit 5`;
      expect(await steps.run(script)).toBeOneOf([EXITED, lost(steps)]);
      // Another c3 asks for it again, when there is room: what was claimed without having begun is not begun any
      // more.
      rmSync(join(steps.root, 'filler'));
      const again = await steps.run(script, { agent: steps.openAgent({ epoch: 2 }) });
      expect([again, readFileSync(ran, 'utf8')]).toBeOneOf([
        [EXITED, 'run\n'],
        [
          {
            kind: 'lost',
            message: expect.stringMatching(/^(?:the agent that claimed it|its supervisor) in the container/),
          },
          '',
        ],
      ]);
    },
  );

  it('only the notes of the build are lost', async () => {
    const steps = setUpDisk(shell);
    await steps.run('exit 5');
    fill(steps);
    const agent = steps.openAgent();
    async function note(text: string): Promise<unknown> {
      const { buildId } = steps;
      return await agent.perform(`note ${buildId} ${text}\nwait ${buildId} s1\n`, (frame) =>
        frame.kind === 'exit' ? frame.exitCode : undefined,
      );
    }
    expect(await note('"one"')).toEqual({ kind: 'answered', value: 5 });
    rmSync(join(steps.root, 'filler'));
    expect(await note('"two"')).toEqual({ kind: 'answered', value: 5 });
    expect(readFileSync(join(steps.root, steps.buildId, 'journal.main'), 'utf8')).toBe('"two"\n');
  });

  it('a step that fills it ends with its own exit code', async () => {
    const steps = setUpDisk(shell);
    const script = 'dd if=/dev/zero of="$ROOT/big" bs=4096 || exit 6';
    expect(await steps.run(script, { env: { ROOT: steps.root } })).toEqual({ kind: 'exited', exitCode: 6 });
    expect(await steps.sweep()).toBe(true);
    expect(await steps.run('echo never', { stepId: 's2' })).toEqual(lost(steps));
  });

  it.each(['timed-out', 'cancelled'] as const)('a step that fills it and goes on is %s all the same', async (kind) => {
    const steps = setUpDisk(shell);
    const started = steps.seen('on');
    const script = 'echo on; set +e; dd if=/dev/zero of="$ROOT/big" bs=4096; : > "$FULL"; while :; do sleep 0.1; done';
    const env = { ROOT: steps.root, FULL: join(steps.workspace.directory, 'full') };
    const result = steps.run(script, { env, timeoutMs: kind === 'timed-out' ? 2000 : 60_000 });
    await started;
    if (kind === 'cancelled') steps.controller.abort();
    expect(await result).toEqual({ kind });
  });
});
