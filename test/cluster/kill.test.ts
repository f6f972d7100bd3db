import { describe, expect, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import { startBuild } from '../faults/build-run.ts';
import { toManifest, useRealCluster } from './real-cluster.ts';

const real = useRealCluster();

/** Processes that a step can leave behind; each runs a `sleep` with its own number. */
const LEAVE_BEHIND = `
sleep 1001 &
sh -c 'sleep 1002; true' &
setsid sleep 1003 > /dev/null 2>&1 &
setsid sh -c 'setsid sleep 1004 & exit 0' > /dev/null 2>&1
sh -c 'trap "" TERM INT HUP QUIT; sleep 1005; sleep 1005; sleep 1005' &
(env -i sleep 1006 &)
trap "" TERM
until [ "$(cat /proc/[0-9]*/cmdline 2> /dev/null | tr "\\0" "\\n" | grep -c '^100[1-6]$')" -eq 6 ]; do sleep 0.05; done
echo up > "/c3/up.$C3_BUILD_ID"`;

/** Lists the living `sleep`s in the Pod. A zombie has no command line. */
const LIST_LIVING = `for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $file; echo; done 2> /dev/null | grep '^sleep 100[0-9] $'; :`;

/** Waits until the last command of the step ends. */
const UNTIL_ENDED = `while cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\\0' ' ' | grep -q 'sleep 100[7]'; do sleep 0.1; done; echo ended`;

async function untilUp(workspace: Workspace, buildId: string): Promise<void> {
  const script = `until [ -e /c3/up.${buildId} ]; do sleep 0.05; done; cat /c3/up.${buildId}`;
  expect(await real.look(workspace.name, script)).toBe('up\n');
}

describe.each(['ubuntu', 'c3-test/busybox'])('a step on a real Kubernetes in image %s', (image) => {
  const manifest = toManifest({ image });

  /** Expects that no process is left, or that c3 reports the Pod as unclean and does not use it again. */
  async function expectNothingLeft(workspace: Workspace, isClean: boolean): Promise<void> {
    const left = isClean ? await real.look(workspace.name, LIST_LIVING) : '';
    expect(left).toBe('');
    await workspace.release({ isClean });
    const next = await real.openWorkspace({ manifest });
    expect(next.id === workspace.id).toBe(isClean);
    await next.release({ isClean: true });
  }

  test('that is cancelled ends with its children, background jobs, daemons and processes that ignore TERM', async () => {
    const workspace = await real.openWorkspace({ manifest });
    const build = startBuild(workspace, [`${LEAVE_BEHIND}\nwhile :; do sleep 1007; done`, 'echo never']);
    await untilUp(workspace, build.buildId);
    expect((await real.look(workspace.name, LIST_LIVING)).trim().split('\n')).toHaveLength(7);
    build.cancel();
    const { ending, sweep } = await build.outcome;
    expect(ending).toMatchObject({ kind: 'cancelled' });
    await expectNothingLeft(workspace, await sweep());
  });

  test('that reaches its time limit ends with all these processes too', async () => {
    const workspace = await real.openWorkspace({ manifest });
    const build = startBuild(workspace, [`${LEAVE_BEHIND}\nwhile :; do sleep 1007; done`], { timeoutMs: 4000 });
    const { ending, sweep } = await build.outcome;
    expect(ending).toMatchObject({ kind: 'timed-out' });
    await expectNothingLeft(workspace, await sweep());
  });

  test('that reaches its time limit while c3 is disconnected still ends', async () => {
    const workspace = real.overRelay(await real.openWorkspace({ manifest }));
    const build = startBuild(workspace, [`${LEAVE_BEHIND}\nwhile :; do sleep 1007; done`], { timeoutMs: 4000 });
    await untilUp(workspace, build.buildId);
    // The connection and every new one are silent until the step's own processes have ended.
    for (let index = 0; index < 50; index += 1)
      real.proxy.plan.push({ direction: 'sent', afterBytes: 0, how: 'silent' });
    real.proxy.cutAll('silent');
    expect(await real.look(workspace.name, UNTIL_ENDED)).toBe('ended\n');
    real.proxy.plan.length = 0;
    real.proxy.cutAll('loud');
    const { ending, sweep } = await build.outcome;
    expect(ending).toMatchObject({ kind: 'timed-out' });
    await expectNothingLeft(workspace, await sweep());
  });

  test('that passed leaves none of its background jobs and daemons', async () => {
    const workspace = await real.openWorkspace({ manifest });
    const { ending, sweep } = await startBuild(workspace, [LEAVE_BEHIND]).outcome;
    expect(ending).toMatchObject({ kind: 'passed' });
    await expectNothingLeft(workspace, await sweep());
  });

  test('that leaves too many zombies for the main process ends the reuse of its Pod', async () => {
    const workspace = await real.openWorkspace({ manifest });
    const orphans = 'i=0; while [ $i -lt 220 ]; do i=$((i + 1)); (sleep 1000 &); done';
    const { ending, sweep } = await startBuild(workspace, [orphans]).outcome;
    expect(ending).toMatchObject({ kind: 'passed' });
    const isClean = await sweep();
    expect(isClean).toBe(false);
    await expectNothingLeft(workspace, isClean);
  });
});
