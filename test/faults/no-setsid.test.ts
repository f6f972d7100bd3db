import { expect, test } from 'vitest';
import { createStepAgent } from '../../src/agent/step-agent.ts';
import { startStep, toManifest, useFaultCluster } from './fault-cluster.ts';

const faults = useFaultCluster();

/** Makes a directory of all programs but setsid, which is the container's whole PATH. */
const INSTALL =
  'mkdir /c3/bin; ln -s /usr/bin/* /bin/* /c3/bin 2> /dev/null; rm /c3/bin/setsid; echo > /c3/installed; exec sleep 100000';

const MANIFEST = toManifest('bare', {
  command: ['/bin/sh', '-c', `PATH=/usr/bin:/bin; ${INSTALL}`],
  env: [{ name: 'PATH', value: '/c3/bin' }],
});

test('without setsid, the processes of an abandoned build end when the next build begins', async () => {
  const workspace = await faults.openWorkspace({ manifest: MANIFEST });
  const look = async (script: string): Promise<string> => await faults.look(workspace.name, script);
  await expect.poll(() => look('cat /c3/installed; command -v setsid; true').catch(String)).toBe('\n');
  const step = startStep(workspace, 'sleep 3001 & (sleep 3002 &) ; echo on; sleep 3003');
  await step.seen('on');
  const next = createStepAgent(workspace, 'main', {
    buildId: 'next',
    epoch: workspace.epoch + 1,
    roots: ['/c3/.c3', '/tmp/.c3'],
    silenceMs: 45_000,
  });
  expect(await next.ready()).toMatchObject({ kind: 'answered' });
  expect(await step.ended).toEqual({
    kind: 'lost',
    message: expect.stringMatching(/another c3 has taken over this Pod$/),
  });
  const living = `for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $file; echo; done 2> /dev/null`;
  expect((await look(living)).split('\n').filter((line) => line.startsWith('sleep '))).toEqual(['sleep 100000 ']);
  next.close();
  await workspace.release({ isClean: false });
});
