import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { setUp, shells, type LocalSteps } from '../../test/fakes/local-steps.ts';
import type { Shell } from '../../test/fakes/local-workspace.ts';

const PAGE = 4096;
const DISK_BYTES = 64 * PAGE;

const mounted: string[] = [];
afterEach(() => {
  for (const root of mounted.splice(0)) spawnSync('umount', ['--lazy', root]);
});

function mount(root: string): boolean {
  mkdirSync(root, { recursive: true });
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES},mode=1777`, 'c3', root]).status === 0;
  if (isMounted) mounted.push(root);
  return isMounted;
}

/** Whether this process may mount: in CI without root it may not. */
const mayMount = ((): boolean => {
  const steps = setUp('dash');
  const isMounted = mount(steps.root);
  for (const root of mounted.splice(0)) spawnSync('umount', ['--lazy', root]);
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

describe.runIf(mayMount).each(shells)('under %s, on a full disk,', (shell) => {
  function lost({ root }: LocalSteps) {
    return { kind: 'lost', message: `container "main": no space left in ${root}` };
  }

  it('a step is lost at once, and told why', async () => {
    const steps = setUpDisk(shell);
    fill(steps);
    expect(await steps.run('echo never')).toEqual(lost(steps));
    expect(steps.workspace.execCount).toBe(1);
  });

  it('a step after others is lost at once, and told why', async () => {
    const steps = setUpDisk(shell);
    await steps.run(':');
    fill(steps);
    expect(await steps.run('echo never', { stepId: 's2' })).toEqual(lost(steps));
    expect(steps.workspace.execCount).toBe(1);
  });

  it.each([1, 2, 3, 4, 5, 6, 7])(
    'with %i pages left, a step ends as it should or is lost for want of space',
    async (pages) => {
      const steps = setUpDisk(shell);
      await steps.run(':', { stepId: 's0' });
      fill(steps, pages);
      const result = await steps.run('exit 5');
      if (result.kind !== 'exited') expect(result).toEqual(lost(steps));
      else expect(result.exitCode).toBe(5);
      // Asked for again, by another c3, it is not run a second time, and does not hang.
      rmSync(join(steps.root, 'filler'));
      const again = await steps.run('exit 5', { courier: steps.openCourier({ epoch: 2 }) });
      if (result.kind === 'exited') expect(again).toEqual(result);
      else expect(again.kind).toBeOneOf(['exited', 'lost']);
    },
  );

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
